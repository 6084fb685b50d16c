"""A batch that ends early, wherever it does, loses nothing: resumed, it writes what an undisturbed run writes."""

from __future__ import annotations

import errno
import json
import os
import pickle
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from paincast.cohort.reading.patients import PatientRows
from paincast.cohort.rejects import compute_reject_share, read_rejects
from paincast.cohort.validate import check_rows
from paincast.contract import BUILT_IN
from paincast.errors import DataError, OutputError
from paincast.files import atomic, hash_file, working_folder
from paincast.files.working_folder import hold_working_folder
from paincast.predictor import make_abstentions
from paincast.predictor.answering.frames import to_table
from paincast.predictor.route import Answers, Predictions
from paincast.serving.batch import BatchSummary, parts, predict_file, read_predictions, run, scoring
from paincast.serving.batch.parts import PartsFolder
from paincast.serving.predict import load_models

N_PATIENTS = 36


class KilledError(BaseException):
    """Ends a run without any of its cleaning up, as kill -9 does."""


def make_patients() -> pd.DataFrame:
    """Make patients with a fault of every kind: a decimal comma late, duplicates far apart, rejects, odd columns."""
    rng = np.random.default_rng(5)
    patients = pd.DataFrame(
        {
            "episode_id": [f"ex-{n}" for n in range(N_PATIENTS)],
            "indication": rng.choice(["lumbar_facet", "lumbar_radicular_disc"], N_PATIENTS),
            "pain_nrs": rng.choice(["4", "6"], N_PATIENTS),
            "odi": rng.choice(["30", "40", "Zyxwv"], N_PATIENTS),
            "hair": "grey",
        }
    )
    patients.loc[8, "odi"] = "45,5"
    patients.loc[26, "odi"] = "1.200"
    patients.loc[[17, 30, 35], "episode_id"] = ["ex-2", "ex-2", "ex-25"]
    return patients


@cache
def check_pickled(patients: bytes) -> bytes:
    """Check rows once, however often they are asked for; as bytes, so that nobody changes what others get."""
    return pickle.dumps(check_rows(pickle.loads(patients), BUILT_IN))


def answer(patients: PatientRows, *_: object, **_options: object) -> Answers:
    """Answer with half the ODI as percent."""
    checked = pickle.loads(check_pickled(pickle.dumps(patients)))
    places = patients.places[checked.kept]
    episodes = checked.table.to_pandas().set_axis(pd.Index(places)).assign(patient_id="")
    rows = make_abstentions(episodes, "facet_rfa", "pain_response", "the ODI is not known")
    rows = rows.assign(probability=episodes["odi"] / 200, abstained=episodes["odi"].isna())
    rows["abstained_because"] = rows["abstained_because"].where(rows["abstained"], "")
    return Answers(iter([Predictions(to_table(rows), places)]), checked.rejects, checked.survey)


@pytest.fixture
def batch(tmp_path: Path, models_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., BatchSummary]:
    """Predict for the patients in small parts, by a stand-in that answers at once."""
    models = load_models(models_folder)
    make_patients().to_csv(tmp_path / "in.csv", index=False)
    monkeypatch.setattr(run, "load_models", lambda *_, **__: models)

    monkeypatch.setattr(scoring, "answer_patients", answer)

    def call(out: Path, **options: Any) -> BatchSummary:
        given = {"chunk_rows": 6, "part_rows": 12, "models": models_folder, **options}
        return predict_file(given.pop("source", tmp_path / "in.csv"), out, **given)

    return call


