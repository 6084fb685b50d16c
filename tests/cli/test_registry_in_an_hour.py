"""The page on a registry in an hour is what happens: its commands run, and print what it shows."""

from __future__ import annotations

import re
import runpy
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from paincast.cohort.tables import load_cohort

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "registry_in_an_hour.md"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LEFT_OUT = "…"

Told = tuple[int, str, str]


def list_blocks() -> list[tuple[str, str]]:
    """List the language and text of each block of the page, in order."""
    return [(found[1], found[2]) for found in FENCE.finditer(PAGE.read_text(encoding="utf-8"))]


def split_commands(block: str) -> Iterator[tuple[str, list[str]]]:
    """Split a block into its commands, each with the lines that it prints."""
    command, lines = "", []
    for line in block.splitlines():
        if line.startswith("$ "):
            if command:
                yield command, lines
            command, lines = line.removeprefix("$ "), []
        else:
            lines.append(line)
    yield command, lines


def apply_edit(block: str) -> None:
    """Replace lines of a file as a block of differences says; each must be there once."""
    name, *lines = block.splitlines()
    path = Path(name.removeprefix("--- "))
    text = path.read_text(encoding="utf-8")
    for old, new in zip(lines[::2], lines[1::2], strict=True):
        found = [line for line in text.splitlines() if line.startswith(old.removeprefix("-"))]
        assert len(found) == 1, old
        text = text.replace(found[0], new.removeprefix("+"))
    path.write_text(text, encoding="utf-8")


def normalize(line: str) -> str:
    return " ".join(line.split())


def compare(shown: list[str], printed: str) -> None:
    """Find each line of the page in the output, in order; what follows an ellipsis may be anything."""
    lines = iter([normalize(line) for line in printed.splitlines()])
    for line in (normalize(line) for line in shown):
        beginning = line.partition(LEFT_OUT)[0].rstrip()
        if beginning:
            is_whole = LEFT_OUT not in line
            assert any(found == line if is_whole else found.startswith(beginning) for found in lines), line


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:::(mlflow|alembic|sqlalchemy|pydantic|hydra)")
def test_the_hour_passes_as_the_page_says(
    tell: Callable[..., Told], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    for language, text in list_blocks():
        if language == "diff":
            apply_edit(text)
        elif language in ("yaml", "text"):
            name, _, content = text.partition("\n")
            (tmp_path / name.removeprefix("# ")).write_text(content, encoding="utf-8")
        else:
            for command, lines in split_commands(text):
                program, *arguments = shlex.split(command)
                if program == "python":
                    runpy.run_path(str(ROOT / "examples" / "registry" / arguments[0]), run_name="__main__")
                    continue
                quick = ["evaluation=quick", "progress=false", "jobs=1"] if arguments[0] == "train" else []
                code, out, err = tell(*arguments, *quick)
                assert (code, err) == (0, ""), command
                compare(lines, out)
    cohorts = [load_cohort(tmp_path / name) for name in ("cohort", "from_excel", "from_redcap", "from_fhir")]
    pain = [cohort.episodes["pain_nrs"].sort_values().tolist() for cohort in cohorts]
    assert all(scores == pain[0] for scores in pain)
    assert all(len(cohort.visits) == 201 for cohort in cohorts)
