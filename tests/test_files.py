"""Whole or not at all: whenever a process is killed, the next run finds the old output or the new one."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from paincast.errors import OutputError
from paincast.files import atomic as files
from paincast.files import atomic_file, atomic_files, atomic_folder

KILLER = """
import os, signal, sys
from pathlib import Path
from paincast.files import atomic as files

last, steps = int(sys.argv[1]), []

def counted(call):
    def then_die(*arguments, **options):
        if len(steps) == last:
            os.kill(os.getpid(), signal.SIGKILL)
        steps.append(1)
        return call(*arguments, **options)
    return then_die

for name in ("mkdir", "rename", "replace", "unlink"):
    setattr(os, name, counted(getattr(os, name)))
if "--no-exchange" in sys.argv:
    files._exchange = lambda one, other: False
else:
    files._exchange = counted(files._exchange)
"""
PAIR = """
with files.atomic_files("out.csv", "out.rejects.csv") as (out, rejects):
    out.write_text("new")
    if "--rejects" in sys.argv:
        rejects.write_text("new")
"""
FOLDER = """
with files.atomic_folder("models", marker="bundle.json") as folder:
    (folder / "bundle.json").write_text("new")
"""


def start(code: str, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def kill_after(steps: int, code: str, folder: Path, *arguments: str) -> bool:
    """Run code that is killed at a step; False when it was done before."""
    process = start(KILLER + code, folder, str(steps), *arguments)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (0, -signal.SIGKILL), err
    return process.returncode != 0


def list_drafts(folder: Path) -> list[Path]:
    return list(folder.glob(".*"))


def age_drafts(folder: Path) -> None:
    for draft in list_drafts(folder):
        os.utime(draft, (0, 0))


@pytest.mark.slow
@pytest.mark.parametrize("old_rejects", [True, False])
@pytest.mark.parametrize("new_rejects", [True, False])
def test_files_that_belong_together_are_a_pair_wherever_the_run_was_killed(tmp_path, old_rejects, new_rejects):
    ends = set()
    for steps in range(40):
        folder = tmp_path / str(steps)
        folder.mkdir()
        (folder / "out.csv").write_text("old")
        if old_rejects:
            (folder / "out.rejects.csv").write_text("old")
        killed = kill_after(steps, PAIR, folder, *(["--rejects"] if new_rejects else []))
        held = {path.name: path.read_text() for path in folder.glob("out*")}
        assert len(set(held.values())) == 1, "old beside new"
        age_drafts(folder)
        with atomic_file(folder / "another.txt") as draft:
            draft.write_text("next run")
        held = {path.name: path.read_text() for path in folder.glob("out*")}
        ends.add(held["out.csv"])
        assert ("out.rejects.csv" in held) == (old_rejects if held["out.csv"] == "old" else new_rejects)
        assert held.get("out.rejects.csv", held["out.csv"]) == held["out.csv"]
        assert list_drafts(folder) == []
        if not killed:
            break
    assert not killed
    assert ends == {"old", "new"}


@pytest.mark.slow
def test_files_that_replace_nothing_are_there_or_not_wherever_the_run_was_killed(tmp_path):
    ends = set()
    for steps in range(40):
        folder = tmp_path / str(steps)
        folder.mkdir()
        killed = kill_after(steps, PAIR, folder)
        age_drafts(folder)
        with atomic_file(folder / "another.txt") as draft:
            draft.write_text("next run")
        held = {path.name: path.read_text() for path in folder.glob("out*") if path.is_file()}
        assert held in ({}, {"out.csv": "new"})
        assert {path.name for path in folder.iterdir()} == {"another.txt", *held}
        ends.add(bool(held))
        if not killed:
            break
    assert ends == {False, True}


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--no-exchange"]], ids=["exchange", "two renames"])
def test_a_folder_is_the_old_one_or_the_new_one_wherever_the_run_was_killed(tmp_path, options):
    ends = set()
    for steps in range(40):
        place = tmp_path / str(steps)
        (place / "models").mkdir(parents=True)
        (place / "models" / "bundle.json").write_text("old")
        killed = kill_after(steps, FOLDER, place, *options)
        assert options or (place / "models" / "bundle.json").is_file()
        age_drafts(place)
        with atomic_file(place / "another.txt") as draft:
            draft.write_text("next run")
        ends.add((place / "models" / "bundle.json").read_text())
        assert list_drafts(place) == []
        if not killed:
            break
    assert not killed
    assert ends == {"old", "new"}


def test_the_draft_of_a_living_run_stays_and_only_its_owner_can_open_it(tmp_path):
    held = PAIR.replace('out.write_text("new")', 'out.write_text("new"); print("ready", flush=True); input()')
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys\nfrom paincast import files\n" + held],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    (draft,) = list_drafts(tmp_path)
    assert stat.S_IMODE(draft.stat().st_mode) == 0o700
    os.utime(draft, (0, 0))
    with atomic_file(tmp_path / "out.csv") as other:
        other.write_text("quicker")
    assert list_drafts(tmp_path) == [draft]
    process.communicate("\n", timeout=30)
    assert process.returncode == 0
    assert (tmp_path / "out.csv").read_text() == "new"
    assert list_drafts(tmp_path) == []


def test_a_draft_that_was_killed_goes_though_another_output_is_written(tmp_path):
    process = start(
        "import sys, time\nfrom paincast.files import atomic_folder\n"
        "with atomic_folder('cohort', marker='cohort.json') as folder:\n"
        "    (folder / 'episodes.parquet').write_text('patients')\n"
        "    print('ready', flush=True)\n    time.sleep(60)\n",
        tmp_path,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.kill()
    process.communicate(timeout=30)
    assert len(list_drafts(tmp_path)) == 1
    with atomic_file(tmp_path / "out.csv") as draft:
        draft.write_text("next run")
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_hidden_folders_of_others_stay(tmp_path):
    for name in (".git", ".out.csv.draft", ".notes.12345678.draft"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "theirs").write_text("kept")
    with atomic_file(tmp_path / "out.csv") as draft:
        draft.write_text("x")
    assert len(list_drafts(tmp_path)) == 3


def test_a_companion_that_cannot_be_replaced_leaves_both_as_they_were(tmp_path, monkeypatch):
    for name in ("out.csv", "out.rejects.csv"):
        (tmp_path / name).write_text("old")
    real = Path.replace

    def refuse(path: Path, target: Path) -> Path:
        if path.parent.name == "files" and target.name == "out.csv":
            raise PermissionError(1, "Operation not permitted")
        return real(path, target)

    monkeypatch.setattr(Path, "replace", refuse)

    def write() -> None:
        with atomic_files(tmp_path / "out.csv", tmp_path / "out.rejects.csv") as drafts:
            for draft in drafts:
                draft.write_text("new")

    with pytest.raises(OutputError):
        write()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"out.csv": "old", "out.rejects.csv": "old"}


def test_an_interruption_between_two_renames_loses_neither_folder(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "bundle.json").write_text("old")
    monkeypatch.setattr(files, "_exchange", lambda *_: False)
    real, calls = Path.rename, []

    def interrupt(path: Path, target: Path) -> Path:
        calls.append(path)
        if path.name == "folder":
            raise KeyboardInterrupt
        return real(path, target)

    monkeypatch.setattr(Path, "rename", interrupt)
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "models", marker="bundle.json") as draft:
        (draft / "bundle.json").write_text("new")
    assert (tmp_path / "models" / "bundle.json").read_text() == "old"
    assert list_drafts(tmp_path) == []
    assert len(calls) > 1


def test_many_runs_at_once_into_one_folder_each_leave_it_whole(tmp_path):
    code = (
        "import sys\nfrom paincast.files import atomic_folder\n"
        "for _ in range(30):\n"
        "    with atomic_folder('models', marker='bundle.json') as folder:\n"
        "        for name in ('bundle.json', 'booster.ubj'):\n"
        "            (folder / name).write_text(sys.argv[1])\n"
    )
    processes = [start(code, tmp_path, str(number)) for number in range(3)]
    while any(process.poll() is None for process in processes):
        time.sleep(0.01)
    assert [process.communicate()[1] for process in processes] == ["", "", ""]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len({path.read_text() for path in (tmp_path / "models").iterdir()}) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["models"]


def test_a_folder_whose_name_is_not_utf_8_is_refused(tmp_path):
    with pytest.raises(OutputError) as refused, atomic_folder(tmp_path / "a\udcff", marker="m"):
        pass
    assert refused.value.code == "PC-FILES-62"
    assert list(tmp_path.iterdir()) == []
