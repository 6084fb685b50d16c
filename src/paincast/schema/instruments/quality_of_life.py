"""Instruments of quality of life, fatigue and social health, and the global impression of change."""

from __future__ import annotations

from paincast.schema.instruments.instrument import Instrument, Scoring, Threshold

_PICKARD = "Pickard 2007, doi:10.1186/1477-7525-5-70"
_PROMIS_29_BACK = "PROMIS-29 thesis, Chulalongkorn University, hdl:123456789/69391"
_EUROQOL = "EuroQol: registration and licence"
_RAW = "raw sums of short forms are not T-scores"

QUALITY_OF_LIFE = (
    Instrument(
        name="eq5d_3l_index",
        title="EQ-5D-3L index",
        domain="quality of life",
        low=-0.594,
        high=1,
        unit="EQ-5D index",
        direction="higher is better",
        scoring=Scoring(method="index", n_items=5, item_low=1, item_high=3, note="name the value set"),
        responder=(
            Threshold(
                "absolute", 0.08, "chronic low back pain, n 161", "Suzuki 2020, doi:10.1371/journal.pone.0229228"
            ),
            Threshold("absolute", 0.08, "cancer, UK values, n 534", _PICKARD),
        ),
        names=("eq5d_3l_index", "eq5d_index", "EQ5DIndex", "eq5d_baseline", "Pre-Op Q EQ5D Index"),
        not_names=("eq_vas", "profile 11111", "single items"),
        licence=_EUROQOL,
        column="eq5d_index",
    ),
    Instrument(
        name="eq5d_5l_index",
        title="EQ-5D-5L index",
        domain="quality of life",
        low=-1,
        high=1,
        unit="EQ-5D index",
        direction="higher is better",
        scoring=Scoring(method="index", n_items=5, item_low=1, item_high=5, note="name the value set"),
        responder=(
            Threshold(
                "absolute",
                0.08,
                "simulated single-step transitions, 8 value sets: 0.072 to 0.101",
                "mymedr.afpm.org.my/publications/83343",
            ),
        ),
        snomed={"736534008": "EuroQol five dimension five level index value"},
        names=("eq5d_5l_index", "eq5d_5l_index_score"),
        not_names=("eq5d_5l_q6_i2 (EQ VAS)", "single items"),
        licence=_EUROQOL,
        column="eq5d_index",
    ),
    Instrument(
        name="eq_vas",
        title="EQ-5D visual analogue scale",
        domain="quality of life",
        low=0,
        high=100,
        unit="EQ VAS points",
        direction="higher is better",
        scoring=Scoring(method="single", n_items=1),
        responder=(Threshold("absolute", 7, "cancer, n 534", _PICKARD),),
        snomed={"736535009": "EuroQol visual analogue score"},
        names=("eq_vas", "eqvas", "eq5d_vas", "eq5d_5l_q6_i2", "Pre-Op Q EQ VAS"),
        not_names=("pain VAS",),
        licence=_EUROQOL,
    ),
    *(
        Instrument(
            name=f"promis_global_{kind}",
            title=f"PROMIS Global Health, {kind}",
            domain="quality of life",
            low=10,
            high=80,
            unit="T-score",
            direction="higher is better",
            scoring=Scoring(method="t_score", n_items=4),
            loinc=loinc,
            names=(f"promis_global_{kind}", f"gh_{kind}_score", f"promis_{kind}_health"),
            not_names=not_names,
            note=_RAW,
        )
        for kind, loinc, not_names in (
            (
                "physical",
                {"71971-6": "PROMIS-10 Global Physical Health (GPH) score T-score"},
                ("promis_physical_function",),
            ),
            ("mental", {}, ("promis_depression",)),
        )
    ),
)

FATIGUE_AND_SOCIAL = (
    Instrument(
        name="promis_fatigue",
        title="PROMIS Fatigue",
        domain="fatigue",
        low=20,
        high=90,
        unit="T-score",
        direction="lower is better",
        scoring=Scoring(method="t_score"),
        responder=(Threshold("absolute", 7.75, "chronic low back pain, n 183", _PROMIS_29_BACK),),
        names=("promis_fatigue", "promis_fatigue_tscore"),
        note=_RAW,
    ),
    Instrument(
        name="promis_social_roles",
        title="PROMIS Ability to Participate in Social Roles and Activities",
        domain="social",
        low=20,
        high=80,
        unit="T-score",
        direction="higher is better",
        scoring=Scoring(method="t_score"),
        responder=(Threshold("absolute", 4.58, "chronic low back pain, n 183", _PROMIS_29_BACK),),
        names=("promis_social_roles", "promis_social_tscore"),
        not_names=("promis_social_isolation",),
        note=_RAW,
    ),
    Instrument(
        name="promis_social_isolation",
        title="PROMIS Social Isolation",
        domain="social",
        low=20,
        high=90,
        unit="T-score",
        direction="lower is better",
        scoring=Scoring(method="t_score"),
        names=("promis_social_isolation", "promis_isolation_tscore"),
        not_names=("promis_social_roles",),
        note=_RAW,
    ),
)

GLOBAL = (
    Instrument(
        name="pgic",
        title="Patient Global Impression of Change",
        domain="global",
        low=1,
        high=7,
        unit="PGIC points",
        direction="lower is better",
        scoring=Scoring(method="single", n_items=1),
        responder=(
            Threshold(
                "level", 2, "chronic pain: much or very much improved", "Dworkin 2008, doi:10.1016/j.jpain.2007.09.005"
            ),
        ),
        names=("pgic", "pgicsymptomchangestatval", "PGIC1"),
        not_names=("coded 0-6", "reversed, where 7 is very much better", "GPE of 5 levels", "NHS success 1-5"),
        note="0 occurs only in a column coded 0 to 6; a reversed column cannot be told from its numbers",
    ),
)
