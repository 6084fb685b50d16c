"""Several people on one store: SQLite and PostgreSQL, artifacts on a shared folder, and no run lost."""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import pickle
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from paincast.errors import DataError, OutputError, SettingsError
from paincast.predictor import add_version, load_predictor, save_predictor
from paincast.serving.predict import load_model
from paincast.settings import GateSettings, TrackingSettings
from paincast.tracking import (
    Store,
    fetch_runs,
    log_model_run,
    prepare_store,
    promote,
    resolve_store,
    start_training,
    use_store,
)
from paincast.tracking.lifecycle import identify_process, is_gone

pytestmark = pytest.mark.slow

COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}
"""What is compiled is kept, or each of the many processes would compile the package anew."""

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
FULL = (
    """
import resource
from paincast.training import finish

log = finish.log_model_run

def log_on_a_full_disk(*given, **named):
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    return log(*given, **named)

finish.log_model_run = log_on_a_full_disk
"""
    + COMMAND
)
"""A disk that is full once the model is trained: no file can become longer than that."""

TOGETHER = """
import sys, time
from pathlib import Path
from paincast.settings import GateSettings, TrackingSettings
from paincast.tracking import promote, resolve_store, roll_back
import mlflow

folder, number, job = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
store = resolve_store(TrackingSettings())
(folder / str(time.monotonic_ns())).touch()
while len(list(folder.iterdir())) < number:
    time.sleep(0.01)
eval(job)
"""
HOLD = """
import time
from paincast.settings import TrackingSettings
from paincast.tracking import resolve_store, start_training
from paincast.tracking.lifecycle import started_run

store = resolve_store(TrackingSettings())
with start_training(store, "a training", params={}, tags={}, config_yaml="") as training:
    with started_run(store, training.experiment_id, "a model", {"kind": "model"}, None, training.run_id) as child:
        print(training.run_id, child, flush=True)
        time.sleep(600)
"""
NAME = "paincast.genicular_rfa.pain_response"
FACET = "paincast.facet_rfa.pain_response"
SWEEP = {
    "technique": ("facet_rfa", "si_joint_rfa", "facet_joint_injection", "nerve_root_block"),
    "outcome": ("pain_response", "function_response"),
}
SMALLEST = (
    *("cohort.episodes_per_technique=100", "observation.method=complete_case", "calibration=none"),
    *("model=logistic", "model.ridge_prior_sds=[0.12]", "model.lasso_penalties=[]", "model.borrowing=[0.0]"),
    *("model.selection_folds=2", "evaluation.folds=2", "evaluation.resamples=50", "uncertainty.refits=10"),
    *("jobs=1", "progress=false"),
)
"""Settings of the smallest training that is one."""

ONE = ("technique=facet_rfa", "outcome=pain_response", "models_folder=../models", *SMALLEST)

ARTIFACTS = (
    *("tables/metrics.csv", "tables/checklist.csv", "tables/verdict_default.csv"),
    *("figures/calibration/calibration.png", "report/report.html", "report/model_card.md"),
)


@pytest.fixture(scope="module")
def server() -> Iterator[object]:
    """A PostgreSQL server; a test that needs it is skipped where the machine has none."""
    helper = load_beside("postgres")
    programs, user = helper.find_programs(), helper.find_user()
    if programs is None:
        pytest.skip("PostgreSQL is not on this machine (no postgres and initdb on the path or in /usr/lib/postgresql)")
    if user is None:
        pytest.skip("PostgreSQL does not run as root, and this machine has no user postgres or nobody")
    with helper.run_server(programs, user) as running:
        yield running


def load_beside(name: str):
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"paincast_tests_{name}", path)
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
            env=os.environ | COMPILED | {"OMP_NUM_THREADS": "1"} | self.environment,
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


def make_versions(team: Team, recorded, number: int) -> None:
    """Register versions that the default gate accepts, and make the first of them champion."""
    good = load_beside("test_registry").make_good(recorded.model)
    for _ in range(number):
        with start_training(team.store, "a training", params={}, tags={}, config_yaml="") as training:
            log_model_run(training, replace(good, captions={}))
    promote(team.store, f"{NAME}/1", GateSettings())


def run_together(team: Team, folder: Path, *jobs: str) -> None:
    """Run jobs in processes of their own that wait for one another before they begin."""
    folder.mkdir()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TOGETHER, str(folder), str(len(jobs)), job],
            env=os.environ | COMPILED | team.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for job in jobs
    ]
    team.finish(*processes)


