"""Instruments of beliefs about pain, and of sleep."""

from __future__ import annotations

from paincast.schema.instruments.instrument import Instrument, Scoring, Threshold

_SUZUKI = "Suzuki 2020, doi:10.1371/journal.pone.0229228"

COGNITION = (
    Instrument(
        name="pcs",
        title="Pain Catastrophizing Scale",
        domain="cognition",
        low=0,
        high=52,
        unit="PCS points",
        direction="lower is better",
        scoring=Scoring(method="sum", n_items=13, item_low=0, item_high=4),
        responder=(Threshold("absolute", 6.48, "chronic low back pain, n 161", _SUZUKI),),
        names=("pcs_total", "pcs_sum", "catastrophizing_pcs", "pain_catastrophizing"),
        not_names=(
            "pcqtotalscoreval (6 items, 0-24)",
            "PCSRAW (6 items, 0-24)",
            "sf36_pcs",
            "sf12_pcs",
            "PCS helplessness",
            "PCS rumination",
            "PCS magnification",
        ),
        note="values up to 24 may be the 6-item form; PCS alone may be a physical component summary",
        column="catastrophizing_pcs",
    ),
    Instrument(
        name="pcs6",
        title="Pain Catastrophizing Scale, 6 items",
        domain="cognition",
        low=0,
        high=24,
        unit="PCS-6 points",
        direction="lower is better",
        scoring=Scoring(method="sum", n_items=6, item_low=0, item_high=4),
        names=("pcs6", "pcs_6", "pcqtotalscoreval", "PCSRAW"),
        not_names=("pcs (13 items, 0-52)",),
    ),
    Instrument(
        name="pseq",
        title="Pain Self-Efficacy Questionnaire",
        domain="cognition",
        low=0,
        high=60,
        unit="PSEQ points",
        direction="higher is better",
        scoring=Scoring(method="sum", n_items=10, item_low=0, item_high=6),
        responder=(
            Threshold(
                "absolute", 5.5, "chronic low back pain, n 104", "Chiarotto 2016, doi:10.1016/j.jpain.2016.02.012"
            ),
            Threshold("absolute", 6.48, "chronic low back pain, n 161", _SUZUKI),
        ),
        names=("pseq", "pseq_total"),
        not_names=("pseq2 (0-12)", "pseq4 (0-24)"),
    ),
    Instrument(
        name="tsk11",
        title="Tampa Scale of Kinesiophobia, 11 items",
        domain="cognition",
        low=11,
        high=44,
        unit="TSK-11 points",
        direction="lower is better",
        scoring=Scoring(method="sum", n_items=11, item_low=1, item_high=4),
        responder=(Threshold("absolute", 4, "chronic low back pain", "Woby 2005, doi:10.1016/j.pain.2005.05.029"),),
        names=("tsk11", "tsk_11", "tsk_11_total"),
        not_names=("TSK-17 (17-68)", "TSK-13"),
    ),
)

SLEEP = (
    Instrument(
        name="promis_sleep_disturbance",
        title="PROMIS Sleep Disturbance",
        domain="sleep",
        low=20,
        high=90,
        unit="T-score",
        direction="lower is better",
        scoring=Scoring(method="t_score"),
        responder=(
            Threshold(
                "absolute",
                3.9,
                "chronic low back pain, n 183",
                "PROMIS-29 thesis, Chulalongkorn University, hdl:123456789/69391",
            ),
        ),
        loinc={"77860-5": "PROMIS sleep disturbance version 1.0 Tscore"},
        names=("promis_sleep_disturbance", "promis_sleep_disturb", "promis_sleep_disturb_v1_0", "PRSD6AT"),
        not_names=("sleep duration", "sleep-related impairment"),
        note="raw sums of short forms are not T-scores",
    ),
    Instrument(
        name="isi",
        title="Insomnia Severity Index",
        domain="sleep",
        low=0,
        high=28,
        unit="ISI points",
        direction="lower is better",
        scoring=Scoring(method="sum", n_items=7, item_low=0, item_high=4),
        responder=(
            Threshold("absolute", 6, "primary insomnia, n 828", "Yang 2009, doi:10.1185/03007990903167415"),
            Threshold("absolute", 8.4, "treated insomnia, n 183", "Morin 2011, doi:10.1093/sleep/34.5.601"),
        ),
        names=("isi", "isi_total", "insomnia_severity_index"),
    ),
)
