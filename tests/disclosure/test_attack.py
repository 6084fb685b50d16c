"""All that a run on real patients leaves is attacked together, and no cell of 1 to 4 is found."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from attack import attack_calibration, attack_decisions, attack_groups, find_leaks, read_count
from bundles import find_bundle_leaks

from paincast.cohort.registry.ingest import ingest
from paincast.cohort.registry.mapping import load_mapping
from paincast.cohort.tables import save_cohort
from paincast.settings import (
    CohortSettings,
    EvaluationSettings,
    ModelSettings,
    OutcomeSettings,
    TrackingSettings,
    TrainingSettings,
    UncertaintySettings,
)
from paincast.training import train

SETS = {
    "caudal_esi_2018": ("epidural_steroid_injection", 1.0, "trial44.csv", 0, 0),
    "genicular_rfa_2024": ("genicular_rfa", 3.0, "trial75.csv", 3, 2),
}
"""Technique, month, file, how many are made to be lost to follow-up, and how many to be treated twice."""

pytestmark = pytest.mark.filterwarnings("ignore:::(mlflow|alembic|sqlalchemy|pydantic)")


@pytest.fixture(scope="module", params=SETS)
def released(request, real_data, tmp_path_factory, few_candidates):
    """Train on a real set with tracking on, and read everything that was recorded as it is printed."""
    technique, month, file, lost, twice = SETS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    cohort, _ = ingest(load_mapping(request.param), [real_data / request.param / file])
    gone = cohort.episodes["episode_id"].iloc[:lost]
    visits = cohort.visits[~(cohort.visits["episode_id"].isin(gone) & (cohort.visits["month"] > 0))]
    episodes = cohort.episodes.copy()
    again = episodes.index[len(episodes) - twice :]
    episodes.loc[again, "patient_id"] = episodes["patient_id"].iloc[lost : lost + twice].tolist()
    save_cohort(replace(cohort, episodes=episodes, visits=visits.reset_index(drop=True)), folder / "cohort")
    train(
        TrainingSettings(
            techniques=[technique],
            cohort=CohortSettings(source="folder", path=str(folder / "cohort")),
            outcome=OutcomeSettings(horizon_months=month),
            model=ModelSettings(**{**few_candidates, "candidates": ["logistic"]}),
            evaluation=EvaluationSettings(folds=3, repeats=1, resamples=60),
            uncertainty=UncertaintySettings(refits=10),
            tracking=TrackingSettings(uri=f"sqlite:///{folder / 'mlflow.db'}", artifacts=str(folder / "artifacts")),
            models_folder=str(folder / "models"),
            progress=False,
            jobs=1,
        )
    )
    return read_everything(folder)


def read_everything(folder: Path):
    """Give tables, parameters and texts of the run of the model and the one above it."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    runs = client.search_runs([one.experiment_id for one in client.search_experiments()])
    assert len(runs) == 2
    params, texts = {}, {}
    for run in runs:
        params |= {**run.data.params, **{name: run.data.tags[name] for name in ("n_real",) if name in run.data.tags}}
        texts |= {f"tag {name} of {run.info.run_name}": str(told) for name, told in run.data.tags.items()}
        for entry in run.inputs.dataset_inputs:
            profile = json.loads(entry.dataset.profile)
            params |= {name: f"about {count}" for name, count in profile.items()}
    bundles = [json.loads(path.read_text()) for path in (folder / "artifacts").rglob("bundle.json")]
    assert len(bundles) >= 1
    assert [leak for bundle in bundles for leak in find_bundle_leaks(bundle)] == []
    tables = {path.stem: pd.read_csv(path, dtype=str) for path in (folder / "artifacts").rglob("tables/*.csv")}
    for path in (folder / "artifacts").rglob("*"):
        if path.suffix in (".html", ".md", ".csv", ".yaml"):
            texts[path.name] = path.read_text(encoding="utf-8")
    assert {"flow", "calibration_curve", "decision_curve", "subgroups", "characteristics", "metrics"} <= set(tables)
    assert {"report.html", "model_card.md", "overview.html"} <= set(texts)
    return tables, params, texts