def test_promotions_and_rollbacks_at_once_come_one_after_the_other(team, recorded, tmp_path):
    make_versions(team, recorded, 3)
    run_together(team, tmp_path / "promote", *[f"promote(store, '{NAME}/2', GateSettings())"] * 3)
    assert read_history(team) == (2, [1])
    run_together(team, tmp_path / "mixed", f"promote(store, '{NAME}/3', GateSettings())", f"roll_back(store, '{NAME}')")
    assert read_history(team) in [(2, [1]), (3, [1])]
    uses = {one.version: one.tags["use"] for one in team.client.search_model_versions(f"name='{NAME}'")}
    champion = read_history(team)[0]
    assert {int(version) for version, use in uses.items() if use == ""} == {champion}


def read_history(team: Team) -> tuple[int, list[int]]:
    model = team.client.get_registered_model(NAME)
    return int(model.aliases["champion"]), json.loads(model.tags["former_champions"])


READ = """
import sys, time
from pathlib import Path
import mlflow
from paincast.serving.predict import load_model

name, stop, read = sys.argv[1], Path(sys.argv[2]), 0
while read < 2 or not stop.exists():
    for alias in ("champion", "candidate"):
        predictor = load_model(f"models:/{name}@{alias}")
        print(alias, predictor.version, predictor.use or "care", flush=True)
    read += 1
pyfunc = mlflow.pyfunc.load_model(f"models:/{name}@champion")
print("pyfunc", pyfunc.predict(pyfunc.input_example)["model_version"].iloc[0], "served", flush=True)
"""
"""A server that reads what two aliases point at until the writers are done, and then once as MLflow does."""

WRITE = """
import pickle, sys
from dataclasses import replace
from pathlib import Path
from paincast.predictor import add_version
from paincast.settings import GateSettings, TrackingSettings
from paincast.tracking import log_model_run, promote, resolve_store, start_training

model, writer, n = pickle.loads(Path(sys.argv[1]).read_bytes()), int(sys.argv[2]), int(sys.argv[3])
store = resolve_store(TrackingSettings(uri=sys.argv[4], artifacts=sys.argv[5]))
for number in range(n):
    predictor = add_version(replace(model.predictor, n_training=1000 * (writer + 1) + number))
    with start_training(store, "a training", params={}, tags={}, config_yaml="") as training:
        logged = log_model_run(training, replace(model, predictor=predictor))
    promote(store, f"{logged.model_name}/{logged.model_version}", GateSettings())
    print(logged.model_version, predictor.version, flush=True)
"""
"""A writer that trains (a model made beforehand, each with a content of its own) and promotes."""


def test_a_reader_that_serves_gets_whole_versions_while_two_train_and_promote(team, recorded, tmp_path):
    make_versions(team, recorded, 1)
    good = load_beside("test_registry").make_good(recorded.model)
    team.model.write_bytes(pickle.dumps(replace(good, figures={}, captions={})))
    stop, each = tmp_path / "stop", 3
    settings = {"env": os.environ | COMPILED | team.environment, "stdout": subprocess.PIPE, "text": True}
    settings["stderr"] = subprocess.PIPE
    reader = subprocess.Popen([sys.executable, "-c", READ, NAME, str(stop)], **settings)
    place = [team.environment["MLFLOW_TRACKING_URI"], str(team.artifacts)]
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE, str(team.model), str(writer), str(each), *place], **settings)
        for writer in range(2)
    ]
    try:
        written = [writer.communicate(timeout=PROCESS_SECONDS) for writer in writers]
    finally:
        stop.touch()
        told, errors = reader.communicate(timeout=PROCESS_SECONDS)
    assert [process.returncode for process in (*writers, reader)] == [0, 0, 0], (*written, errors)
    made = dict(line.split() for out, _ in written for line in out.splitlines())
    assert sorted(map(int, made)) == list(range(2, 2 + 2 * each))
    found = team.client.search_model_versions(f"name='{NAME}'")
    kept = {str(version.version): version.tags["model_content"] for version in found}
    assert kept == {"1": recorded.model.predictor.version, **made}
    assert {run.info.status for run in team.list_runs("model")} == {"FINISHED"}
    read = [line.split(maxsplit=2) for line in told.splitlines()]
    assert {content for _, content, _ in read} <= {recorded.model.predictor.version, *made.values()}
    assert len({content for alias, content, _ in read if alias == "champion"}) > 1
    champion, former = read_history(team)
    assert read[-1][:2] == ["pyfunc", kept[str(champion)]]
    assert sorted([champion, *former]) == list(range(1, 2 + 2 * each))