def read_folder(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def undisturbed(batch: Callable[..., BatchSummary], tmp_path: Path) -> Callable[[str], dict[str, bytes]]:
    """Return the files of a run that nothing disturbed."""

    def call(name: str) -> dict[str, bytes]:
        batch(tmp_path / "undisturbed" / name)
        return read_folder(tmp_path / "undisturbed")

    return call


def fail_at(monkeypatch: pytest.MonkeyPatch, step: int, error: BaseException) -> list[str]:
    """Let the run fail at one of its steps on the disk; returns the steps that it takes."""
    steps: list[str] = []

    def counted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def then_fail(*arguments: Any, **options: Any) -> Any:
            steps.append(name)
            if len(steps) == step + 1:
                raise error
            return call(*arguments, **options)

        return then_fail

    monkeypatch.setattr(os, "fsync", counted("fsync", os.fsync))
    for name in ("replace", "mkdir", "unlink", "write_text"):
        monkeypatch.setattr(Path, name, counted(name, getattr(Path, name)))
    for room, name in ((run, "join_predictions"), (run, "join_rejects_parts"), (parts, "append_durably")):
        monkeypatch.setattr(room, name, counted(name, getattr(room, name)))
    for kind, name in ((scoring.RejectsDraft, "write"), (scoring.PredictionsDraft, "close")):
        monkeypatch.setattr(kind, name, counted(name, getattr(kind, name)))
    monkeypatch.setattr(scoring, "write_ids", counted("write_ids", scoring.write_ids))
    if isinstance(error, KilledError):
        monkeypatch.setattr(PartsFolder, "give_up", lambda *_: "")
        monkeypatch.setattr(PartsFolder, "remove", lambda *_: None)
        monkeypatch.setattr(atomic, "_recover", lambda *_: None)
    return steps


def count_steps(batch: Callable[..., BatchSummary], out: Path) -> int:
    with pytest.MonkeyPatch.context() as patch:
        steps = fail_at(patch, 10_000, OSError())
        batch(out)
    assert {"fsync", "append_durably", "join_predictions", "replace"} <= set(steps)
    return len(steps)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_killed_at_any_step_a_resumed_run_writes_the_same_bytes(batch, undisturbed, tmp_path, name) -> None:
    expected = undisturbed(name)
    assert set(expected) == {name, "out.rejects.csv", "out.summary.json"}
    n_resumed = 0
    # Both formats take nearly the same steps: together they are killed at every fourth one.
    for step in range(4 * (name == "out.csv"), count_steps(batch, tmp_path / "counted" / name), 8):
        out = tmp_path / str(step) / name
        with pytest.MonkeyPatch.context() as patch:
            fail_at(patch, step, KilledError())
            try:
                batch(out)
            except KilledError:
                pass
            else:
                break  # what is left is to remove the parts
        manifest = out.parent / f".{name}.parts" / parts.MANIFEST
        n_resumed += manifest.is_file() and manifest.read_bytes().count(b"\n") > 0
        assert batch(out, resume=True).notes == ()
        assert read_folder(out.parent) == expected, step
    assert n_resumed > 5


def catch_error(call: Callable[[], object]) -> OutputError | None:
    try:
        call()
    except OutputError as error:
        return error
    return None


@pytest.mark.slow
@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_a_disk_that_is_full_at_any_step_loses_nothing(batch, undisturbed, tmp_path, name) -> None:
    expected = undisturbed(name)
    n_kept = 0
    for step in range(4 * (name == "out.csv"), count_steps(batch, tmp_path / "counted" / name), 8):
        out = tmp_path / str(step) / name
        out.parent.mkdir()
        old = {name: b"old", "out.rejects.csv": b"old", "out.summary.json": b"old"}
        for file, content in old.items():
            (out.parent / file).write_bytes(content)
        with pytest.MonkeyPatch.context() as patch:
            fail_at(patch, step, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
            error = catch_error(lambda out=out: batch(out))
        if error is None:
            # Failures to force a folder's names to disk, and to remove what is not needed, are no failures.
            assert read_folder(out.parent) == expected
            continue
        assert error.code in ("PC-SERVING-60", "PC-FILES-04")
        assert "No space left on device" in str(error)
        assert "\n" not in str(error)
        is_kept = "--resume" in str(error)
        assert {file.name: file.read_bytes() for file in out.parent.glob("out*")} == old
        assert (out.parent / f".{name}.parts").exists() == is_kept
        n_kept += is_kept
        assert batch(out, resume=True).notes == ()
        assert read_folder(out.parent) == expected, step
    assert n_kept > 5


@pytest.fixture
def unfinished(batch: Callable[..., BatchSummary], tmp_path: Path) -> Path:
    """Leave a run unfinished after two parts; returns the path of its output."""
    out = tmp_path / "unfinished" / "out.csv"
    real, calls = PartsFolder.finish_part, []

    def fail_at_third(*arguments: Any, **facts: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*arguments, **facts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PartsFolder, "finish_part", fail_at_third)
        with pytest.raises(OutputError, match="--resume"):
            batch(out)
    return out


def list_parts(out: Path) -> list[str]:
    return sorted(path.name for path in (out.parent / ".out.csv.parts").iterdir())


KEPT = [
    "lock",
    "manifest.jsonl",
    *(f"part-00000{n}{ending}" for n in (1, 2) for ending in (".csv", ".ids.arrow", ".rejects.csv")),
    "plan.json",
    "repeated.arrow",
    "whole.json",
]


def test_finished_parts_are_kept_for_their_owner_alone_and_nothing_else(unfinished, batch, undisturbed) -> None:
    assert list_parts(unfinished) == KEPT
    assert os.stat(unfinished.parent / ".out.csv.parts").st_mode & 0o777 == 0o700  # noqa: PTH116
    batch(unfinished, resume=True)
    assert read_folder(unfinished.parent) == undisturbed("out.csv")


def test_finished_parts_are_not_made_again(unfinished, batch, monkeypatch) -> None:
    asked: list[str] = []
    real = scoring.BatchScorer.score

    def score(scorer: scoring.BatchScorer, rows: Any, *rest: Any) -> Any:
        asked.extend(rows.rows["episode_id"].to_pylist())
        return real(scorer, rows, *rest)

    monkeypatch.setattr(scoring.BatchScorer, "score", score)
    batch(unfinished, resume=True)
    assert asked[0] == "ex-24"
    assert asked[:12] == make_patients()["episode_id"].tolist()[24:]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"months": [3]}, "options: months"),
        ({"techniques": ["facet_rfa"]}, "options: techniques"),
        ({"chunk_rows": 7}, "sizes: batch"),
        ({"part_rows": 18}, "sizes: part"),
        ({"input": "another"}, "input: in.csv"),
        ({"models": "another"}, "models: facet_rfa/pain_response"),
        ({"software": "another"}, "software: paincast"),
    ],
)
def test_what_changed_is_named_and_nothing_is_resumed(
    unfinished, batch, undisturbed, tmp_path, models_folder, change, words
) -> None:
    expected = undisturbed("out.csv")
    with pytest.MonkeyPatch.context() as patch:
        if change.pop("input", None):
            (tmp_path / "in.csv").write_text((tmp_path / "in.csv").read_text().replace("ex-5,", "ex-6,"))
        if change.pop("models", None):
            models = load_models(models_folder)
            name = "facet_rfa/pain_response"
            other = {**models, name: run.replace(models[name], version="123456789abc")}
            patch.setattr(run, "load_models", lambda *_, **__: other)
        if change.pop("software", None):
            patch.setattr("paincast.serving.batch.plan.__version__", "0.0.0")
        with pytest.raises(OutputError) as told:
            batch(unfinished, resume=True, **change)
    assert told.value.code == "PC-SERVING-61"
    assert words in str(told.value)
    assert list_parts(unfinished) == KEPT
    make_patients().to_csv(tmp_path / "in.csv", index=False)
    batch(unfinished, resume=True)
    assert read_folder(unfinished.parent) == expected


