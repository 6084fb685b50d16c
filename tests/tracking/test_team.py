"""Several people on one store: SQLite and PostgreSQL, artifacts on a shared folder, and no run lost."""

from __future__ import annotations

import importlib.util
import itertools
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from paincast.errors import OutputError, SettingsError
from paincast.settings import GateSettings, TrackingSettings
from paincast.tracking import Store, fetch_runs, prepare_store, promote, resolve_store

JOBS = 8
PROCESS_SECONDS = 300
RECORD = """
import pickle, sys
from pathlib import Path
from paincast.cli.hydra_app import run_training
from paincast.tracking import log_model_run, resolve_store, start_training

model = pickle.loads(Path(sys.argv[1]).read_bytes())

def record(settings, config_yaml):
    store = resolve_store(settings.tracking)
    seed = {"seed": settings.seed}
    with start_training(store, "a training", params=seed, tags={"basis": "real"}, config_yaml=config_yaml) as training:
        log_model_run(training, model)

run_training(sys.argv[2:], record)
"""
"""A training that records a model made beforehand, so that what is slow is the recording."""

COMMAND = "from paincast.cli import main; main()"
SWEEP = {
    "technique": ("facet_rfa", "si_joint_rfa", "facet_joint_injection", "nerve_root_block"),
    "outcome": ("pain_response", "function_response"),
}
SMALLEST = (
    *("cohort.episodes_per_technique=100", "observation.method=complete_case", "calibration=none"),
    *("model=logistic", "model.ridge_spreads=[0.12]", "model.lasso_strengths=[]", "model.borrowing=[0.0]"),
    *("model.selection_folds=2", "evaluation.folds=2", "evaluation.resamples=50", "uncertainty.refits=10"),
    *("jobs=1", "progress=false"),
)
"""Settings of the smallest training that is one."""

ARTIFACTS = (
    *("tables/metrics.csv", "tables/checklist.csv", "tables/verdict_default.csv"),
    *("figures/calibration/calibration.png", "report/report.html", "report/model_card.md"),
)


@pytest.fixture(scope="module")
def server() -> Iterator[object]:
    """A PostgreSQL server; a test that needs it is skipped where the machine has none."""
    helper = _load_helper()
    programs, user = helper.find_programs(), helper.find_user()
    if programs is None:
        pytest.skip("PostgreSQL is not on this machine (no postgres and initdb on the path or in /usr/lib/postgresql)")
    if user is None:
        pytest.skip("PostgreSQL does not run as root, and this machine has no user postgres or nobody")
    with helper.run_server(programs, user) as running:
        yield running


