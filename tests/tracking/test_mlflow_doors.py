"""MLflow's own doors to a registered model: server, commands, container, Spark, evaluation, and the registry."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.metrics import make_metric
from sklearn.metrics import brier_score_loss, log_loss

from paincast.schema import RESEARCH_MARK
from paincast.tracking.store import use_store

pytestmark = pytest.mark.slow

NAME = "paincast.genicular_rfa.pain_response"
ADDRESS = f"models:/{NAME}@candidate"
SECRET = "Jane Doe 63"
COLUMNS = ["episode_id", "indication", "pain_nrs", "age_years", "bmi", "depression"]
START_SECONDS = 120.0
SPARK_WARNINGS = [
    "ignore:.*PySpark does not yet fully support pandas:FutureWarning",
    "ignore:.*is_datetime64tz_dtype:DeprecationWarning",
    "ignore::ResourceWarning",
]


@pytest.fixture(scope="module")
def environment(recorded) -> dict[str, str]:
    told = {"MLFLOW_TRACKING_URI": recorded.store.uri, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # MLflow calls uvicorn by its name
    return os.environ | told | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "", "PATH": tools}


@pytest.fixture(scope="module")
def model_folder(recorded, tmp_path_factory) -> Path:
    """Download the model of the registry, as any tool does."""
    with use_store(recorded.store):
        return Path(
            mlflow.artifacts.download_artifacts(
                artifact_uri=ADDRESS, dst_path=str(tmp_path_factory.mktemp("downloaded"))
            )
        )


@pytest.fixture(scope="module")
def patients(recorded) -> pd.DataFrame:
    """Four patients: one without pain before the procedure, and one whose age is no number."""
    chosen = recorded.cohort.episodes.head(4)[COLUMNS].astype({"pain_nrs": object, "age_years": object})
    return chosen.assign(pain_nrs=[7, None, 8, 6.5], age_years=[63, 70, SECRET, 51.5])


@pytest.fixture(scope="module")
def expected(model_folder, patients) -> list[dict[str, object]]:
    """Answers of the model in process, as JSON has them."""
    answers = mlflow.pyfunc.load_model(str(model_folder)).predict(patients).astype(object)
    return answers.where(answers.notna(), None).to_dict("records")


def to_json(patients: pd.DataFrame) -> list[dict[str, object]]:
    return patients.astype(object).where(patients.notna(), None).to_dict("records")


def parse_strictly(text: str) -> dict[str, object]:
    return json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Running:
    """A server of MLflow that runs, and where it writes what it logs."""

    url: str
    log: Path

    def post(self, body: str | bytes, content_type: str | None = "application/json") -> requests.Response:
        headers = {} if content_type is None else {"Content-Type": content_type}
        return requests.post(f"{self.url}/invocations", data=body, headers=headers, timeout=60)


@contextmanager
def run_mlflow(log: Path, environment: dict[str, str], *arguments: str) -> Iterator[Running]:
    """Run a command of MLflow that serves, in a group of processes that ends with the block."""
    url = f"http://127.0.0.1:{(port := find_free_port())}"
    command = [sys.executable, "-m", "mlflow", *arguments, "--host", "127.0.0.1", "--port", str(port)]
    with (
        log.open("w") as stream,
        subprocess.Popen(
            command, env=environment, cwd=log.parent, stdout=stream, stderr=stream, start_new_session=True
        ) as process,
    ):
        try:
            deadline = time.monotonic() + START_SECONDS
            while not is_up(url):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
            yield Running(url, log)
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def is_up(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=5).ok
    except requests.ConnectionError:
        return False


@pytest.fixture(scope="module")
def server(environment, tmp_path_factory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("a server")
    command = ("models", "serve", "--model-uri", ADDRESS, "--env-manager", "local")
    with run_mlflow(folder / "log", environment, *command) as running:
        yield running


def test_its_server_answers_every_form_as_the_model_does(server, patients, expected):
    records = to_json(patients)
    split = {"columns": COLUMNS, "data": [list(record.values()) for record in records]}
    columns = {name: [record[name] for record in records] for name in COLUMNS}
    forms = [("dataframe_records", records), ("instances", records), ("inputs", records)]
    for form, content in (*forms, ("dataframe_split", split), ("inputs", columns), ("instances", columns)):
        answered = server.post(json.dumps({form: content}))
        assert answered.status_code == 200, answered.text
        assert parse_strictly(answered.text)["predictions"] == expected


def test_its_server_answers_csv_as_the_model_does(server, patients, expected):
    for separator in ",;":
        answered = server.post(patients.to_csv(index=False, sep=separator), "text/csv")
        assert answered.status_code == 200, answered.text
        assert parse_strictly(answered.text)["predictions"] == expected


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (f'{{"inputs": [{{"pain_nrs": "{SECRET}', "application/json", 400),
        (f'{{"{SECRET}": 1}}', "application/json", 400),
        ('{"inputs": ' + "[" * 200_000 + SECRET, "application/json", 400),
        (f'{{"inputs": [{{"pain_nrs": {{"a": "{SECRET}"}}}}]}}', "application/json", 400),
        (f'{{"inputs": ["{SECRET}"]}}', "application/json", 400),
        (b"\xff\xfe" + SECRET.encode(), "application/json", 400),
        (f"pain_nrs,age_years\n1,2,3,{SECRET}\n", "text/csv", 400),
        (b"\x00\xff\x81" + SECRET.encode(), "text/csv", 400),
        (b"PAR1" + SECRET.encode(), "application/vnd.apache.parquet", 400),
        (SECRET, "application/xml", 415),
        (SECRET, None, 415),
    ],
)
def test_its_server_says_what_is_wrong_and_repeats_nothing(server, body, content_type, status):
    refused = server.post(body, content_type)
    assert refused.status_code == status, refused.text
    told = parse_strictly(refused.text)
    assert told["message"].startswith(told["error_code"] + ": ")
    assert told["error_code"].startswith("PC-")
    assert SECRET not in refused.text
    assert SECRET not in server.log.read_text()
    assert requests.get(f"{server.url}/ping", timeout=5).ok


VALID = [
    (json.dumps({"dataframe_records": [{"indication": "knee_osteoarthritis", "pain_nrs": 7}]}), "application/json"),
    (json.dumps({"dataframe_split": {"columns": ["pain_nrs", "bmi"], "data": [[7, 31.5]]}}), "application/json"),
    (f"indication,pain_nrs,episode_id\nknee_osteoarthritis,7,{SECRET}\n", "text/csv"),
]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    valid=st.sampled_from(VALID),
    place=st.floats(0, 1),
    removed=st.integers(0, 8),
    inserted=st.binary(max_size=6)
    | st.sampled_from([b'"', b"[", b"{", b"NaN", b"1e999", b",", b"\n", SECRET.encode()]),
)
def test_its_server_neither_fails_nor_repeats_what_is_nearly_a_request(server, valid, place, removed, inserted):
    body, start = valid[0].encode(), int(place * len(valid[0]))
    answered = server.post(body[:start] + inserted + body[start + removed :], valid[1])
    assert answered.status_code in (200, 400)
    content = parse_strictly(answered.text)
    if answered.status_code == 400:
        assert content["message"].startswith(content["error_code"])
        assert SECRET not in answered.text
    assert SECRET not in server.log.read_text()


PREDICT = ("models", "predict", "--model-uri", ADDRESS, "--env-manager", "local")
TWO_FORMATS = f"""
from mlflow.cli import cli