def test_a_copy_of_the_input_with_the_same_content_is_the_same_input(unfinished, batch, tmp_path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "in.csv").write_bytes((tmp_path / "in.csv").read_bytes())
    summary = batch(unfinished, resume=True, source=tmp_path / "elsewhere" / "in.csv")
    assert summary.n_patients == N_PATIENTS


def test_without_resume_a_run_begins_anew_and_says_so(unfinished, batch, undisturbed) -> None:
    (note,) = batch(unfinished).notes
    assert "--resume" in note
    assert read_folder(unfinished.parent) == undisturbed("out.csv")
    assert batch(unfinished).notes == ()


def test_resume_without_an_unfinished_run_begins(batch, undisturbed, tmp_path) -> None:
    assert batch(tmp_path / "new" / "out.csv", resume=True).notes == ()
    assert read_folder(tmp_path / "new") == undisturbed("out.csv")


def change_digits(file: Path) -> None:
    """Put a text where a number stood, as JSON that can be read."""
    text = file.read_text("utf-8")
    at = text.index("{")
    file.write_text(text[:at] + re.sub(r"\b[0-9]+\b(?=[,}\]])", '"x"', text[at:]).replace("null", '"x"'), "utf-8")


def put_in_place(file: Path, make: Callable[[Path], object]) -> None:
    file.unlink()
    make(file)


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "part-000002.csv").write_bytes(b"cut"),
        lambda folder: (folder / "part-000001.ids.arrow").unlink(),
        lambda folder: os.truncate(folder / "manifest.jsonl", os.path.getsize(folder / "manifest.jsonl") - 1),  # noqa: PTH202
        lambda folder: (folder / "manifest.jsonl").write_bytes(b"\0" * 100),
        lambda folder: (folder / "plan.json").write_bytes(b"{"),
        lambda folder: (folder / "plan.json").unlink(),
        lambda folder: (folder / "part-000009.csv").write_bytes(b"orphan"),
        lambda folder: (folder / "part-000003.csv.new").write_bytes(b"orphan"),
        lambda folder: change_digits(folder / "manifest.jsonl"),
        lambda folder: change_digits(folder / "whole.json"),
        lambda folder: (folder / "repeated.arrow").write_bytes(b"cut"),
        lambda folder: put_in_place(folder / "part-000002.csv", os.mkfifo),
        lambda folder: put_in_place(folder / "manifest.jsonl", os.mkfifo),
        lambda folder: put_in_place(folder / "plan.json", Path.mkdir),
    ],
)
def test_a_damaged_part_is_made_again_and_orphans_go(unfinished, batch, undisturbed, damage) -> None:
    damage(unfinished.parent / ".out.csv.parts")
    batch(unfinished, resume=True)
    assert read_folder(unfinished.parent) == undisturbed("out.csv")


