"""Instruments of depression, anxiety, anger and distress."""

from __future__ import annotations

from paincast.schema.instruments.instrument import Instrument, Scoring, Threshold

_GRONKVIST = "Grönkvist 2024, J Pain"
_PAIN_CLINIC = "J Pain 2013, S1526-5900(13)00051-5"
_RAW = "raw sums of short forms are not T-scores"

_PROMIS = (
    Instrument(
        name="promis_depression",
        title="PROMIS Depression",
        domain="mood",
        low=30,
        high=90,
        unit="T-score",
        direction="lower is better",
        scoring=Scoring(method="t_score"),
        responder=(
            Threshold("absolute", 4, "pain clinic, adaptive test: 3.0 to 5.5", _PAIN_CLINIC),
            Threshold(
                "absolute", 3.5, "chronic pain or stroke, n 651: 3 to 4", "Kroenke 2020, doi:10.1016/j.jad.2020.01.101"
            ),
        ),
        loinc={"77861-3": "PROMIS depression version 1.0 Tscore"},
        names=("promis_depression", "promis_depression_tscore", "PRDEP4AT"),
        not_names=("hads_depression", "phq9", "depression", "raw sum 4-20 (LOINC 77821-7)"),
        note=_RAW,
    ),
    Instrument(
        name="promis_anxiety",
        title="PROMIS Anxiety",
        domain="mood",
        low=30,
        high=90,
        unit="T-score",
        direction="lower is better",
        scoring=Scoring(method="t_score"),
        responder=(Threshold("absolute", 4, "pain clinic, adaptive test: 3.0 to 5.0", _PAIN_CLINIC),),
        loinc={"71967-4": "PROMIS-29 Anxiety score T-score"},
        names=("promis_anxiety", "promis_anxiety_tscore", "PRANX4AT"),
        not_names=("hads_anxiety", "gad7"),
        note=_RAW,
    ),
    Instrument(
        name="promis_anger",
        title="PROMIS Anger",
        domain="mood",
        low=20,
        high=90,
        unit="T-score",
        direction="lower is better",
        scoring=Scoring(method="t_score"),
        loinc={"77863-9": "PROMIS emotional distress - anger - version 1.0 Tscore"},
        names=("promis_anger", "promis_anger_tscore"),
        note=_RAW,
    ),
)

_PHQ_AND_GAD = (
    Instrument(
        name="phq9",
        title="Patient Health Questionnaire 9",
        domain="mood",
        low=0,
        high=27,
        unit="PHQ-9 points",
        direction="lower is better",
        scoring=Scoring(method="sum", n_items=9, item_low=0, item_high=3),
        responder=(
            Threshold("absolute", 5, "late-life depression, n 434", "Löwe 2004, doi:10.1097/00005650-200412000-00006"),
            Threshold("relative", 0.20, "depression in primary care", "Kounali 2022, PMC9340848"),
        ),
        loinc={"44261-6": "Patient Health Questionnaire 9 item (PHQ-9) total score [Reported]"},
        names=("phq9", "phq_9", "phq9_total", "phqtotalscore"),
        not_names=("PHQ-8", "PHQ-15", "PHQ-4", "PHQ-2"),
        licence="Pfizer: no permission required",
    ),
    Instrument(
        name="phq2",
        title="Patient Health Questionnaire 2",
        domain="mood",
        low=0,
        high=6,
        unit="PHQ-2 points",
        direction="lower is better",
        scoring=Scoring(method="sum", n_items=2, item_low=0, item_high=3),
        loinc={"55758-7": "Patient Health Questionnaire 2 item (PHQ-2) total score [Reported]"},
        names=("phq2", "phq_2", "PHQ2RAW"),
        not_names=("phq9",),
    ),
    Instrument(
        name="gad7",
        title="Generalized Anxiety Disorder 7",
        domain="mood",
        low=0,
        high=21,
        unit="GAD-7 points",
        direction="lower is better",
        scoring=Scoring(method="sum", n_items=7, item_low=0, item_high=3),
        responder=(
            Threshold("absolute", 4, "chronic depression, n 261", "Toussaint 2020, doi:10.1016/j.jad.2020.01.032"),
            Threshold("relative", 0.27, "depression in primary care", "Kounali 2022, PMC9340848"),
        ),
        loinc={"70274-6": "Generalized anxiety disorder 7 item (GAD-7) total score [Reported.PHQ]"},
        names=("gad7", "gad_7", "gad7_total", "gad7totscore"),
        not_names=("gad2totalscore", "GAD-2"),
    ),
)


def _hads(kind: str, ends: str, names: tuple[str, ...], not_names: tuple[str, ...]) -> Instrument:
    return Instrument(
        name=f"hads_{kind}",
        title=f"Hospital Anxiety and Depression Scale, {kind}",
        domain="mood",
        low=0,
        high=21,
        unit="HADS points",
        direction="lower is better",
        scoring=Scoring(method="sum", n_items=7, item_low=0, item_high=3),
        responder=(Threshold("absolute", 1.7, f"pain rehabilitation, n 8,854: {ends}", _GRONKVIST),),
        names=names,
        not_names=(*not_names, "HADS total 0-42"),
    )


def _dass(kind: str) -> Instrument:
    return Instrument(
        name=f"dass21_{kind}",
        title=f"Depression Anxiety Stress Scales 21, {kind}",
        domain="mood",
        low=0,
        high=42,
        unit="DASS points",
        direction="lower is better",
        scoring=Scoring(method="sum", n_items=7, item_low=0, item_high=3, note="doubled to the scale of DASS-42"),
        names=(f"dass21_{kind}", f"dass_{kind}", f"dass21_{kind[:3]}", f"dass_{kind[0]}"),
        not_names=(f"hads_{kind}", "undoubled sum 0-21"),
        note="values up to 21 may be undoubled sums; doubled sums are even",
    )


_HADS = (
    _hads(
        "depression",
        "1.48 to 2.54",
        ("hads_depression", "hads_d", "hads_dep_score"),
        ("dass_depression", "phq9", "promis_depression"),
    ),
    _hads(
        "anxiety",
        "1.17 to 2.13",
        ("hads_anxiety", "hads_a", "hads_anx_score"),
        ("dass_anxiety", "gad7", "EQ-5D anxiety item"),
    ),
)

_SUMMARY = Instrument(
    name="sf36_mcs",
    title="SF-36 mental component summary",
    domain="mood",
    low=0,
    high=100,
    unit="norm-based score",
    direction="higher is better",
    scoring=Scoring(method="index", n_items=36, note="mean 50, SD 10 in the norm population"),
    responder=(Threshold("absolute", 5.6, "pain rehabilitation, n 8,854: 4.46 to 6.79", _GRONKVIST),),
    names=("sf36_mcs", "sf36_mental_summary"),
    not_names=("sf36_pcs",),
)

_PHQ9, _PHQ2, _GAD7 = _PHQ_AND_GAD
_DEPRESSION, _ANXIETY, _ANGER = _PROMIS

MOOD = (
    *(_HADS[0], _PHQ9, _DEPRESSION),
    *(_HADS[1], _GAD7, _ANXIETY),
    *(_SUMMARY, _PHQ2, _ANGER),
    *(_dass("depression"), _dass("anxiety"), _dass("stress")),
)
"""Scales of depression stand before those of anxiety: an outcome is answered by the first that a patient has."""
