"""What every command has in common: speed of help, version, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

import paincast
from paincast.schema import TABLES

SCRIPT = Path(sys.executable).with_name("paincast")
HEAVY = (
    "numpy",
    "pandas",
    "sklearn",
    "xgboost",
    "shap",
    "mlflow",
    "hydra",
    "omegaconf",
    "matplotlib",
)
COMMANDS = (
    *("simulate", "fetch", "ingest", "evaluate", "predict", "review", "report", "promote", "rollback", "compare-runs"),
    *("schema", "evidence", "completion"),
)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--help"], ["predict", "--help"]], ids=" ".join)
def test_help_answers_at_once(arguments):
    def measure(command: list[str | Path]) -> float:
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start

    # In turns, so that a busy machine slows both.
    turns = [(measure([SCRIPT, *arguments]), measure([sys.executable, "-c", "import click"])) for _ in range(5)]
    ours, click = map(min, zip(*turns, strict=True))
    assert ours < 5 * click


def test_help_imports_nothing_heavy():
    check = f"""
import sys
from paincast.cli.app import run
assert all(run([command, "--help"]) == 0 for command in {COMMANDS})
assert run(["--help"]) == 0
print(*(name for name in {HEAVY} if name in sys.modules), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "train"])
def test_help_teaches_with_examples(tell, command):
    code, out, _ = tell(command, "--help")
    assert code == 0
    assert f"paincast {command}" in out.partition("Example")[2]


def test_version(tell):
    assert tell("--version") == (0, f"paincast {paincast.__version__}\n", "")


def test_an_unknown_command_is_an_error_of_the_user(tell):
    code, _, err = tell("trian")
    assert code == 2
    assert "trian" in err


def test_the_data_dictionary_names_every_column(tell):
    _, out, _ = tell("schema")
    rows = [line for line in out.splitlines() if line.startswith("| ") and not line.startswith("| column")]
    assert len(rows) == sum(len(columns) for columns in TABLES.values())
    assert all(f"## {table}" in out for table in TABLES)


def test_the_data_dictionary_of_one_table_as_json(tell):
    _, out, _ = tell("schema", "--table", "visits", "--format", "json")
    assert [row["column"] for row in json.loads(out)] == list(TABLES["visits"])


def test_schema_lists_the_instruments(tell):
    _, out, _ = tell("schema", "--instruments", "--format", "json")
    rows = {row["instrument"]: row for row in json.loads(out)}
    assert len(rows) >= 35
    assert rows["promis_physical_function"]["direction"] == "higher is better"
    assert tell("schema", "--instruments", "--table", "visits")[0] == 2


def test_review_without_runs_says_what_to_do(tell, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    code, _, err = tell("review", "--no-browser")
    assert code == 2
    assert "run 'paincast train' first" in err
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_that_closes_early_is_no_error():
    done = subprocess.run(f"{SCRIPT} schema | head -1", shell=True, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("## episodes")
    assert done.stderr == ""