def test_a_torn_line_of_the_manifest_never_counts(unfinished) -> None:
    folder = PartsFolder(unfinished)
    manifest = folder.path / parts.MANIFEST
    whole = manifest.read_bytes()
    first = whole.index(b"\n") + 1
    for length in range(first, len(whole), 17):
        manifest.write_bytes(whole[:length])
        folder._read_finished()
        assert list(folder.finished) == [1]
    manifest.write_bytes(whole)
    folder._read_finished()
    assert list(folder.finished) == [1, 2]


def test_the_second_of_two_runs_on_one_output_is_refused(unfinished, batch) -> None:
    with hold_working_folder(unfinished.parent / ".out.csv.parts"):
        for resume in (True, False):
            with pytest.raises(OutputError, match=f"process {os.getpid()}") as told:
                batch(unfinished, resume=resume)
            assert told.value.code == "PC-FILES-70"
    assert list_parts(unfinished) == KEPT
    batch(unfinished, resume=True)


def test_a_folder_that_vanished_before_it_was_locked_is_made_again(tmp_path, monkeypatch) -> None:
    real, calls = working_folder._is_in_place, []

    def vanish(lock: Any, folder: Path) -> bool:
        calls.append(1)
        if len(calls) == 1:
            (folder / "lock").unlink()
            folder.rmdir()
        return real(lock, folder)

    monkeypatch.setattr(working_folder, "_is_in_place", vanish)
    with hold_working_folder(tmp_path / "held"):
        assert len(calls) == 2
        assert (tmp_path / "held" / "lock").read_text() == str(os.getpid())


def test_a_link_in_place_of_the_folder_is_refused(batch, tmp_path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / ".out.csv.parts").symlink_to(tmp_path / "theirs")
    with pytest.raises(OutputError) as told:
        batch(tmp_path / "out.csv")
    assert told.value.code == "PC-FILES-71"
    assert list((tmp_path / "theirs").iterdir()) == []


def change_after_first_part(monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> None:
    real = PartsFolder.finish_part

    def then_change(*arguments: Any, **facts: Any) -> Any:
        part = real(*arguments, **facts)
        if part.number == 1:
            change()
        return part

    monkeypatch.setattr(PartsFolder, "finish_part", then_change)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["replaced", "shortened", "appended", "removed"])
