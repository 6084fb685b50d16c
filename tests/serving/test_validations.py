"""What patients a model had never seen say of it stands beside it, and decides whether it answers."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import paincast
from paincast.cli.app import run
from paincast.cohort.tables import Cohort, conform, save_cohort
from paincast.errors import DataError
from paincast.predictor import load_predictor, save_predictor
from paincast.predictor.validation import (
    RECORD,
    VALIDATION_COLUMNS,
    Validation,
    add_validation,
    assess_validations,
    format_validations,
    read_validations,
    read_validations_tag,
    record_validation,
    sort_validations,
)
from paincast.serving.batch import read_predictions
from paincast.serving.predict import load_models

FAR = Validation(
    cohort="elsewhere",
    content="a",
    n=111,
    o_e=0.18,
    lower=0.08,
    upper=0.30,
    indications=("lumbar_radicular_disc", "lumbar_stenosis"),
    approaches=("caudal",),
)
NEAR = replace(FAR, cohort="here", content="b", o_e=1.0, lower=0.85, upper=1.2)


@pytest.mark.parametrize(
    ("n", "lower", "upper", "contradicts"),
    [
        (111, 0.08, 0.30, True),
        (49, 0.08, 0.30, False),
        (50, 0.08, 0.79, True),
        (111, 0.08, 0.80, False),
        (111, 1.26, 3.0, True),
        (111, 1.25, 3.0, False),
        (111, 0.7, 1.4, False),
    ],
)
def test_a_validation_contradicts_by_enough_patients_and_an_interval_wholly_outside(n, lower, upper, contradicts):
    assert replace(FAR, n=n, lower=lower, upper=upper, o_e=(lower + upper) / 2).contradicts == contradicts


@given(
    st.permutations([FAR, NEAR, replace(FAR, cohort="few", n=20), replace(FAR, cohort="wide", lower=0.1, upper=2.0)])
)
def test_the_worst_stands_first(validations):
    assert [item.cohort for item in sort_validations(validations)] == ["elsewhere", "few", "here", "wide"]


def test_the_record_is_bound_to_the_version_and_to_the_rows(tmp_path):
    assert read_validations(tmp_path, "v1") == ()
    record_validation(tmp_path, "v1", NEAR)
    record_validation(tmp_path, "v1", FAR)
    assert read_validations(tmp_path, "v1") == (FAR, NEAR)
    again = replace(NEAR, cohort="renamed", o_e=1.1)
    record_validation(tmp_path, "v1", again)
    assert read_validations(tmp_path, "v1") == (FAR, again)
    assert read_validations(tmp_path, "v2") == ()
    record_validation(tmp_path, "v2", NEAR)
    assert read_validations(tmp_path, "v1") == ()
    assert len(add_validation([replace(FAR, content=str(place)) for place in range(30)], NEAR)) == 20
    for damaged in ("{", "[]", '{"format": 1, "model_version": "v2", "validations": [{"n": "many"}]}'):
        (tmp_path / RECORD).write_text(damaged)
        with pytest.raises(DataError):
            read_validations(tmp_path, "v2")
        with pytest.raises(DataError):
            read_validations_tag({"validations": damaged}, "v2")


def test_a_tag_holds_the_same_as_the_file():
    tags = {"validations": format_validations((NEAR, FAR), "v1")}
    assert read_validations_tag(tags, "v1") == (FAR, NEAR)
    assert read_validations_tag(tags, "v2") == read_validations_tag({}, "v1") == ()
    eight = [replace(FAR, content="0" * 32, cohort="a_hospital_with_a_long_name") for _ in range(8)]
    assert len(format_validations(eight, "v" * 12)) < 5000


def test_patients_of_the_same_indication_and_approach_are_told_apart_from_others():
    patients = pd.DataFrame(
        {
            "indication": ["lumbar_stenosis", "lumbar_stenosis", "other_radicular", None],
            "approach": ["caudal", "transforaminal", "caudal", "caudal"],
        }
    )
    told = assess_validations((FAR, NEAR), patients)
    assert (told["contradicted"] != "").tolist() == [True, False, False, False]
    assert (told["doubted"] != "").tolist() == [False, True, True, True]
    assert told["validated_on"].str.split("; ").map(len).tolist() == [2] * 4
    assert told.loc[0, list(VALIDATION_COLUMNS[1:])].tolist() == [111, 0.18, 0.08, 0.30]
    silent = assess_validations((), patients)
    assert (silent[["validated_on", "contradicted", "doubted"]] == "").all(axis=None)
    assert silent["validated_n"].isna().all()
    assert (assess_validations((NEAR,), patients)[["contradicted", "doubted"]] == "").all(axis=None)


@pytest.fixture
def contradicted(models_folder, tmp_path):
    """A folder with one model that 111 caudal patients contradict."""
    model = load_predictor(models_folder / "epidural_steroid_injection" / "pain_response")
    folder = save_predictor(model, tmp_path / "models" / "epidural_steroid_injection" / "pain_response")
    record_validation(folder, model.version, FAR)
    return tmp_path / "models"


@pytest.mark.slow
def test_a_contradicted_model_abstains_unless_it_is_allowed(contradicted, tmp_path):
    patients = pd.DataFrame(
        {
            "episode_id": ["a", "b"],
            "indication": "lumbar_radicular_disc",
            "approach": ["caudal", "transforaminal"],
            "pain_nrs": 7,
            "age_years": 55,
            "odi": 45,
            "depression": False,
        }
    )
    asked = {"techniques": ["epidural_steroid_injection"]}
    rows = paincast.predict(patients, contradicted, **asked).set_index("episode_id")
    assert rows["abstained"].tolist() == [True, False]
    assert rows.loc["a", "abstained_because"].startswith("contradicted by data: elsewhere (n 111")
    assert np.isnan(rows.loc["a", "probability"])
    assert "another indication or approach" in rows.loc["b", "cautions"]
    assert (rows["validated_n"] == 111).all()
    allowed = paincast.predict(patients, contradicted, allow_contradicted=True, **asked).set_index("episode_id")
    assert not allowed["abstained"].any()
    assert allowed.loc["a", "cautions"].startswith("contradicted by data: elsewhere")
    assert allowed.loc["b", "probability"] == rows.loc["b", "probability"]
    patients.to_csv(tmp_path / "patients.csv", index=False)
    for flag, n in (([], 1), (["--allow-contradicted"], 2)):
        for suffix in ("csv", "parquet"):
            out = tmp_path / f"out.{suffix}"
            given = [str(tmp_path / "patients.csv"), "-o", str(out), "--models", str(contradicted), "--no-progress"]
            assert run(["predict", *given, "--technique", "epidural_steroid_injection", *flag]) == 0
            written = read_predictions(out)
            assert (~written["abstained"]).sum() == n
            assert written["validated_o_e"].tolist() == [0.18, 0.18]


def make_cohort(share: float, n: int = 120, basis: str = "real") -> Cohort:
    rng = np.random.default_rng(4)
    episodes = pd.DataFrame(
        {
            "episode_id": [f"x{place}" for place in range(n)],
            "patient_id": [f"q{place}" for place in range(n)],
            "technique": "epidural_steroid_injection",
            "indication": "lumbar_radicular_disc",
            "approach": rng.choice(["caudal", "transforaminal"], n),
            "pain_nrs": 8.0,
            "age_years": rng.normal(55, 10, n).clip(20, 90),
            "odi": rng.normal(45, 10, n).clip(0, 100),
            "depression": rng.random(n) < 0.3,
        }
    )
    scores = np.where(np.arange(n) < share * n, 2.0, 7.0)
    visits = pd.DataFrame({"episode_id": episodes["episode_id"], "month": 6.0, "pain_nrs": scores})
    return Cohort(
        episodes=conform("episodes", episodes),
        visits=conform("visits", visits),
        events=conform("events", pd.DataFrame({"episode_id": pd.Series([], dtype="str")})),
        sources=("made up",),
        basis=basis,
    )


@pytest.mark.slow
def test_evaluating_real_patients_records_what_they_say(models_folder, tmp_path, capsys):
    model = load_predictor(models_folder / "epidural_steroid_injection" / "pain_response")
    models = tmp_path / "models"
    bundle = save_predictor(model, models / "epidural_steroid_injection" / "pain_response")
    save_cohort(make_cohort(0.1), tmp_path / "far_away")

    def evaluate(cohort: str, *more: str) -> None:
        where = ["-o", str(tmp_path / "report"), "--tracking-uri", f"sqlite:///{tmp_path}/none.db"]
        assert run(["evaluate", str(models), str(tmp_path / cohort), *where, "--resamples", "50", *more]) == 0

    evaluate("far_away", "--no-record")
    assert not (bundle / RECORD).exists()
    capsys.readouterr()
    evaluate("far_away")
    assert "contradicted by data: epidural_steroid_injection/pain_response on far_away" in capsys.readouterr().out
    content = json.loads((bundle / RECORD).read_text())
    assert content["model_version"] == model.version
    [told] = load_models(models)["epidural_steroid_injection/pain_response"].validations
    assert told.contradicts
    assert (told.cohort, told.indications) == ("far_away", ("lumbar_radicular_disc",))
    assert told.approaches == ("caudal", "transforaminal")
    assert not {f"x{place}" for place in range(120)} & set(json.dumps(content).split('"'))
    assert load_predictor(bundle).version == model.version, "the record is no part of the bundle"
    evaluate("far_away")
    assert load_models(models)["epidural_steroid_injection/pain_response"].validations == (told,)
