"""The mission's route, by the commands a user types, to a reviewed champion; and models of earlier versions."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import paincast
from paincast.predictor import add_version
from paincast.schema import RESEARCH_MARK
from paincast.serving.batch import read_predictions

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
BUNDLES = ROOT / "tests" / "golden" / "bundles"
QUICK = ("evaluation=quick", "uncertainty.refits=10", "progress=false", "jobs=1", "model=logistic")
CAUDAL, FACET = "paincast.epidural_steroid_injection.pain_response", "paincast.facet_rfa.pain_response"
LENIENT = """
bases: [blended]
minimum_real: 50
sample_size: false
slope_probability: null
lost_share: null
tipping_odds: null
log_loss_gain: false
held_out: false
auroc: [0.01, 0.99]
calibration_slope: null
o_e_ratio: [0.1, 10]
ici: null
net_benefit: false
subgroup_o_e_ratio: null
coverage_margin: null
pinball_gain: false
"""


def call(folder: Path, *command: str, code: int = 0) -> str:
    """Run a paincast command as a user would; give what it printed."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("MLFLOW_")}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("paincast")), *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def predict(folder: Path, models: str, patients: Path, out: str) -> pd.DataFrame:
    call(folder, "predict", str(patients), "--models", models, "-o", out, "--no-progress")
    return read_predictions(folder / out)


@pytest.mark.filterwarnings("ignore:::(mlflow|alembic|sqlalchemy|pydantic)")
def test_from_cohorts_to_a_reviewed_champion(tmp_path, real_data):
    """Simulated and real cohorts, Hydra training, batch prediction, MLflow review, promotion and the way back."""
    from mlflow import MlflowClient

    # Cohorts: one simulated from evidence, one real from a registry as published.
    call(tmp_path, "simulate", "-o", "data/cohorts/demo", "--technique", "facet_rfa", "--episodes", "300")
    call(tmp_path, "fetch", "caudal_esi_2018", "--mirror", str(real_data), "--no-progress")
    assert "127 episodes" in call(tmp_path, "ingest", "caudal_esi_2018", "-o", "data/cohorts/caudal_esi_2018")

    # Hydra training: a configuration folder of one's own, a shipped experiment, a multirun over outcomes.
    (tmp_path / "mine" / "cohort").mkdir(parents=True)
    (tmp_path / "mine" / "cohort" / "demo.yaml").write_text("source: folder\npath: data/cohorts/demo\n")
    call(tmp_path, "train", "--config-dir", "mine", "cohort=demo", *QUICK)
    call(tmp_path, "train", "-m", "experiment=caudal_esi_2018", "outcome=pain_response,pain_response_30", *QUICK)
    models = tmp_path / "models"
    bundles = sorted(path.parent.relative_to(models).as_posix() for path in models.rglob("bundle.json"))
    assert bundles == [
        "epidural_steroid_injection/pain_response",
        "epidural_steroid_injection/pain_response_30",
        "facet_rfa/pain_response",
    ]

    # MLflow: what a reviewer finds of each model.
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    runs = client.search_runs(["1"], filter_string="tags.kind = 'model'")
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert sorted(run.data.tags["basis"] for run in runs) == ["blended", "blended", "synthetic"]
    assert {run.data.tags["use"] for run in runs} == {RESEARCH_MARK}
    for run in runs:
        assert {"auroc", "o_e_ratio", "calibration_slope", "ici"} <= set(run.data.metrics)
        recorded = {file.path for file in client.list_artifacts(run.info.run_id)}
        assert {"report", "tables", "figures"} <= recorded
        assert "report/report.html" in {file.path for file in client.list_artifacts(run.info.run_id, "report")}

    # Batch prediction: CSV and Parquet say what the function says, and nothing is allowed beyond research.
    patients = ROOT / "examples" / "patients.csv"
    written = predict(tmp_path, "models", patients, "predictions.csv")
    typed = predict(tmp_path, "models", patients, "predictions.parquet")
    with pytest.warns(UserWarning) as notes:  # noqa: PT030 - two notes, each held to its facts below
        frame = paincast.predict(pd.read_csv(patients), models)
    told = " ".join(str(note.message) for note in notes)
    assert re.search(r"blended: epidural_steroid_injection.*; synthetic: facet_rfa", told)
    assert re.search(r"not from the last training.*: epidural_steroid_injection/pain_response, facet_rfa", told)
    assert not frame["abstained"].all()
    assert set(written["use"]) <= {RESEARCH_MARK, ""}
    assert set(written.loc[~written["abstained"], "use"]) == {RESEARCH_MARK}
    for other in (written, typed):
        assert list(other["episode_id"]) == list(frame["episode_id"])
        np.testing.assert_allclose(other["probability"], frame["probability"], rtol=0, atol=1e-12)
        assert list(other["abstained_because"]) == list(frame["abstained_because"])

    # Review: the gate refuses the small real model and says why; a gate of one's own lets it pass, and back again.
    assert "sample_size" in call(tmp_path, "promote", f"{CAUDAL}@candidate", code=2)
    (tmp_path / "lenient.yaml").write_text(LENIENT)
    call(tmp_path, "promote", f"{CAUDAL}@candidate", "--gate", "lenient.yaml")
    caudal = real_caudal(tmp_path)
    champion = predict(tmp_path, f"models:/{CAUDAL}@champion", caudal, "champion.csv")
    assert set(champion.loc[~champion["abstained"], "use"]) == {""}
    as_run = predict(tmp_path, f"runs:/{find_run(runs, CAUDAL)}/model", caudal, "run.csv")
    np.testing.assert_array_equal(as_run["probability"], champion["probability"])
    assert set(as_run.loc[~as_run["abstained"], "use"]) == {RESEARCH_MARK}
    assert "basis" in call(tmp_path, "promote", f"{FACET}@candidate", code=2)
    call(tmp_path, "promote", f"{FACET}@candidate", "--gate", "research", code=2)
    call(tmp_path, "report", f"{CAUDAL}@champion", "-o", "report")
    assert (tmp_path / "report" / "report.html").is_file()
    call(tmp_path, "rollback", CAUDAL, code=2)