def test_an_input_that_changes_under_way_is_noticed_and_the_old_output_stays(batch, tmp_path, monkeypatch, how) -> None:
    (tmp_path / "out.csv").write_text("old")
    source = tmp_path / "in.csv"

    def change() -> None:
        if how == "replaced":
            (tmp_path / "new").write_bytes(source.read_bytes())
            (tmp_path / "new").replace(source)
        elif how == "removed":
            source.unlink()
        else:
            content = source.read_bytes()
            source.write_bytes(content[:-40] if how == "shortened" else content + b"ex-99,lumbar_facet,4,30,grey\n")

    change_after_first_part(monkeypatch, change)
    with pytest.raises(DataError) as told:
        batch(tmp_path / "out.csv")
    assert told.value.code == ("PC-FILES-17" if how == "removed" else "PC-FILES-16")
    assert "\n" not in str(told.value)
    assert (tmp_path / "out.csv").read_text() == "old"
    assert (tmp_path / ".out.csv.parts").exists() == (how == "removed")


def test_an_output_folder_that_is_removed_under_way_is_one_line(batch, tmp_path, monkeypatch) -> None:
    out = tmp_path / "removed" / "out.csv"

    def remove() -> None:
        for path in (out.parent / ".out.csv.parts").iterdir():
            path.unlink()
        (out.parent / ".out.csv.parts").rmdir()
        out.parent.rmdir()

    change_after_first_part(monkeypatch, remove)
    with pytest.raises(OutputError, match=r"No such file or directory; no partial output was left$") as told:
        batch(out)
    assert told.value.code == "PC-SERVING-60"
    assert not out.parent.exists()


def test_an_interruption_says_what_is_kept(batch, undisturbed, tmp_path) -> None:
    out = tmp_path / "stopped" / "out.csv"

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        change_after_first_part(patch, stop)
        with pytest.raises(KeyboardInterrupt, match="--resume"):
            batch(out)
    batch(out, resume=True)
    assert read_folder(out.parent) == undisturbed("out.csv")


def test_a_directory_in_place_of_the_output_is_said_before_predicting(batch, tmp_path) -> None:
    (tmp_path / "out.csv").mkdir()
    with pytest.raises(OutputError) as told:
        batch(tmp_path / "out.csv")
    assert told.value.code == "PC-SERVING-62"
    assert not (tmp_path / ".out.csv.parts").exists()


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_summary_beside_the_output_counts_what_is_in_it(batch, tmp_path, suffix) -> None:
    out = tmp_path / f"out{suffix}"
    summary = batch(out)
    assert summary.summary_path == tmp_path / "out.summary.json"
    content = json.loads(summary.summary_path.read_text())
    predictions, rejects = read_predictions(out), read_rejects(tmp_path / "out.rejects.csv")
    assert content["predictions"] == {"file": out.name, "rows": len(predictions), "sha256": hash_file(out)}
    digest = hash_file(tmp_path / "out.rejects.csv")
    assert content["rejects"] == {"file": "out.rejects.csv", "rows": len(rejects), "sha256": digest}
    assert [entry["sha256"] for entry in content["input"]] == [hash_file(tmp_path / "in.csv")]
    assert content["patients"] == N_PATIENTS == summary.n_patients
    assert content["reject_share"] == compute_reject_share(rejects, N_PATIENTS) > 0
    silent = predictions[predictions["abstained"]]
    told = content["techniques"]["facet_rfa"]
    assert (told["predicted"], told["abstained"]) == (len(predictions) - len(silent), len(silent))
    assert told["abstained_because"] == {"the ODI is not known": len(silent)}
    assert set(content["models"]) == {"facet_rfa/pain_response", "epidural_steroid_injection/pain_response"}
    assert "Zyxwv" not in summary.summary_path.read_text()


def test_parts_change_no_row(batch, tmp_path) -> None:
    written = []
    for name, options in (("one", {"part_rows": 10_000}), ("many", {"part_rows": 1})):
        batch(tmp_path / name / "out.csv", **options)
        files = read_folder(tmp_path / name)
        written.append((files["out.csv"], files["out.rejects.csv"]))
    assert written[0] == written[1]
    rejects = read_rejects(tmp_path / "one" / "out.rejects.csv")
    found = rejects[["row", "column", "rule"]].to_numpy().tolist()
    assert found.count([0, "hair", "unknown column"]) == 1
    assert [row for row, _, rule in found if rule == "duplicate"] == [3, 18, 26, 31, 36]


def test_an_output_whose_name_is_not_utf_8_is_refused(tmp_path) -> None:
    with (
        pytest.raises(OutputError, check=lambda error: error.code == "PC-FILES-62"),
        parts.hold_parts(tmp_path / "a\udcff.csv"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
