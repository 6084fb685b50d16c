"""Files of others end in one line and code 2, in bounded time and memory, whatever they hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from paincast.cli.app import run
from paincast.cli.hydra_app import read_gate
from paincast.cohort.tables import Cohort, conform, load_cohort, save_cohort
from paincast.errors import DataError, SettingsError
from paincast.files import hash_file
from paincast.files.bounded import DEEPEST, MOST_NODES, check_yaml, read_json
from paincast.schema import TABLES

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
)
HOSTILE_YAML = {
    "deep list": "a: " + "[" * 100_000,
    "deep list that is closed": "a: " + "[" * 5_000 + "]" * 5_000,
    "deep block": "".join(f"{' ' * i}a:\n" for i in range(2_000)),
    "itself": "a: &a [*a]\n",
    "itself below": "a: &a {b: {c: [*a]}}\n",
    "bomb": BOMB,
    "deep by aliases": "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, DEEPEST + 5)),
    "too large": "a: " + "x" * 2_000_000,
    "too many": "a: [" + "1," * (MOST_NODES + 1) + "]",
    "no YAML": "a: [}",
    "unknown alias": "a: *nowhere",
    "not UTF-8": "a: \udcff",
    "a number that is none": "a: !!int many",
    "a time that is none": "a: !!timestamp never",
    "an object": "!!python/object/apply:os.system ['true']",
    "a null byte": "a: \x00",
    "UTF-16 without its mark": "\0a\0:\0 \0b",
    "a number beyond any": f"a: {10**400}",
}


@pytest.fixture(params=HOSTILE_YAML, ids=str)
def hostile(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    file = tmp_path / "hostile.yaml"
    file.write_bytes(HOSTILE_YAML[request.param].encode(errors="surrogateescape"))
    return file


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that must end with code 2, and give what it says."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> str:
        assert run(arguments) == 2
        return capsys.readouterr().err.strip()

    return call


@pytest.mark.slow
def test_a_hostile_mapping_or_experiment_is_one_line(hostile, tmp_path, say):
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    hostile.rename(tmp_path / "own" / "experiment" / "hostile.yaml")
    path = "own/experiment/hostile.yaml"
    (tmp_path / "export.csv").write_text("a\n1\n")
    for command in (
        ["ingest", path, "export.csv", "-o", "cohort"],
        ["train", "--config-dir", "own", "experiment=hostile", "tracking=off"],
    ):
        err = say(*command)
        assert err.startswith("error: ")
        assert len(err.splitlines()) == 1


@pytest.mark.slow
def test_a_bomb_takes_no_memory(tmp_path):
    (tmp_path / "bomb.yaml").write_text(BOMB)
    limited = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))\n"
        "from paincast.cli.app import run\nsys.exit(run(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", limited, "ingest", "bomb.yaml", "export.csv", "-o", "cohort"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stderr[-2000:]


def test_a_hostile_gate_is_refused_quickly(hostile):
    started = time.perf_counter()
    with pytest.raises(SettingsError):
        read_gate(str(hostile))
    assert time.perf_counter() - started < 10


def test_aliases_that_stay_small_are_allowed():
    check_yaml("a: &a {b: 1}\nc: *a\nd: [*a, *a]\n", "mapping.yaml")


def test_an_alias_that_leads_into_itself_is_named():
    with pytest.raises(SettingsError, match=r"mapping.yaml, line 3: '\*a'"):
        check_yaml("b: 1\na: &a\n  c: *a\n", "mapping.yaml")


HOSTILE_JSON = [
    "[]",
    "null",
    "3",
    '"text"',
    "[" * 100_000,
    '{"a":' * 100_000,
    "",
    "{",
    "\x00",
    '{"a": ' + "9" * 5000 + "}",
]


@pytest.mark.parametrize("text", HOSTILE_JSON, ids=lambda text: text[:8])
@pytest.mark.parametrize("name", ["bundle.json", "cohort.json"])
def test_hostile_json_is_one_line(tmp_path, say, name, text):
    (tmp_path / name).write_text(text)
    (tmp_path / "patients.csv").write_text("indication,pain_nrs\nlumbar_facet,7\n")
    command = ["predict", "patients.csv", "--models", "."] if name == "bundle.json" else ["evaluate", "none", "."]
    err = say(*command, "-o", "out.csv")
    assert name in err
    assert len(err.splitlines()) == 1


def test_json_of_no_regular_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "bundle.json")
    with pytest.raises(DataError, check=lambda error: error.code == "PC-FILES-13"):
        read_json(tmp_path / "bundle.json")


@pytest.fixture
def cohort_folder(tmp_path: Path) -> Path:
    episodes = pd.DataFrame({"episode_id": ["a"], "patient_id": ["p"], "technique": ["facet_rfa"]})
    tables = {name: conform(name, pd.DataFrame({"episode_id": pd.Series(dtype="str")})) for name in TABLES}
    save_cohort(Cohort(**{**tables, "episodes": conform("episodes", episodes)}, basis="real"), tmp_path / "cohort")
    return tmp_path / "cohort"


@pytest.mark.parametrize("field", ["basis", "n_episodes", "n_real", "sources", "details", "hashes"])
@pytest.mark.parametrize("value", [None, [], {}, "", -1.5, [[[]]], {"episodes.parquet": 3}, "delete"], ids=str)
def test_a_manifest_of_other_types_is_refused_or_says_the_same(cohort_folder, field, value):
    manifest = json.loads((cohort_folder / "cohort.json").read_text())
    same = type(value) is type(manifest[field]) and field in ("sources", "details")
    manifest[field] = value
    if value == "delete":
        del manifest[field]
    (cohort_folder / "cohort.json").write_text(json.dumps(manifest))
    if same:
        assert len(load_cohort(cohort_folder).episodes) == 1
        return
    with pytest.raises(DataError):
        load_cohort(cohort_folder)


@pytest.mark.parametrize("held", [b"", b"PAR1", pd.DataFrame({"pain_nrs": ["seven"]}), pd.DataFrame({"odi": [[1]]})])
def test_a_table_with_a_hash_made_by_hand_is_refused(cohort_folder, held):
    file = cohort_folder / "episodes.parquet"
    file.write_bytes(held) if isinstance(held, bytes) else held.to_parquet(file)
    manifest = json.loads((cohort_folder / "cohort.json").read_text())
    manifest["hashes"]["episodes.parquet"] = hash_file(file)
    (cohort_folder / "cohort.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match=r"episodes\.parquet"):
        load_cohort(cohort_folder)


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    """Which of two values counts would hang on the reader."""
    (tmp_path / "twice.json").write_text('{"a": {"b": 1, "b": 2}}')
    with pytest.raises(DataError, check=lambda error: error.code == "PC-FILES-72"):
        read_json(tmp_path / "twice.json")
