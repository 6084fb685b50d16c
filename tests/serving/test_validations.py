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
from paincast.cohort.tables import conform, save_cohort
from paincast.errors import DataError
from paincast.predictor import load_predictor, save_predictor
from paincast.predictor.validation import (
    RECORD,
    VALIDATION_COLUMNS,
    Validation,
    add_validation,
    assess_validations,
    format_tag,
    format_validations,
    is_contradicted,
    read_validations,
    read_validations_tag,
    record_validation,
    sort_validations,
)
from paincast.serving.batch import read_predictions
from paincast.serving.predict import load_models
from paincast.serving.validation.external import evaluate_and_validate

FAR = Validation(
    cohort="elsewhere",
    content="a",
    n=110,
    o_e=0.18,
    lower=0.08,
    upper=0.30,
    contradicts=True,
    groups=(("lumbar_radicular_disc", "caudal"), ("lumbar_stenosis", "caudal")),
)
NEAR = replace(FAR, cohort="here", content="b", o_e=1.0, lower=0.85, upper=1.2, contradicts=False)
WIDE = replace(FAR, cohort="wide", content="c", lower=0.1, upper=2.0, contradicts=False)
FEW = replace(FAR, cohort="few", content="d", n=20, contradicts=False)


@pytest.mark.parametrize(
    ("n", "lower", "upper", "contradicts"),
    [
        (50, 0.08, 0.79, True),
        (111, 0.08, 0.80, False),
        (111, 1.26, 3.0, True),
        (111, 1.25, 3.0, False),
    ],
)
def test_a_validation_contradicts_by_enough_patients_and_an_interval_wholly_outside(n, lower, upper, contradicts):
    assert is_contradicted(n, lower, upper) == contradicts


@given(st.permutations([FAR, NEAR, FEW, WIDE]))
def test_the_worst_stands_first(validations):
    assert [item.cohort for item in sort_validations(validations)] == ["elsewhere", "few", "here", "wide"]


@given(st.permutations([FAR, NEAR, FEW, WIDE]))
def test_no_validation_is_lost_by_another(validations):
    kept = ()
    for validation in validations:
        kept = add_validation(kept, validation)
    assert kept == (FAR, FEW, NEAR, WIDE)
    assert add_validation(kept, replace(NEAR, content="e", o_e=1.1)) == (
        FAR,
        FEW,
        replace(NEAR, content="e", o_e=1.1),
        WIDE,
    )
    renamed = replace(NEAR, cohort="renamed")
    assert add_validation(kept, renamed) == (FAR, FEW, renamed, WIDE)


def test_the_record_is_bound_to_the_version(tmp_path):
    assert read_validations(tmp_path, "v1") == ()
    record_validation(tmp_path, "v1", NEAR)
    record_validation(tmp_path, "v1", FAR)
    assert read_validations(tmp_path, "v1") == (FAR, NEAR)
    assert read_validations(tmp_path, "v2") == ()
    record_validation(tmp_path, "v2", NEAR)
    assert read_validations(tmp_path, "v1") == ()


BAD = {"n": -5, "lower": 0.5, "o_e": 0.5, "upper": 0.1, "cohort": 3, "groups": "all"}


@pytest.mark.parametrize(
    "damaged",
    [
        "{",
        "[]",
        "[" * 3000,
        '{"format": 1, "model_version": "v2", "validations": [{"n": "many"}]}',
        format_validations((FAR,), "v2").replace('"format": 1', '"format": 9'),
        *(format_validations((replace(FAR, **{name: value}),), "v2") for name, value in BAD.items()),
    ],
)
def test_a_damaged_record_is_refused_with_its_remedy(damaged, tmp_path):
    (tmp_path / RECORD).write_text(damaged)
    for read in (
        lambda: read_validations(tmp_path, "v2"),
        lambda: read_validations_tag({"validations": damaged}, "v2"),
    ):
        with pytest.raises(DataError, match="remove it and evaluate the model again") as refused:
            read()
        assert refused.value.code == "PC-MODEL-30"


def test_a_tag_holds_the_same_as_the_file_the_worst_first():
    assert read_validations_tag({"validations": format_tag((NEAR, FAR), "v1")}, "v1") == (FAR, NEAR)
    assert read_validations_tag({"validations": format_tag((NEAR, FAR), "v1")}, "v2") == ()
    assert read_validations_tag({}, "v1") == ()
    many = [replace(NEAR, content=str(place), cohort=f"a hospital with a long name {place}") for place in range(40)]
    tag = format_tag([*many, FAR], "v1")
    assert len(tag) <= 5000
    assert read_validations_tag({"validations": tag}, "v1")[0] == FAR


