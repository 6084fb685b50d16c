"""Workers of a Spark cluster write what this process writes, whichever is killed, and each goes on for the other."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from paincast.serving.batch import predict_file
from paincast.serving.batch.run import Run
from paincast.serving.spark import SparkEngine

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("pyspark") is None, reason="needs pyspark, the extra spark"),
    pytest.mark.skipif(shutil.which("java") is None, reason="needs Java"),
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

N_PATIENTS = 420
SIZES = {"chunk_rows": 15, "part_rows": 30}


def make_patients() -> pd.DataFrame:
    """Make patients with a fault of every kind: odd numbers, ids that repeat far apart, sums, a column of lists."""
    rng = np.random.default_rng(3)
    patients = pd.DataFrame(
        {
            "episode_id": [f"ex-{n}" for n in range(N_PATIENTS)],
            "site_id": rng.choice(["north", "south"], N_PATIENTS),
            "indication": rng.choice(["lumbar_facet", "lumbar_radicular_disc", "nowhere"], N_PATIENTS),
            "pain_nrs": rng.choice(["4", "6", "7,5", " 8 ", "11"], N_PATIENTS),
            "odi": rng.choice(["30", "45,5", "none", "Zyxwv", "170", None], N_PATIENTS),
            "age_years": rng.integers(25, 90, N_PATIENTS).astype(float),
            "depression": rng.choice([True, False], N_PATIENTS),
            "hair": "grey",
        }
    )
    patients.loc[[180, 300, 410], "episode_id"] = " ex-2 "
    patients.loc[[399, 20], :] = patients.loc[[19, 19], :].to_numpy()
    patients.loc[310, ["episode_id", "indication", "pain_nrs", "odi"]] = ["Total", None, "5", "40"]
    return patients


@pytest.fixture(scope="module")
def patients_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files with many small row groups, with large ones, and with few rows; one has a column of lists."""
    folder = tmp_path_factory.mktemp("warehouse")
    patients = make_patients()
    for name, rows, group_rows in (("a", slice(0, 150), 11), ("b", slice(150, 400), 125), ("c", slice(400, None), 50)):
        table = pa.Table.from_pandas(patients[rows], preserve_index=False)
        of_lists = pa.array([["x"]] * len(table)) if name == "b" else pa.nulls(len(table), pa.string())
        pq.write_table(table.append_column("sex", of_lists), folder / f"{name}.parquet", row_group_size=group_rows)
    return folder


def predict(patients_folder: Path, models_folder: Path, out: Path, **options: Any) -> None:
    predict_file(patients_folder, out, models=models_folder, techniques="all", **SIZES, **options)