for kind in ("csv", "json"):
    paths = ["--content-type", kind, "--input-path", f"in.{{kind}}", "--output-path", f"{{kind}}.out"]
    cli([*{PREDICT}, *paths], standalone_mode=False)
"""
"""Both by one process, as most of what the command does is to start."""


def run_python(environment: dict[str, str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        **{"env": environment, "cwd": folder, "capture_output": True, "text": True, "check": False},
    )


def test_its_command_predicts_for_files(environment, patients, expected, tmp_path):
    (tmp_path / "in.csv").write_text(patients.to_csv(index=False))
    (tmp_path / "in.json").write_text(json.dumps({"dataframe_records": to_json(patients)}))
    done = run_python(environment, tmp_path, "-c", TWO_FORMATS)
    assert done.returncode == 0, done.stderr
    for kind in ("csv", "json"):
        assert parse_strictly((tmp_path / f"{kind}.out").read_text())["predictions"] == expected


def test_its_command_leads_with_the_code_and_repeats_nothing(environment, tmp_path):
    (tmp_path / "in").write_text(f'{{"inputs": "{SECRET}"')
    paths = ("--content-type", "json", "--input-path", "in", "--output-path", "out")
    failed = run_python(environment, tmp_path, "-m", "mlflow", *PREDICT, *paths)
    assert failed.returncode != 0
    assert failed.stderr.splitlines()[-1].startswith("paincast.errors.DataError: PC-FILES-14: ")
    assert SECRET not in failed.stdout + failed.stderr


@pytest.fixture(scope="module")
def image(environment, tmp_path_factory) -> Path:
    """Make the folder from which the image of a container is built."""
    folder = tmp_path_factory.mktemp("image")
    command = [sys.executable, "-m", "mlflow", "models", "generate-dockerfile", "--model-uri", ADDRESS]
    subprocess.run([*command, "--output-directory", "made"], env=environment, cwd=folder, check=True)
    return folder / "made"


@pytest.fixture(scope="module")
def installed(image, tmp_path_factory) -> Path:
    """Make an environment with the wheel alone, as the image does; what it needs is taken from that of the tests."""
    folder = tmp_path_factory.mktemp("installed") / "env"
    requirements = image / "model_dir" / "ours.txt"
    listed = (image / "model_dir" / "requirements.txt").read_text().splitlines()
    requirements.write_text("\n".join(listed[:2]))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    # The image installs by the path of the requirements, from another folder.
    options = ["--quiet", "--no-index", "--no-deps", "--disable-pip-version-check"]
    pip = [sys.executable, "-m", "pip", "--python", python, "install", *options, "-r", requirements]
    subprocess.run(pip, cwd="/", check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    here = folder / "lib" / version / "site-packages"
    (here / "others.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    return python


def read_wheel(model_folder: Path) -> tuple[str, bytes]:
    (wheel,) = (model_folder / "artifacts" / "wheels").iterdir()
    return wheel.name, wheel.read_bytes()


def test_a_container_gets_the_wheel_and_installs_it_from_any_folder(image, installed, tmp_path):
    assert "COPY model_dir /opt/ml/model" in (image / "Dockerfile").read_text()
    name, _ = read_wheel(image / "model_dir")
    assert name.endswith(".whl")
    told = run_in(installed, "import importlib.metadata as m; print(m.version('paincast'))", tmp_path)
    assert name.startswith(f"paincast-{told.strip()}-")


def run_in(python: Path, code: str, folder: Path, *arguments: str) -> str:
    plain = {name: setting for name, setting in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python, "-c", code, *arguments], env=plain, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_of_the_model_answers_the_same(model_folder, image, installed, patients, expected, tmp_path):
    copied = image / "model_dir"
    assert read_wheel(copied) == read_wheel(model_folder)
    assert (copied / "requirements.txt").read_bytes() == (model_folder / "requirements.txt").read_bytes()
    (tmp_path / "patients.json").write_text(json.dumps(to_json(patients)))
    code = """
