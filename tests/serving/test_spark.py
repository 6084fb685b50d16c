"""What a worker refuses and leaves, how files are divided among workers, and what is said without Spark."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paincast.cli import app
from paincast.cohort.reading.stretches import open_files, open_stretch, plan_stretches
from paincast.cohort.reading.types import Span
from paincast.errors import DataError, SettingsError
from paincast.schema import EPISODES
from paincast.serving.batch import predict_file
from paincast.serving.batch.run import Run
from paincast.serving.spark import SparkEngine, engine, session, worker

READING: dict[str, Any] = {"used": dict.fromkeys(EPISODES), "any_case": True, "verbatim": (), "table": "episodes"}


@given(st.lists(st.lists(st.integers(0, 30), max_size=6), max_size=4), st.integers(1, 20))
def test_stretches_cover_every_row_group_once_and_in_order(groups, part_rows) -> None:
    stretches = plan_stretches(groups, part_rows)
    numbers = [number for stretch in stretches for number in stretch.numbers]
    assert numbers == list(range(1, len(numbers) + 1))
    read: list[tuple[int, int]] = []
    for stretch in stretches:
        rows = 0
        for piece in stretch.pieces:
            assert piece.span.before == sum(groups[piece.file][: piece.span.first])
            read += [(piece.file, group) for group in range(piece.span.first, piece.span.stop)]
            rows += sum(groups[piece.file][piece.span.first : piece.span.stop])
        assert 0 < rows <= part_rows * stretch.n_parts
        assert stretch.n_parts == 1 or len(stretch.pieces) == 1
    filled = [(file, group) for file, counts in enumerate(groups) for group, n_rows in enumerate(counts) if n_rows]
    assert [place for place in read if groups[place[0]][place[1]]] == filled
    assert read == sorted(set(read))


def write_patients(path: Path, n: int, group_rows: int, start: int = 0) -> pd.DataFrame:
    patients = pd.DataFrame(
        {
            "episode_id": [f"ex-{place}" for place in range(start, start + n)],
            "indication": "lumbar_facet",
            "pain_nrs": np.arange(n) % 7 + 3.0,
            "odi": np.arange(n) % 90 + 5.0,
        }
    )
    pq.write_table(pa.Table.from_pandas(patients, preserve_index=False), path, row_group_size=group_rows)
    return patients


def test_rules_on_rows_are_learned_from_the_first_rows_whichever_are_read(tmp_path) -> None:
    """That ids hold digits tells that "n" is a sum; a row of labels is looked for at the top of the file only."""
    patients = write_patients(tmp_path / "a.parquet", 40, 10).astype({"pain_nrs": "str", "odi": "str"})
    patients.loc[[0, 30], ["episode_id", "pain_nrs", "odi"]] = ["Case", "Pain", "Disability"]
    patients.loc[25, ["episode_id", "indication", "pain_nrs", "odi"]] = ["n", None, "5", "6"]
    pq.write_table(pa.Table.from_pandas(patients, preserve_index=False), tmp_path / "a.parquet", row_group_size=10)
    found = []
    for part_rows in (100, 10):
        with open_files(tmp_path / "a.parquet", part_rows=part_rows, batch_rows=100, **READING) as files:
            places: list[int] = []
            for stretch in files.stretches:
                with open_stretch(files, stretch) as opened:
                    places += [place for batch in opened.batches for place in batch.places.tolist()]
        found.append(places)
    assert len(files.stretches) == 4
    assert files.stretches[2].pieces[0].span == Span(2, 3, 20)
    assert found[0] == found[1] == [place for place in range(1, 41) if place not in (1, 26)]


@pytest.fixture
def run(tmp_path: Path, models_folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Run, worker.Work]:
    """Return a run whose first part is made, and what workers need for the others."""
    write_patients(tmp_path / "in.parquet", 40, 10)
    caught: list[Run] = []

    class StoppedError(Exception):
        pass

    class Catcher:
        def check(self, sources: object) -> None:
            pass

        def make_parts(self, run: Run) -> None:
            run.make_parts(most=1)
            caught.append(run)
            raise StoppedError

    options: dict[str, Any] = {"techniques": ["facet_rfa"], "chunk_rows": 10, "part_rows": 10}
    with pytest.raises(StoppedError):
        predict_file(tmp_path / "in.parquet", tmp_path / "out.csv", models=models_folder, engine=Catcher(), **options)
    monkeypatch.chdir(tmp_path)
    return caught[0], pickle.loads(pickle.dumps(engine._describe_work(caught[0])))


def make_all(run: Run, work: worker.Work) -> list[worker.Failure | None]:
    return [worker.make_stretch(work, stretch, run.folder.finished) for stretch in run.list_unfinished()]


@pytest.mark.slow
def test_what_workers_leave_is_adopted_once_whoever_made_it_twice(run) -> None:
    found, work = run
    assert make_all(found, work) == make_all(found, work) == [None] * 3
    done = sorted(found.folder.path.glob("*.done"))
    assert len(done) == 6
    torn, foreign = (done[0].with_name(f"part-000002.{stamp}.z.done") for stamp in (work.stamp, "other"))
    torn.write_bytes(done[0].read_bytes()[:-9])
    foreign.write_bytes(done[0].read_bytes())
    assert [part.number for part in found.folder.adopt()] == [2, 3, 4]
    assert found.folder.adopt() == []
    assert sorted(path.name for path in found.folder.path.glob("*.done")) == [foreign.name]
    assert found.list_unfinished() == []
    names = {name for part in found.folder.parts for name in part.files}
    assert len(names) == 12
    found.folder.sweep()
    kept = {path.name for path in found.folder.path.iterdir()}
    assert kept == names | {"lock", "plan.json", "manifest.jsonl", "whole.json", "repeated.arrow"}


@pytest.mark.slow
def test_a_part_whose_files_are_not_seen_yet_waits(run) -> None:
    found, work = run
    worker.make_stretch(work, found.list_unfinished()[0], ())
    [file] = found.folder.path.glob("part-000002.*.ids.arrow")
    file.rename(file.with_suffix(".late"))
    assert found.folder.adopt() == []
    file.with_suffix(".late").rename(file)
    assert [part.number for part in found.folder.adopt()] == [2]


@pytest.mark.slow
def test_a_worker_refuses_what_is_not_as_with_the_driver(run, tmp_path, monkeypatch) -> None:
    found, work = run
    stretch = found.list_unfinished()[0]

    def refuse(work: worker.Work) -> str:
        failure = worker.make_stretch(work, stretch, ())
        assert failure is not None
        assert "\n" not in failure.message
        return failure.code

    other = {**work.software, "numpy": "1.0"}
    assert refuse(work._replace(software=other)) == "PC-SPARK-04"
    assert refuse(work._replace(folder=tmp_path / "elsewhere")) == "PC-SPARK-05"
    with pytest.raises(worker.WorkerError):
        worker.make_stretch(work._replace(stamp="0" * 16), stretch, ())
    monkeypatch.setattr(type(work.maker), "make", lambda *_: int("Zyxwv"))
    with pytest.raises(worker.WorkerError, match="ValueError") as told:
        worker.make_stretch(work, stretch, ())
    assert "Zyxwv" not in str(told.value)
    assert told.value.__suppress_context__
    assert list(found.folder.path.glob("*.new")) == []
    (tmp_path / "in.parquet").write_bytes(b"other")
    assert refuse(work) == "PC-SPARK-07"
    (tmp_path / "in.parquet").unlink()
    assert refuse(work) == "PC-SPARK-06"


@pytest.mark.slow
def test_a_column_that_only_one_file_spoils_is_unusable_there_alone(models_folder, tmp_path) -> None:
    (tmp_path / "in").mkdir()
    for name, start in (("a", 0), ("b", 5), ("c", 10)):
        table = pa.Table.from_pandas(write_patients(tmp_path / "x.parquet", 5, 5, start), preserve_index=False)
        if name == "a":
            table = table.set_column(table.schema.get_field_index("odi"), "odi", pa.array([["x"]] * 5))
        pq.write_table(table, tmp_path / "in" / f"{name}.parquet")
    for out in ("one.csv", "many.csv"):
        options: dict[str, Any] = {"part_rows": 4, "chunk_rows": 2} if out == "many.csv" else {}
        predict_file(tmp_path / "in", tmp_path / out, models=models_folder, techniques=["facet_rfa"], **options)
    written = pd.read_csv(tmp_path / "one.csv", keep_default_na=False)
    assert written["cautions"].str.contains("unusable").tolist() == [True] * 5 + [False] * 10
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "many.csv").read_bytes()
    assert (tmp_path / "one.rejects.csv").read_bytes() == (tmp_path / "many.rejects.csv").read_bytes()


def test_other_files_than_parquet_are_refused_before_anything_is_read(tmp_path, capsys) -> None:
    (tmp_path / "in.csv").write_text("indication,pain_nrs\nlumbar_facet,7\n")
    with pytest.raises(DataError) as told:
        predict_file(tmp_path / "in.csv", tmp_path / "out.csv", models="none", engine=SparkEngine())
    assert told.value.code == "PC-SPARK-08"
    command = ["predict", str(tmp_path / "in.csv"), "-o", str(tmp_path / "out.csv"), "--engine", "spark"]
    assert app.run(command) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_without_pyspark_or_java_it_is_said_what_to_install(monkeypatch) -> None:
    monkeypatch.setattr(session, "find_spec", lambda _: None)
    with pytest.raises(SettingsError, match=r"paincast\[spark\]") as told:
        session.require_spark()
    assert told.value.code == "PC-SPARK-01"
    monkeypatch.setattr(session, "find_spec", lambda _: object())
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(SettingsError, match="Java 17") as told:
        session.require_spark()
    assert told.value.code == "PC-SPARK-02"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("ModuleNotFoundError: No module named 'paincast'", "PC-SPARK-09"),
        ("[PYTHON_VERSION_MISMATCH] Python in worker has different version", "PC-SPARK-10"),
        ("paincast.serving.spark.worker.WorkerError: ValueError in make, line 7", "PC-SPARK-11"),
        ("Job aborted: Zyxwv", "PC-SPARK-11"),
    ],
)
def test_a_failure_of_spark_has_a_code_and_no_value(text, code) -> None:
    job: engine.Future[Any] = engine.Future()
    job.set_exception(RuntimeError(text))
    with pytest.raises(engine.OutputError) as told:
        engine._raise_failure(job)
    assert told.value.code == code
    assert "Zyxwv" not in str(told.value)
    assert ("ValueError in make, line 7" in str(told.value)) == ("ValueError" in text)


def test_the_master_is_what_spark_is_configured_with_or_this_machine(tmp_path, monkeypatch) -> None:
    for name in ("PYSPARK_GATEWAY_PORT", "MASTER", "PYSPARK_SUBMIT_ARGS", "SPARK_HOME", "SPARK_CONF_DIR"):
        monkeypatch.delenv(name, raising=False)
    assert not session._is_configured()
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    assert not session._is_configured()
    (tmp_path / "spark-defaults.conf").write_text("spark.master yarn\n")
    assert session._is_configured()
    monkeypatch.delenv("SPARK_CONF_DIR")
    monkeypatch.setenv("MASTER", "yarn")
    assert session._is_configured()