def test_no_cell_of_few_patients_is_found_in_all_that_a_run_leaves(released):
    assert find_leaks(*released) == []


def test_what_is_measured_has_few_digits(released):
    tables, _, _ = released
    for name in ("metrics", "decision_curve", "subgroups", "calibration_flexible", "loss_to_follow_up"):
        for column in ("estimate", "lower", "upper", "observed", "weighted_estimate"):
            digits = (
                tables[name].get(column, pd.Series(dtype=str)).dropna().str.replace(r"e.*$|^-?0\.0*|\D", "", regex=True)
            )
            assert (digits.str.len() <= 4).all(), f"{name}: {column}"


def plant(released, **tables):
    held, params, texts = released
    return find_leaks({**held, **tables}, params, texts)


def test_the_old_calibration_curve_is_found(released):
    """Ten quantile groups of the caudal set, as they were recorded before."""
    events, n = [1, 0, 0, 0, 0, 4, 2, 1, 2, 0], [11, 11, 11, 11, 11, 11, 11, 11, 11, 12]
    rows = [f"{place},{k / size!r},{size}" for place, (k, size) in enumerate(zip(events, n, strict=True), 1)]
    old = pd.read_csv(io.StringIO("bin,observed,n\n" + "\n".join(rows)), dtype=str)
    assert len(list(attack_calibration(old))) == 5
    assert plant(released, calibration_curve=old)


def test_net_benefits_with_all_digits_are_solved():
    n, n_events, rows = 47, 23, []
    for threshold, right, vain in ((0.44, 20, 22), (0.46, 18, 15), (0.47, 3, 9)):
        benefit = right / n - threshold / (1 - threshold) * vain / n
        rows.append(f"net_benefit,model,{threshold},{benefit!r}")
    curve = pd.read_csv(io.StringIO("metric,strategy,threshold,estimate\n" + "\n".join(rows)), dtype=str)
    found = list(attack_decisions(curve, n, n_events))
    assert "decision_curve: treated rightly at 0.47" in found
    assert "decision_curve: between 0.44 and 0.46" in found


def test_groups_are_added_up_and_an_area_gives_its_pairs():
    rows = "attribute,level,metric,n,n_events,estimate\nsex,female,auroc,60,,0.7241379310344828\nsex,male,auroc,51,,\n"
    table = pd.read_csv(io.StringIO(rows), dtype=str)
    assert list(attack_groups({"subgroups": table}, 111, 10))
    told = table.assign(n_events=["8", None])
    assert "subgroups: sex, hidden n_events sum to 2" in list(attack_groups({"subgroups": told}, 111, 10))


def test_patients_beside_episodes_are_found():
    header = "attribute,level,metric,n,n_patients,n_events,estimate\n"
    rows = f"{header}sex,female,auroc,60,58,20,0.7\nsex,male,auroc,51,51,20,0.7\n"
    found = list(attack_groups({"subgroups": pd.read_csv(io.StringIO(rows), dtype=str)}, 111, 40))
    assert found == ["subgroups: sex, few episodes are further ones of a patient"]


@pytest.mark.slow
def test_totals_that_differ_by_few_are_found(released):
    tables, params, texts = released
    n = int(params["n_training"])
    assert find_leaks(tables, {**params, "n_episodes": str(n + 2)}, texts)
    assert not [
        leak for leak in find_leaks(tables, {**params, "n_episodes": f"about {n + 2}"}, texts) if "about" in leak
    ]
    assert find_leaks(tables, params, {**texts, "note": "3 of 50 were lost to follow-up."})


@pytest.mark.parametrize(
    ("told", "counts"), [("about 50", {48, 49, 50, 51, 52}), ("47.0", {47}), ("fewer than 5", set())]
)
def test_a_rounded_count_is_any_of_five(told, counts):
    assert read_count(told) == counts