import json, sys, mlflow, paincast
answers = mlflow.pyfunc.load_model(sys.argv[1]).predict(json.load(open("patients.json"))).astype(object)
print(json.dumps([paincast.__file__, answers.where(answers.notna(), None).to_dict("records")]))
"""
    place, answers = json.loads(run_in(installed, code, tmp_path, str(model_folder)).splitlines()[-1])
    assert Path(place).is_relative_to(installed.parents[1])
    assert answers == expected


def test_its_evaluation_takes_the_column_of_probabilities(recorded, model_folder):
    answered = recorded.cohort.episodes.head(60)[COLUMNS]
    outcome = np.random.default_rng(3).integers(0, 2, len(answered))
    probability = mlflow.pyfunc.load_model(str(model_folder)).predict(answered)["probability"].to_numpy()
    asked = {"data": answered.assign(responded=outcome), "targets": "responded", "predictions": "probability"}
    quietly = {"evaluator_config": {"log_model_explainability": False}}
    with use_store(recorded.store):
        model = str(model_folder)
        built_in = mlflow.models.evaluate(model, model_type="regressor", **asked, **quietly).metrics
        measure = make_metric(
            eval_fn=lambda predictions, targets, metrics: log_loss(targets, predictions, labels=[0, 1]),  # noqa: ARG005
            greater_is_better=False,
            name="log_loss",
        )
        own = mlflow.models.evaluate(model, extra_metrics=[measure], **asked).metrics
    assert built_in["mean_squared_error"] == pytest.approx(brier_score_loss(outcome, probability))
    assert own["log_loss"] == pytest.approx(log_loss(outcome, probability))


@pytest.fixture(scope="module")
def spark():
    sql = pytest.importorskip("pyspark.sql", reason="Spark is not installed (paincast[spark])")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java, which this machine does not have")
    builder = sql.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        session = builder.config("spark.driver.host", "127.0.0.1").getOrCreate()
        yield session
        session.stop()


@pytest.mark.filterwarnings(*SPARK_WARNINGS)
def test_spark_gets_whole_answers_or_the_probability(spark, model_folder, patients):
    from pyspark.sql.functions import struct

    texts = patients.assign(age_years=["63", "70", SECRET, "51.5"], pain_nrs=[7.0, np.nan, 8.0, 6.5])
    twice = pd.concat([texts, texts.tail(1)], ignore_index=True).astype({"depression": "bool"})
    expected = mlflow.pyfunc.load_model(str(model_folder)).predict(twice)
    table = spark.createDataFrame(twice.astype(object).where(twice.notna(), None).to_dict("records")).coalesce(1)
    table = table.select(*COLUMNS)
    whole, probability = (
        mlflow.pyfunc.spark_udf(spark, str(model_folder), result_type=result_type, env_manager="local")
        for result_type in (None, "double")
    )
    asked = struct(*COLUMNS)
    answered = table.select(whole(asked).alias("answer"), probability(asked).alias("probability")).collect()
    probabilities = [None if np.isnan(one) else one for one in expected["probability"]]
    assert [row["probability"] for row in answered] == probabilities
    assert [row["answer"]["probability"] for row in answered] == probabilities
    for name in ("episode_id", "abstained", "eligible", "reasons_for", "input_rejects", "abstained_because"):
        assert [row["answer"][name] for row in answered] == expected[name].tolist()
    assert probabilities.count(None) == 3


def test_anyones_client_finds_verdict_use_champion_and_card(recorded, environment, tmp_path):
    command = ("server", "--backend-store-uri", recorded.store.uri, "--workers", "1")
    with run_mlflow(tmp_path / "log", environment, *command) as running:

        def ask(path: str, **asked: str) -> dict[str, object]:
            answered = requests.get(f"{running.url}/api/2.0/mlflow/{path}", params=asked, timeout=60)
            assert answered.ok, answered.text
            return answered.json()

        model = ask("registered-models/get", name=NAME)["registered_model"]
        version = ask("registered-models/alias", name=NAME, alias="candidate")["model_version"]
    aliases = {entry["alias"]: entry["version"] for entry in model["aliases"]}
    assert aliases["candidate"] == version["version"]
    assert "after genicular_rfa" in model["description"]
    assert version["description"]
    tags = {tag["key"]: tag["value"] for tag in version["tags"]}
    assert tags["use"] == RESEARCH_MARK
    assert tags["model_content"] == recorded.model.predictor.version
    assert {"verdict", "gate", "unmet", "basis", "n_real", "model_kind"} <= set(tags)


def test_the_model_holds_no_pickle_and_says_how_large_it_is(model_folder):
    names = [path.name for path in model_folder.rglob("*") if path.is_file()]
    assert [name for name in names if name.endswith((".pkl", ".pickle", ".joblib"))] == []
    recipe = (model_folder / "MLmodel").read_text()
    assert "python_model:" not in recipe
    assert sum(path.stat().st_size for path in model_folder.rglob("*") if path.is_file()) < 4_000_000