def real_caudal(folder: Path) -> Path:
    return folder / "data" / "cohorts" / "caudal_esi_2018" / "episodes.parquet"


def find_run(runs: list, name: str) -> str:
    _, technique, outcome = name.split(".")
    asked = {"technique": technique, "outcome": outcome}
    return next(run.info.run_id for run in runs if asked.items() <= run.data.tags.items())


ANSWERS = pd.read_csv(BUNDLES / "format2_answers.csv")


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("earlier")
    for name in ("format2.zip", "format2_curved.zip"):
        with zipfile.ZipFile(BUNDLES / name) as archive:
            archive.extractall(folder)
    return folder


@pytest.mark.parametrize("bundle", sorted(set(ANSWERS["bundle"])))
def test_a_bundle_of_an_earlier_version_answers_as_it_did(earlier, bundle):
    """Linear, trees, the ladder, durations, changes: numbers stay; rules of safety, use and reasons are today's."""
    expected = ANSWERS[ANSWERS["bundle"] == bundle].reset_index(drop=True)
    predictor = paincast.load_model(earlier / bundle)
    assert add_version(predictor).version == predictor.version
    rows = paincast.predict(pd.read_csv(BUNDLES / "patients.csv"), predictor, techniques="all")
    numbers = ["horizon_months", "probability", "lower", "upper", "expected", "expected_lower", "expected_upper"]
    for column in (*numbers, "level"):
        np.testing.assert_allclose(rows[column].astype(float), expected[column], rtol=0, atol=1e-12, err_msg=column)
    for column in ("episode_id", "outcome", "abstained", "in_domain", "n_real", "basis", "model_version"):
        assert list(rows[column]) == list(expected[column]), column
    assert (~rows["abstained"]).sum() > 5
    assert set(rows.loc[~rows["abstained"], "use"]) == {RESEARCH_MARK}
    told = 0
    for reasons, then in zip(rows["reasons_for"], expected["reasons_for"].fillna(""), strict=True):
        sizes = {one["variable"]: f"{one.get('log_odds', one.get('points')):.6f}" for one in reasons}
        before = dict(one.split("=") for one in then.split(";") if one)
        told += len(shared := sizes.keys() & before.keys())
        assert {name: sizes[name] for name in shared} == {name: before[name] for name in shared}
    assert told > 5


def test_dvc_repro_runs_what_is_out_of_date_and_no_more(tmp_path):
    """The stages of dvc.yaml, made small, in a copy of the project with a repository of its own."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    kept = [line for line in tracked.splitlines() if not line.startswith(("tests/", "docs/", "benchmarks/"))]
    for name in kept:
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / name)
    stages = yaml.safe_load((tmp_path / "dvc.yaml").read_text(encoding="utf-8"))
    smaller = {
        "simulate": " --episodes 120 --technique facet_rfa --technique si_joint_rfa",
        "train": " evaluation=quick uncertainty.refits=10 jobs=1 model=logistic",
        "evaluate": " --resamples 50",
        "predict": "",
    }
    for stage, held in stages["stages"].items():
        commands = held["cmd"] if isinstance(held["cmd"], list) else [held["cmd"]]
        held["cmd"] = [command + smaller[stage] for command in commands]
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump(stages), encoding="utf-8")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(tmp_path / "src"),
        "DVC_NO_ANALYTICS": "1",
    }

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("git", "init", "-q")
    first = run(sys.executable, "-m", "dvc", "repro")
    assert [stage for stage in stages["stages"] if f"Running stage '{stage}'" in first] == list(stages["stages"])
    answers = pd.read_csv(tmp_path / "predictions" / "demo.csv")
    assert set(answers.loc[~answers["abstained"], "basis"]) == {"synthetic"}
    assert "Running stage" not in run(sys.executable, "-m", "dvc", "repro")
    metrics = json.loads(run(sys.executable, "-m", "dvc", "metrics", "show", "--json"))
    estimates = metrics[""]["data"]["reports/holdout/metrics.json"]["data"]["facet_rfa"]["pain_response"]
    table = pd.read_csv(tmp_path / "reports" / "holdout" / "metrics.csv").set_index(["technique", "metric"])["estimate"]
    assert estimates["auroc"] == table["facet_rfa", "auroc"]
    plots = json.loads(run(sys.executable, "-m", "dvc", "plots", "show", "--json"))["data"]
    points = [point for plot in plots.values() for picture in plot for point in picture["content"]["data"]["values"]]
    curve = pd.read_csv(tmp_path / "reports" / "holdout" / "calibration.csv")
    assert len(points) == len(curve) > 0
    with (tmp_path / "examples" / "patients.csv").open("a", encoding="utf-8") as stream:
        stream.write("\n")
    again = run(sys.executable, "-m", "dvc", "repro")
    assert [stage for stage in stages["stages"] if f"Running stage '{stage}'" in again] == ["predict"]
