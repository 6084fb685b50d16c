"""What studies tell of their patients before the procedure becomes the baseline of a record."""

from __future__ import annotations

import math
from typing import Any

import pytest

from paincast.evidence.synthesis.patients import pool_patients
from paincast.evidence.synthesis.study import Arm, Characteristic, Study

AGE = {"age_years": {"mean": 50.0, "sd": 14.0, "source": "seed", "tag": "ASSUMED"}}
DOSE = {"opioid_mme": {"median": 30.0, "log_sd": 0.8, "share": 0.4, "source": "seed", "tag": "ASSUMED"}}
SMOKER = {"smoker": {"share": 0.2, "source": "seed", "tag": "ASSUMED"}}


def pool(baseline: dict[str, Any], *described: dict[str, Any], **studies_say: Any) -> dict[str, dict[str, Any]]:
    [column] = baseline
    told = {name: dict(enumerate(values)) for name, values in studies_say.items()}
    studies = [
        Study(
            id=f"s{place}",
            citation="A 2020",
            read_at="https://example.org",
            read="abstract",
            population="patients",
            arms={"all": Arm(kind="treatment", what="x")},
            pmid="1",
            patients=(Characteristic(column=column, **figures),),
            **{"design": "prospective series", **{name: values[place] for name, values in told.items()}},
        )
        for place, figures in enumerate(described)
    ]
    return pool_patients(studies, {"indication": "lumbar_facet", "baseline": baseline})


def test_means_are_weighted_and_studies_that_differ_widen_the_spread():
    pooled = pool(AGE, {"n": 300, "mean": 40.0, "sd": 10.0}, {"n": 900, "mean": 60.0, "sd": 10.0})["age_years"]
    assert pooled["mean"] == 55.0
    assert pooled["sd"] == pytest.approx(math.sqrt(100.0 + (300 * 15.0**2 + 900 * 5.0**2) / 1200))
    assert (pooled["source"], pooled["tag"]) == (["s0", "s1"], "FOUND")


def test_what_no_study_tells_stays_that_of_the_record():
    assert pool(AGE, {"n": 300}) == {}
    assert pool(AGE, {"mean": 40.0}) == {}, "a mean of unknown weight does not count"
    centre = pool(AGE, {"n": 300, "mean": 40.0})["age_years"]
    assert (centre["mean"], centre["sd"], centre["tag"]) == (40.0, 14.0, "FOUND/ASSUMED")


def test_the_same_patients_are_described_once_and_reviews_not_at_all():
    small, large = {"n": 300, "mean": 40.0, "sd": 10.0}, {"n": 900, "mean": 60.0, "sd": 10.0}
    assert pool(AGE, small, large, overlaps=[("s1",), ()])["age_years"]["mean"] == 60.0
    assert pool(AGE, small, large, pools=[(), ("s0",)])["age_years"]["mean"] == 40.0
    assert pool(AGE, small, large, design=["registry", "meta-analysis"])["age_years"]["source"] == ["s0"]


def test_few_patients_do_not_replace_a_distribution():
    assert pool(AGE, {"n": 60, "mean": 40.0, "sd": 10.0}) == {}
    assert pool(AGE, {"n": 60, "mean": 40.0, "sd": 10.0}, {"n": 60, "mean": 40.0, "sd": 10.0})


def test_a_skewed_column_takes_its_median_and_the_spread_of_its_logarithm():
    [told] = pool(DOSE, {"n": 500, "median": 20.0, "quartiles": (10.0, 40.0), "share": 0.5}).values()
    assert told["median"] == pytest.approx(20.0)
    assert told["log_sd"] == pytest.approx(math.log(4.0) / 1.349)
    assert told["share"] == 0.5
    [told] = pool(DOSE, {"n": 500, "mean": 40.0, "sd": 40.0}).values()
    assert told["median"] == pytest.approx(40.0 / math.sqrt(2.0))
    assert told["log_sd"] == pytest.approx(math.sqrt(math.log(2.0)))
    assert told["share"] == 0.4


def test_a_mean_without_a_spread_tells_nothing_of_a_skewed_column():
    assert pool(DOSE, {"n": 500, "mean": 40.0}) == {}


@pytest.mark.parametrize("asked_for", [0, 1, 1.0])
def test_a_share_that_a_study_asked_for_at_entry_does_not_count(asked_for):
    assert pool(SMOKER, {"n": 500, "share": asked_for}) == {}
    [told] = pool(SMOKER, {"n": 500, "share": asked_for}, {"n": 400, "share": 0.3}).values()
    assert told["share"] == 0.3
