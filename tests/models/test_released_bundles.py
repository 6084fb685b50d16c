"""Models of earlier versions are read, keep their versions, and answer what they answered."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import paincast
from paincast.predictor import add_version
from paincast.schema import RESEARCH_MARK

from .released import BUNDLES, unpack

ANSWERS = pd.concat([pd.read_csv(BUNDLES / f"format2{name}_answers.csv") for name in ("", "_prior")], ignore_index=True)
CURVED = [f"{name}/facet_rfa/pain_response" for name in ("beta", "isotonic", "venn_abers", "steps")]
NUMBERS = ("horizon_months", "probability", "lower", "upper", "expected", "expected_lower", "expected_upper", "level")
FACTS = ("episode_id", "outcome", "abstained", "in_domain", "n_real", "basis", "model_version")


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(tmp_path_factory.mktemp("earlier"))


@pytest.mark.parametrize("bundle", sorted(set(ANSWERS["bundle"])))
def test_a_bundle_of_an_earlier_version_answers_as_it_did(earlier, bundle):
    """Linear, trees, priors, durations, changes: numbers stay; rules of safety, use and reasons are today's."""
    expected = ANSWERS[ANSWERS["bundle"] == bundle].reset_index(drop=True)
    predictor = paincast.load_model(earlier / bundle)
    patients = "patients_contract.csv" if bundle.startswith("contract") else "patients.csv"
    rows = paincast.predict(pd.read_csv(BUNDLES / patients), predictor)
    for column in NUMBERS:
        np.testing.assert_allclose(rows[column].astype(float), expected[column], rtol=0, atol=1e-12, err_msg=column)
    for column in FACTS:
        assert list(rows[column]) == list(expected[column]), column
    assert (~rows["abstained"]).sum() >= 5
    assert set(rows.loc[~rows["abstained"], "use"]) == {RESEARCH_MARK}
    told, told_then = 0, 0
    for reasons, then in zip(rows["reasons_for"], expected["reasons_for"].fillna(""), strict=True):
        sizes = {one["variable"]: f"{one.get('log_odds', one.get('points')):.6f}" for one in reasons}
        before = dict(one.split("=") for one in then.split(";") if one)
        told_then += len(before)
        told += len(shared := sizes.keys() & before.keys())
        assert {name: sizes[name] for name in shared} == {name: before[name] for name in shared}
    assert told >= min(5, told_then)


@pytest.mark.parametrize("bundle", sorted({*ANSWERS["bundle"], *CURVED}))
def test_a_bundle_of_an_earlier_version_keeps_its_version(earlier, bundle):
    written = json.loads((earlier / bundle / "bundle.json").read_text(encoding="utf-8"))["version"]
    predictor = paincast.load_model(earlier / bundle)
    assert add_version(predictor).version == predictor.version == written
