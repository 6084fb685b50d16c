"""A model is not judged on patients it was trained on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from paincast.cli.app import run
from paincast.cohort.tables import save_cohort
from paincast.errors import RefusalError
from paincast.fingerprints import make_fingerprints
from paincast.predictor import load_predictor, save_predictor
from paincast.serving.comparison import compare_models
from paincast.serving.validation.external import evaluate_models
from paincast.simulator import simulate_cohort, write_cohort


@pytest.fixture(scope="module")
def cohorts():
    return [simulate_cohort(techniques=["facet_rfa"], episodes_per_technique=200, seed=seed)[0] for seed in (21, 22)]


@pytest.fixture(scope="module")
def model(models_folder):
    return load_predictor(models_folder / "facet_rfa" / "pain_response")


def mix(cohorts, shared: int):
    """Take some patients of the first cohort into the second, under other ids."""
    own, other = cohorts
    ids = dict(zip(own.episodes["episode_id"], [f"again-{n}" for n in range(len(own.episodes))], strict=True))
    taken = own.episodes.head(shared)
    episodes = taken.assign(episode_id=taken["episode_id"].map(ids), patient_id=taken["episode_id"].map(ids))
    visits = own.visits[own.visits["episode_id"].isin(taken["episode_id"])]
    return replace(
        other,
        episodes=pd.concat([episodes, other.episodes], ignore_index=True),
        visits=pd.concat([visits.assign(episode_id=visits["episode_id"].map(ids)), other.visits], ignore_index=True),
    )


@pytest.mark.slow
@pytest.mark.parametrize(("shared", "counted"), [(37, "37"), (3, "fewer than 5"), (0, "0")])
def test_overlap_is_counted_and_refused_and_left_out_when_asked(cohorts, model, shared, counted):
    fingerprints = {model.version: make_fingerprints(cohorts[0].episodes, model.version)}
    mixed, seed = mix(cohorts, shared), np.random.default_rng
    n = cohorts[1].episodes["patient_id"].nunique()
    told = f"{counted} of {n + shared} patients"
    judged = (
        lambda **more: evaluate_models({"a": model}, mixed, rng=seed(1), resamples=50, **more),
        lambda **more: compare_models(model, model, mixed, rng=seed(1), resamples=50, **more),
    )
    for judge in judged:
        if shared:
            with pytest.raises(RefusalError, match=f"was trained on {told} of this cohort"):
                judge(fingerprints=fingerprints)
        table, flow, *further = judge(fingerprints=fingerprints, exclude_overlap=True)
        shown = flow["trained_on"] if "trained_on" in flow else flow["n"].iloc[:2]
        assert set(shown) == {f"{told}, who are left out" if shared else told}
        assert table["n"].max() <= n
        assert all(points["n"].sum() == table["n"].max() for points in further[:1])
    with pytest.raises(RefusalError, match="nobody is left"):
        evaluate_models({"a": model}, cohorts[0], rng=seed(1), fingerprints=fingerprints, exclude_overlap=True)


def test_what_cannot_be_checked_is_said(cohorts, model):
    flow = evaluate_models({"a": model}, cohorts[1], rng=np.random.default_rng(1), resamples=50).flow
    assert "cannot be checked" in flow["trained_on"].iloc[0]
    _, flow = compare_models(model, model, cohorts[1], rng=np.random.default_rng(1), resamples=50)
    assert flow["n"].astype(str).str.contains("cannot be checked").sum() == 2


@pytest.mark.slow
def test_the_command_finds_fingerprints_beside_the_model(cohorts, model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_predictor(model, "trained/facet_rfa", make_fingerprints(cohorts[0].episodes, model.version))
    save_cohort(replace(cohorts[0], basis="real"), "cohort")
    n = cohorts[0].episodes["patient_id"].nunique()
    assert run(["evaluate", "trained", "cohort", "-o", "report", "--resamples", "50"]) == 2
    said = capsys.readouterr().err
    assert f"version {model.version}" in said
    assert f"about {5 * round(n / 5)} of about {5 * round(n / 5)} patients" in said
    assert "--exclude-overlap" in said
    save_cohort(replace(mix(cohorts, 37), basis="real"), "mixed")
    write_cohort("another", techniques=["facet_rfa"], episodes_per_technique=200, seed=23)
    assert run(["evaluate", "trained", "mixed", "-o", "report", "--exclude-overlap", "--resamples", "50"]) == 0
    assert pd.read_csv("report/flow.csv")["trained_on"].iloc[0].startswith("about 35 of ")
    assert run(["evaluate", "trained", "another", "-o", "report", "--resamples", "50"]) == 0
    assert pd.read_csv("report/flow.csv")["trained_on"].iloc[0].startswith("0 of ")


def test_fingerprints_do_not_change_a_model(cohorts, model, tmp_path):
    folders = [tmp_path / name for name in ("with", "without")]
    save_predictor(model, folders[0], make_fingerprints(cohorts[0].episodes, model.version))
    save_predictor(model, folders[1])
    assert load_predictor(folders[0]).version == load_predictor(folders[1]).version == model.version
    assert (folders[0] / "bundle.json").read_bytes() == (folders[1] / "bundle.json").read_bytes()