def test_two_trainings_at_once_into_one_folder_record_each_its_own_model(team):
    started = [team.start(f"desk {seed}", f"seed={seed}", *ONE, code=(COMMAND, "train")) for seed in (1, 2)]
    team.finish(*started)
    runs = team.list_runs("model")
    contents = {run.data.tags["model_content"] for run in runs}
    assert len(contents) == len(runs) == 2
    with use_store(team.store):
        for version in team.client.search_model_versions(f"name='{FACET}'"):
            predictor = load_model(f"models:/{FACET}/{version.version}")
            run = team.client.get_run(version.run_id)
            assert predictor.version == version.tags["model_content"] == run.data.tags["model_content"]
            own = {row["metric"]: row["estimate"] for row in predictor.performance if row["group"] == "overall"}
            assert own["auroc"] == pytest.approx(run.data.metrics["auroc"])
    saved = load_predictor(team.desks / "models" / "facet_rfa" / "pain_response")
    assert saved.version in contents


def test_a_version_with_the_bundle_of_another_run_is_not_promoted(team, recorded):
    make_versions(team, recorded, 1)
    good = load_beside("test_registry").make_good(recorded.model)
    other = add_version(replace(recorded.model.predictor, n_training=81))
    with start_training(team.store, "a training", params={}, tags={}, config_yaml="") as training:
        logged = log_model_run(training, replace(good, captions={}, predictor=other), register=False)
    source = team.client.get_model_version(NAME, "1").source
    with use_store(team.store):
        team.client.create_model_version(NAME, source, run_id=logged.run_id)
    with pytest.raises(DataError, match=f"of version {recorded.model.predictor.version}, and {other.version} was"):
        promote(team.store, f"{NAME}/2", GateSettings())
    assert team.client.get_registered_model(NAME).aliases["champion"] == 1


def test_a_training_that_was_killed_is_closed_by_the_next_and_one_that_lives_is_not(team):
    killed, alive = (
        subprocess.Popen(
            [sys.executable, "-c", HOLD],
            env=os.environ | COMPILED | team.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    )
    try:
        gone, living = (process.stdout.readline().split() for process in (killed, alive))
        killed.kill()
        with start_training(team.store, "the next", params={}, tags={}, config_yaml="") as training:
            statuses = [[team.client.get_run(run).info.status for run in runs] for runs in (gone, living)]
            assert statuses == [["KILLED", "KILLED"], ["RUNNING", "RUNNING"]]
            assert team.client.get_run(training.run_id).info.status == "RUNNING"
    finally:
        for process in (killed, alive):
            process.kill()
            process.communicate()


@pytest.mark.parametrize(
    ("change", "gone"),
    [
        (lambda own: own, False),
        (lambda own: own[:0], False),
        (lambda own: f"another{own}", False),
        (lambda own: " ".join([*own.split()[:-2], "4194305", "1"]), True),
        (lambda own: " ".join([*own.split()[:-1], "1"]), True),
        (lambda own: " ".join([own.split()[0], "another-boot", *own.split()[2:-1], "1"]), False),
    ],
)
def test_only_a_process_that_is_surely_gone_counts_as_gone(change, gone):
    own = identify_process()
    assert len(own.split()) == 5
    assert is_gone(change(own)) is gone


@pytest.mark.parametrize("fault", ["full", "locked"])
def test_a_training_whose_store_fails_leaves_the_models_as_they_were(recorded, tmp_path, fault):
    team = Team({"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"}, tmp_path / "shared", Path(), tmp_path)
    prepare_store(team.store)
    before = save_predictor(recorded.model.predictor, tmp_path / "models" / "facet_rfa" / "pain_response")
    process = team.start("desk", *ONE, code=(COMMAND if fault == "locked" else FULL, "train"))
    if fault == "locked":
        while not team.list_runs("training"):
            assert process.poll() is None, process.communicate()
            time.sleep(0.2)
        with closing(sqlite3.connect(team.store.database, timeout=60, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            told = process.communicate(timeout=PROCESS_SECONDS)[0]
    else:
        told = process.communicate(timeout=PROCESS_SECONDS)[0]
    assert process.returncode == 2, told
    assert re.fullmatch(r"error: .*could not be recorded in sqlite:.*\n", told), told
    assert load_predictor(before).version == recorded.model.predictor.version
    with start_training(team.store, "the next", params={}, tags={}, config_yaml=""):
        statuses = {run.info.status for kind in ("training", "model") for run in team.list_runs(kind)}
    assert statuses <= {"RUNNING", "KILLED", "FAILED"}
    assert sum(run.info.status == "RUNNING" for run in team.list_runs("training")) == 0


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
