"""Each DVC stage is run small, and everything of the project that it used is held against its ``deps``."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
TECHNIQUES = ("facet_rfa", "si_joint_rfa")
SMALLER = {
    "simulate": ["--episodes", "120", *(word for name in TECHNIQUES for word in ("--technique", name))],
    "train": ["evaluation=quick", "uncertainty.refits=10", "jobs=1"],
    "evaluate": ["--resamples", "50"],
    "predict": [],
}
# Runs one command and writes down which files of the project were opened or imported.
WITNESS = """
import atexit, json, os, sys
root, told = sys.argv[1:3]
seen = set()

def note(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        seen.add(os.path.realpath(arguments[0]))

def tell():
    seen.update(module.__file__ for module in list(sys.modules.values()) if getattr(module, "__file__", None))
    with open(told, "w") as stream:
        json.dump(sorted(path for path in list(seen) if path.startswith(root + os.sep)), stream)

atexit.register(tell)
sys.addaudithook(note)
sys.argv = ["paincast", *sys.argv[3:]]
from paincast.cli import main
main()
"""


def commands(stage: str) -> list[list[str]]:
    written = STAGES[stage]["cmd"]
    filled = [fill_params(command) for command in ([written] if isinstance(written, str) else written)]
    return [shlex.split(command)[1:] + SMALLER[stage] for command in filled]


def fill_params(command: str) -> str:
    return re.sub(r"\$\{(\w+)\.(\w+)\}", lambda name: str(PARAMS[name[1]][name[2]]), command)


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Run all stages, one after the other, in a folder of their own; give the project's files that each used."""
    folder = tmp_path_factory.mktemp("stages")
    (folder / "examples").symlink_to(ROOT / "examples")
    told = folder / "told.json"
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    found: dict[str, set[str]] = {}
    for stage in STAGES:
        found[stage] = set()
        for command in commands(stage):
            subprocess.run(
                [sys.executable, "-c", WITNESS, str(ROOT), str(told), *command], cwd=folder, env=environment, check=True
            )
            paths = (Path(path).relative_to(ROOT) for path in json.loads(told.read_text(encoding="utf-8")))
            found[stage] |= {path.as_posix() for path in paths if not is_by_the_way(path)}
        for out in STAGES[stage]["outs"]:
            assert (folder / out).exists(), f"{stage} did not make {out}"
    return found


def is_by_the_way(path: Path) -> bool:
    return path.parts[0].startswith(".") or "__pycache__" in path.parts


def is_covered(path: str, deps: list[str]) -> bool:
    return any(path == dep or path.startswith(f"{dep}/") for dep in deps)


@pytest.mark.parametrize("stage", STAGES)
def test_deps_hold_all_that_the_stage_uses(used: dict[str, set[str]], stage: str) -> None:
    assert "src/paincast/cli/__init__.py" in used[stage], "nothing was watched"
    assert [path for path in sorted(used[stage]) if not is_covered(path, STAGES[stage]["deps"])] == []


@pytest.mark.parametrize("stage", STAGES)
def test_deps_hold_nothing_that_the_stage_does_not_use(used: dict[str, set[str]], stage: str) -> None:
    code = [dep for dep in STAGES[stage]["deps"] if dep.startswith(("src/", "configs/"))]
    assert [dep for dep in code if not any(is_covered(path, [dep]) for path in used[stage])] == []


def test_configurations_are_watched_too(used: dict[str, set[str]]) -> None:
    assert "configs/config.yaml" in used["train"]


def test_stages_hang_together() -> None:
    made = {out: stage for stage, held in STAGES.items() for out in held["outs"]}
    upstream = {stage: {made[dep] for dep in held["deps"] if dep in made} for stage, held in STAGES.items()}
    assert upstream == {
        "simulate": set(),
        "train": {"simulate"},
        "evaluate": {"simulate", "train"},
        "predict": {"train"},
    }


def test_dvc_reads_the_stages() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "stage", "list"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(STAGES)