def read_folder(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def expected(patients_folder, models_folder, tmp_path_factory) -> dict[str, dict[str, bytes]]:
    """Return the files that this process alone writes, by name of the output."""
    written = {}
    for name in ("out.parquet", "out.csv"):
        folder = tmp_path_factory.mktemp("alone")
        predict(patients_folder, models_folder, folder / name)
        written[name] = read_folder(folder)
        assert set(written[name]) == {name, "out.rejects.csv", "out.summary.json"}
    assert b"duplicate" in written["out.csv"]["out.rejects.csv"]
    return written


@pytest.fixture(scope="module")
def cluster() -> Iterator[SparkEngine]:
    """Two executors, each with Python workers of its own."""
    with warnings_allowed(), SparkEngine("local-cluster[2,1,1024]") as engine:
        yield engine


@contextmanager
def warnings_allowed() -> Iterator[None]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def list_descendants(pid: int) -> dict[int, str]:
    """List the processes that a process has started, and theirs, with their command lines."""
    parents, lines = {}, {}
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit():
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                parents[int(folder.name)] = int(fields[1])
                lines[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
    found, added = {pid}, {pid}
    while added:
        added = {child for child, parent in parents.items() if parent in added} - found
        found |= added
    return {child: lines[child] for child in found - {pid}}


def find_executors() -> list[int]:
    return [pid for pid, line in list_descendants(os.getpid()).items() if "CoarseGrainedExecutorBackend" in line]


def find_python_workers() -> list[int]:
    """List the workers that were forked from a daemon, of which there is one for each executor."""
    daemons = [pid for pid, line in list_descendants(os.getpid()).items() if "pyspark.daemon" in line]
    return sorted({worker for daemon in daemons for worker in list_descendants(daemon)})


class After:
    """Progress that does something when some patients of further parts are predicted."""

    def __init__(self, n_patients: int, do: Callable[[], object]) -> None:
        self.left, self.do = n_patients, do

    def expect(self, steps: float) -> None:
        pass

    def describe(self, text: str) -> None:
        pass

    def advance(self, steps: float = 1.0) -> None:
        is_before, self.left = self.left > 0, self.left - steps
        if is_before and self.left <= 0:
            self.do()


def kill_one(find: Callable[[], list[int]], killed: list[int]) -> None:
    for _ in range(100):
        if found := find():
            os.kill(found[0], signal.SIGKILL)
            killed.append(found[0])
            return
        time.sleep(0.05)


@pytest.mark.parametrize("name", ["out.parquet", "out.csv"])
def test_a_cluster_writes_the_same_bytes(cluster, patients_folder, models_folder, expected, tmp_path, name) -> None:
    predict(patients_folder, models_folder, tmp_path / name, engine=cluster)
    assert read_folder(tmp_path) == expected[name]


@pytest.mark.parametrize("find", [find_python_workers, find_executors])
def test_killed_workers_change_nothing_and_leave_nothing(
    cluster, patients_folder, models_folder, expected, tmp_path, find
) -> None:
    killed: list[int] = []
    progress = After(60, lambda: kill_one(find, killed))
    predict(patients_folder, models_folder, tmp_path / "out.parquet", engine=cluster, progress=progress)
    assert len(killed) == 1
    assert read_folder(tmp_path) == expected["out.parquet"]


def stop() -> None:
    raise KeyboardInterrupt


def count_finished(folder: Path) -> int:
    return (folder / ".out.parquet.parts" / "manifest.jsonl").read_text().count("\n")


def test_this_process_goes_on_with_what_a_cluster_began(
    cluster, patients_folder, models_folder, expected, tmp_path
) -> None:
    out = tmp_path / "out.parquet"
    with pytest.raises(KeyboardInterrupt, match="--resume"):
        predict(patients_folder, models_folder, out, engine=cluster, progress=After(60, stop))
    assert count_finished(tmp_path) >= 2
    predict(patients_folder, models_folder, out, resume=True)
    assert read_folder(tmp_path) == expected["out.parquet"]


def test_a_cluster_goes_on_with_what_this_process_began(
    cluster, patients_folder, models_folder, expected, tmp_path
) -> None:
    out = tmp_path / "out.parquet"
    with pytest.raises(KeyboardInterrupt, match="--resume"):
        predict(patients_folder, models_folder, out, progress=After(70, stop))
    assert count_finished(tmp_path) >= 2
    predict(patients_folder, models_folder, out, engine=cluster, resume=True)
    assert read_folder(tmp_path) == expected["out.parquet"]


def test_a_failure_of_a_worker_is_told_without_a_value(cluster, patients_folder, models_folder, tmp_path) -> None:
    shutil.copytree(patients_folder, tmp_path / "in")
    real = Run.refuse_changed

    def change(run: Run, stretch: Any) -> None:
        real(run, stretch)
        (tmp_path / "in" / "c.parquet").write_bytes(b"Zyxwv")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "refuse_changed", change)
        with pytest.raises(Exception, match=r"c\.parquet") as told:
            predict(tmp_path / "in", models_folder, tmp_path / "out.parquet", engine=cluster)
    assert told.value.code in ("PC-SPARK-07", "PC-FILES-16")
    assert "Zyxwv" not in str(told.value)
    assert "\n" not in str(told.value)


@pytest.fixture(scope="module")
def master(tmp_path_factory) -> Iterator[str]:
    """Start a standalone master with two workers; returns its address."""
    import pyspark

    command = [str(Path(pyspark.__file__).parent / "bin" / "spark-class")]
    logs = tmp_path_factory.mktemp("logs")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"spark://127.0.0.1:{port}"
    host = ["--host", "127.0.0.1", "--webui-port", "0"]
    roles = [["master.Master", *host, "--port", str(port)]]
    roles += [["worker.Worker", *host, "--cores", "1", "--memory", "1g", "-d", str(logs / n), address] for n in "12"]
    log = (logs / "log").open("w")
    started = []
    try:
        for role in roles:
            arguments = [*command, f"org.apache.spark.deploy.{role[0]}", *role[1:]]
            started.append(subprocess.Popen(arguments, stdout=log, stderr=log))
        wait_for(lambda: (logs / "log").read_text().count("Successfully registered with master") == 2)
        yield address
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(timeout=60)
        log.close()


def wait_for(is_there: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not is_there():
        assert time.monotonic() < end
        time.sleep(0.2)


def start_command(master: str, patients_folder: Path, models_folder: Path, out: Path) -> subprocess.Popen[str]:
    """Start the command in a process of its own, with small parts."""
    command = ["predict", str(patients_folder), "-o", str(out), "--models", str(models_folder), "--techniques", "all"]
    command += ["--engine", "spark", "--spark-master", master, "--max-rejects", "1"]
    sizes = f"predict_file.__kwdefaults__.update({SIZES})"
    code = f"from paincast.cli.app import run, sys; from paincast.serving.batch import predict_file; {sizes}; "
    arguments = [sys.executable, "-c", f"{code} sys.exit(run({command}))"]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_command_has_two_workers_of_a_standalone_master_predict(
    master, patients_folder, models_folder, expected, tmp_path
) -> None:
    started = start_command(master, patients_folder, models_folder, tmp_path / "out.parquet")
    told, logged = started.communicate(timeout=300)
    assert started.returncode == 0, logged
    assert read_folder(tmp_path) == expected["out.parquet"]
    assert re.search(r"\d+ answers", told)


def test_this_process_goes_on_after_the_driver_was_killed(
    master, patients_folder, models_folder, expected, tmp_path
) -> None:
    started = start_command(master, patients_folder, models_folder, tmp_path / "out.parquet")
    manifest = tmp_path / ".out.parquet.parts" / "manifest.jsonl"
    wait_for(lambda: manifest.is_file() and count_finished(tmp_path) >= 3)
    started.kill()
    started.communicate()
    assert started.returncode == -signal.SIGKILL
    predict(patients_folder, models_folder, tmp_path / "out.parquet", resume=True)
    assert read_folder(tmp_path) == expected["out.parquet"]