def test_patients_like_those_evaluated_are_told_apart_from_others():
    patients = pd.DataFrame(
        {
            "indication": ["lumbar_stenosis", "lumbar_stenosis", "other_radicular", None, "lumbar_stenosis"],
            "approach": ["caudal", "transforaminal", "caudal", "caudal", None],
        }
    )

    def assess(validations):
        rows = patients.astype(object).where(patients.notna(), None).itertuples(index=False)
        return pd.DataFrame([assess_validations(validations, *row) for row in rows])

    told = assess((FAR, NEAR))
    assert (told["contradicted"] != "").tolist() == [True, False, False, False, True]
    assert (told["doubted"] != "").tolist() == [False, True, True, True, False]
    assert told["validated_on"].str.split("; ").map(len).tolist() == [2] * 5
    assert told.loc[0, list(VALIDATION_COLUMNS[1:])].tolist() == [110, 0.18, 0.08, 0.30]
    unrecorded = replace(FAR, groups=(("lumbar_stenosis", ""),))
    assert (assess((unrecorded,))["contradicted"] != "").tolist() == [False] * 4 + [True]
    silent = assess(())
    assert (silent[["validated_on", "contradicted", "doubted"]] == "").all(axis=None)
    assert silent["validated_n"].isna().all()
    assert (assess((NEAR,))[["contradicted", "doubted"]] == "").all(axis=None)


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
    assert rows.loc["a", "abstained_because"].startswith("contradicted by data: elsewhere (about 110 patients")
    assert np.isnan(rows.loc["a", "probability"])
    assert "other indications or approaches" in rows.loc["b", "cautions"]
    assert (rows["validated_n"] == 110).all()
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


@pytest.mark.slow
def test_evaluating_real_patients_records_what_they_say(models_folder, tmp_path, capsys, make_cohort):
    model = load_predictor(models_folder / "epidural_steroid_injection" / "pain_response")
    models = tmp_path / "models"
    bundle = save_predictor(model, models / "epidural_steroid_injection" / "pain_response")
    save_cohort(make_cohort(0.1), tmp_path / "far_away")

    def evaluate(cohort: str, *more: str) -> None:
        where = ["-o", str(tmp_path / "report"), "--tracking-uri", f"sqlite:///{tmp_path}/none.db"]
        assert run(["evaluate", str(models), str(tmp_path / cohort), *where, "--resamples", "50", *more]) == 0

    evaluate("far_away", "--no-record")
    evaluate("far_away", "--confidence", "0.9")
    assert "not recorded" in capsys.readouterr().out
    assert not (bundle / RECORD).exists()
    evaluate("far_away")
    assert "contradicted by data: epidural_steroid_injection/pain_response abstains" in capsys.readouterr().out
    content = json.loads((bundle / RECORD).read_text())
    assert content["model_version"] == model.version
    [told] = load_models(models)["epidural_steroid_injection/pain_response"].validations
    assert (told.cohort, told.n, told.contradicts) == ("far_away", 120, True)
    assert told.groups == (("lumbar_radicular_disc", "caudal"), ("lumbar_radicular_disc", "transforaminal"))
    assert told.o_e == round(told.o_e, 2)
    assert not {f"x{place}" for place in range(120)} & set(json.dumps(content).split('"'))
    assert load_predictor(bundle).version == model.version, "the record is no part of the bundle"
    turned = make_cohort(0.1)
    turned = replace(turned, episodes=turned.episodes[::-1].reset_index(drop=True))
    save_cohort(turned, tmp_path / "again")
    evaluate("again")
    [again] = load_models(models)["epidural_steroid_injection/pain_response"].validations
    assert (again.cohort, again.content) == ("again", told.content)
    evaluate("again")
    assert load_models(models)["epidural_steroid_injection/pain_response"].validations == (again,)


@pytest.mark.slow
@pytest.mark.parametrize("basis", ["synthetic", "blended"])
def test_patients_who_are_not_all_real_validate_nothing(models_folder, basis, make_cohort):
    model = load_predictor(models_folder / "epidural_steroid_injection" / "pain_response")
    asked = {"truth": None, "rng": np.random.default_rng(1), "resamples": 50, "confidence": 0.95}
    _, found, unfit = evaluate_and_validate(
        {"one": model}, make_cohort(0.5, basis=basis), fingerprints={}, exclude_overlap=False, **asked
    )
    assert found == {}
    assert unfit == {"epidural_steroid_injection/pain_response": f"the patients are {basis}"}


@pytest.mark.slow
def test_a_model_that_may_have_seen_the_patients_is_not_validated_by_them(models_folder, make_cohort):
    model = load_predictor(models_folder / "epidural_steroid_injection" / "pain_response")
    asked = {"truth": None, "resamples": 50, "confidence": 0.95, "fingerprints": {}, "exclude_overlap": False}
    for n_real, recorded in ((0, True), (200, False)):
        models = {"one": replace(model, n_real=n_real)}
        _, found, unfit = evaluate_and_validate(models, make_cohort(0.5), rng=np.random.default_rng(1), **asked)
        assert bool(found) == recorded
        assert bool(unfit) != recorded
    small = make_cohort(0.5, n=200)
    rare = small.episodes.assign(indication=np.where(np.arange(200) < 12, "lumbar_stenosis", "lumbar_radicular_disc"))
    cohort = replace(small, episodes=conform("episodes", rare))
    _, found, _ = evaluate_and_validate({"one": model}, cohort, rng=np.random.default_rng(1), **asked)
    assert {indication for indication, _ in found[model.version].groups} == {"lumbar_radicular_disc"}