def _load_helper():
    path = Path(__file__).with_name("postgres.py")
    spec = importlib.util.spec_from_file_location("paincast_tests_postgres", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Team:
    """A store that several write to: what its members have in their environment, and their shared folder."""

    environment: dict[str, str]
    artifacts: Path
    model: Path
    desks: Path

    @property
    def store(self) -> Store:
        settings = TrackingSettings(uri=self.environment["MLFLOW_TRACKING_URI"], artifacts=str(self.artifacts))
        return resolve_store(settings)

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(tracking_uri=self.store.uri)

    def start(self, desk: str, *overrides: str, code: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Start a training at a desk, in a folder that no other has; of a model made beforehand unless told how."""
        folder = self.desks / desk
        folder.mkdir(parents=True)
        place = [f"tracking.artifacts={self.artifacts}", "hydra.sweep.dir=sweep", "hydra.run.dir=run"]
        return subprocess.Popen(
            [sys.executable, "-c", *(code or (RECORD, str(self.model))), *overrides, *place],
            cwd=folder,
            env=os.environ | {"OMP_NUM_THREADS": "1"} | self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self, *started: subprocess.Popen[str]) -> list[str]:
        told = [process.communicate(timeout=PROCESS_SECONDS)[0] for process in started]
        assert [process.returncode for process in started] == [0] * len(started), "\n".join(told)
        return told

    def list_runs(self, kind: str):
        experiment = self.client.get_experiment_by_name("paincast")
        return self.client.search_runs([experiment.experiment_id], f"tags.kind = '{kind}'")


@pytest.fixture(params=["sqlite", "postgresql"])
def team(request, recorded, tmp_path, monkeypatch) -> Team:
    model = tmp_path / "model.pickle"
    model.write_bytes(pickle.dumps(replace(recorded.model, figures={}, captions={})))
    if request.param == "sqlite":
        environment = {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"}
    else:
        server = request.getfixturevalue("server")
        address = server.create_database(tmp_path.name)
        environment = {"MLFLOW_TRACKING_URI": address, **server.environment}
    for name, setting in environment.items():
        if name != "MLFLOW_TRACKING_URI":
            monkeypatch.setenv(name, setting)
    return Team(environment, tmp_path / "shared", model, tmp_path / "desks")


def test_two_write_at_once_to_a_store_that_neither_has_prepared(team, recorded, tmp_path):
    team.finish(*(team.start(f"desk {number}", f"seed={number}") for number in (1, 2)))
    assert_all_are_kept(team, recorded, [1, 2])
    (run,) = fetch_runs(team.store, "paincast.genicular_rfa.pain_response@candidate", tmp_path / "fetched")
    assert (run.folder / "tables" / "metrics.csv").is_file()
    refused = promote(team.store, "paincast.genicular_rfa.pain_response/1", GateSettings())
    assert not refused.verdict.passed


def test_a_multirun_of_eight_in_parallel_loses_no_run(team, recorded):
    seeds = list(range(1, JOBS + 1))
    sweep = ["-m", "hydra/launcher=joblib", f"hydra.launcher.n_jobs={JOBS}", f"seed={','.join(map(str, seeds))}"]
    (told,) = team.finish(team.start("desk", *sweep))
    assert "error" not in told.lower()
    assert_all_are_kept(team, recorded, seeds)


def test_eight_trainings_in_parallel_lose_no_run(team):
    combined = [f"{name}={','.join(choices)}" for name, choices in SWEEP.items()]
    sweep = ["-m", "hydra/launcher=joblib", f"hydra.launcher.n_jobs={JOBS}", *combined, *SMALLEST]
    (told,) = team.finish(team.start("desk", *sweep, code=(COMMAND, "train")))
    assert "no model for" not in told
    parents, models = team.list_runs("training"), team.list_runs("model")
    asked = sorted(itertools.product(*SWEEP.values()))
    assert len(parents) == len(asked) == JOBS
    assert {run.info.status for run in (*parents, *models)} == {"FINISHED"}
    assert sorted((run.data.tags["technique"], run.data.tags["outcome"]) for run in models) == asked
    assert sorted(run.data.tags["mlflow.parentRunId"] for run in models) == sorted(run.info.run_id for run in parents)
    for run in models:
        table = pd.read_csv(team.artifacts / run.info.run_id / "artifacts" / "tables" / "metrics.csv")
        known = table[(table["group"] == "overall") & table["estimate"].notna()].set_index("metric")
        assert {"auroc", "o_e_ratio", "ici"} <= set(known.index)
        for name, bound in (("", "estimate"), ("_lower", "lower"), ("_upper", "upper")):
            expected = known[bound].dropna()
            recorded = [run.data.metrics[f"{metric}{name}"] for metric in expected.index]
            assert recorded == pytest.approx(expected.tolist())
        home = team.artifacts / run.info.run_id / "artifacts"
        assert [name for name in ARTIFACTS if not (home / name).is_file()] == []
        model = f"paincast.{run.data.tags['technique']}.{run.data.tags['outcome']}"
        version = team.client.get_model_version_by_alias(model, "candidate")
        assert (int(version.version), version.run_id) == (1, run.info.run_id)
    assert not list(team.desks.rglob("mlflow.db"))


def assert_all_are_kept(team: Team, recorded, seeds: list[int]) -> None:
    """Check that every training has its model with all metrics, artifacts on the shared folder, and a version."""
    parents, models = team.list_runs("training"), team.list_runs("model")
    assert sorted(int(run.data.params["seed"]) for run in parents) == seeds
    assert {run.info.status for run in (*parents, *models)} == {"FINISHED"}
    assert sorted(run.data.tags["mlflow.parentRunId"] for run in models) == sorted(run.info.run_id for run in parents)
    expected = MlflowClient(tracking_uri=recorded.store.uri).get_run(recorded.logged.run_id).data
    for run in models:
        assert run.data.metrics == pytest.approx(expected.metrics)
        assert (team.artifacts / run.info.run_id / "artifacts" / "tables" / "metrics.csv").is_file()
    versions = team.client.search_model_versions("name = 'paincast.genicular_rfa.pain_response'")
    assert sorted(int(version.version) for version in versions) == list(range(1, len(seeds) + 1))
    assert {version.run_id for version in versions} == {run.info.run_id for run in models}
    held = team.client.get_registered_model("paincast.genicular_rfa.pain_response").aliases
    assert 1 <= int(held["candidate"]) <= len(seeds)
    assert not list(team.desks.rglob("mlartifacts"))
    assert not list(team.desks.rglob("mlflow.db"))


def test_a_database_that_does_not_answer_is_said_without_the_password():
    store = Store("postgresql+psycopg://user:secret@127.0.0.1:1/runs", "/share", "paincast")
    with pytest.raises(
        OutputError, match=r"postgresql\+psycopg://127.0.0.1:1/runs does not answer .*that the server runs"
    ) as told:
        prepare_store(store)
    assert "secret" not in str(told.value)


def test_a_missing_driver_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(OutputError, match=r"needs a driver .*pip install 'paincast\[team\]'"):
        prepare_store(Store("postgresql+psycopg://127.0.0.1:1/runs", "/share", "paincast"))


def test_a_password_in_a_setting_is_refused_and_one_in_the_environment_is_not(monkeypatch):
    address = "postgresql://user:secret@host/runs"
    with pytest.raises(SettingsError, match=r"holds a password, and settings are recorded .*~/.pgpass") as told:
        resolve_store(TrackingSettings(uri=address, artifacts="/share"))
    assert "secret" not in str(told.value)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    assert resolve_store(TrackingSettings(artifacts="/share")).address == "postgresql://host/runs"
