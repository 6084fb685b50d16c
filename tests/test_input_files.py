"""What a user gives as a file: each kind that is none has a true sentence, and nothing hangs on it."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from paincast.cli.hydra_app import read_gate
from paincast.cohort.tables import load_cohort
from paincast.errors import DataError, SettingsError
from paincast.files.inputs import refuse_changed_file, require_regular_file


def make_loop(place: Path) -> None:
    place.symlink_to(place)


def make_socket(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place))


MAKERS = {
    "does not exist": Path.resolve,
    "is a directory": Path.mkdir,
    "is a named pipe": os.mkfifo,
    "is a socket": make_socket,
    "is a device": lambda place: place.symlink_to("/dev/null"),
    "is a link to a file that does not exist": lambda place: place.symlink_to(place.with_name("gone")),
    "is a link that leads back to itself": make_loop,
}


@pytest.mark.parametrize("words", MAKERS)
def test_each_kind_has_its_own_sentence(tmp_path: Path, words: str) -> None:
    MAKERS[words](tmp_path / "given")
    with pytest.raises(DataError, match=f"given {words}"):
        require_regular_file(tmp_path / "given")


def test_the_caller_names_the_error_and_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"is a directory; give a mapping \(\.yaml\)"):
        require_regular_file(tmp_path, allowed="a mapping (.yaml)", error=SettingsError)


def test_what_may_not_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "given").write_text("x")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(DataError, match="permission denied"):
        require_regular_file(tmp_path / "given")


def test_a_path_below_a_file_and_one_with_a_null_character(tmp_path: Path) -> None:
    (tmp_path / "given").write_text("x")
    with pytest.raises(DataError, match="is a file, not a folder"):
        require_regular_file(tmp_path / "given" / "below")
    with pytest.raises(DataError, match="null character"):
        require_regular_file("a\0b")
    with pytest.raises(DataError, match="file name too long"):
        require_regular_file(tmp_path / ("x" * 300))


def test_a_file_that_changes_is_refused_and_one_that_does_not_is_not(tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.write_text("one")
    before = require_regular_file(given)
    refuse_changed_file(given, before)
    given.write_text("two!")
    with pytest.raises(DataError, match="changed while it was read"):
        refuse_changed_file(given, before)
    before = require_regular_file(given)
    (tmp_path / "other").write_text("two!")
    os.utime(tmp_path / "other", ns=(before.st_atime_ns, before.st_mtime_ns))
    (tmp_path / "other").replace(given)
    with pytest.raises(DataError, match="changed while it was read"):
        refuse_changed_file(given, before)


@pytest.mark.parametrize("name", ["cohort.json", "visits.parquet"])
def test_a_cohort_folder_with_a_pipe_in_it_does_not_hang(tmp_path: Path, name: str) -> None:
    manifest = {"format": 1, "basis": "real", "n_episodes": 0, "n_real": 0, "sources": [], "details": {}, "hashes": {}}
    (tmp_path / "cohort.json").write_text(json.dumps(manifest))
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match=r"is a named pipe|lacks episodes"):
        load_cohort(tmp_path)
    (tmp_path / name).rename(tmp_path / "episodes.parquet" if name.endswith("parquet") else tmp_path / name)
    with pytest.raises(DataError, match="is a named pipe"):
        load_cohort(tmp_path)


def test_a_gate_that_is_a_pipe_is_not_said_to_be_missing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate.yaml")
    with pytest.raises(SettingsError, match="not a regular file"):
        read_gate(str(tmp_path / "gate.yaml"))
