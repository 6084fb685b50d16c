"""Time batch prediction by Spark workers beside this process alone and beside rows moved through Spark; kill workers.

Run with: OMP_NUM_THREADS=1 python benchmarks/spark.py FOLDER [--rows N] [--rounds N] [--python-kills N] ...

FOLDER holds what ``benchmarks/serving.py`` makes too: patients and a model. All runs are warm: each way has run once
before it is timed, so that imports, machine code and the start of Spark do not count. The seconds of the processor are
those of this process, the Java machines and the Python workers together. ``mapInArrow`` scores the same rows with the
same core and has Spark read and write them. Then workers are killed with SIGKILL at random moments; every output must
have the bytes of the undisturbed one, and nothing may be left beside it. Exits with 1 if a file differs.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import random
import shutil
import signal
import statistics
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from serving import TECHNIQUE, prepare_file, prepare_models

from paincast.cohort.reading.batches import Batch
from paincast.cohort.reading.types import Dialect
from paincast.contract import BUILT_IN
from paincast.predictor.route import Answer
from paincast.predictor.rows import PREDICTION_SCHEMA
from paincast.serving.answering import make_answer
from paincast.serving.asked import check_asking
from paincast.serving.batch import predict_file
from paincast.serving.batch.scoring import BatchScorer, name_patients, set_ids
from paincast.serving.layout import Layout
from paincast.serving.predict import load_models
from paincast.serving.spark import SparkEngine

MASTER = "local-cluster[2,1,2048]"
TICK = os.sysconf("SC_CLK_TCK")


def list_processes() -> dict[int, tuple[int, str, float]]:
    """List parent, command line and seconds of the processor of all processes, with those of ended children."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            found[int(folder.name)] = (int(fields[1]), line, sum(map(int, fields[11:15])) / TICK)
    return found


def list_tree(root: int) -> dict[int, tuple[int, str, float]]:
    """List a process and all that it has started."""
    processes, tree, added = list_processes(), {root}, {root}
    while added:
        added = {pid for pid, (parent, *_) in processes.items() if parent in added} - tree
        tree |= added
    return {pid: processes[pid] for pid in tree if pid in processes}


def measure(run: Callable[[], object]) -> tuple[float, float, str]:
    """Return the seconds of the processor that a run takes in all processes, those of the clock, and who took them."""
    before, clock = list_tree(os.getpid()), time.perf_counter()
    run()
    seconds, after = time.perf_counter() - clock, list_tree(os.getpid())
    spent: dict[str, float] = dict.fromkeys(("here", "java", "workers"), 0.0)
    for pid, (_, line, total) in after.items():
        kind = "here" if pid == os.getpid() else "java" if "java" in line.partition(" ")[0] else "workers"
        spent[kind] += total - before.get(pid, (0, "", 0.0))[2]
    return sum(spent.values()), seconds, ", ".join(f"{kind} {used:.1f}" for kind, used in spent.items())


def find_python_workers() -> list[int]:
    """List the workers that were forked from a daemon, of which each executor has one."""
    tree = list_tree(os.getpid())
    daemons = {pid for pid, (_, line, _) in tree.items() if "pyspark.daemon" in line}
    top = {pid for pid in daemons if tree[pid][0] not in daemons}
    return sorted(pid for pid in tree if tree[pid][0] in top)


def find_executors() -> list[int]:
    tree = list_tree(os.getpid())
    return sorted(pid for pid, (_, line, _) in tree.items() if "CoarseGrainedExecutorBackend" in line)


def score_rows(answer: Answer, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Score rows that Spark hands over: the same core, without what is decided of the whole input."""
    import numpy as np

    scorer, layout, n = BatchScorer(answer, BUILT_IN, {}), Layout(long=PREDICTION_SCHEMA), 0
    for rows in batches:
        places = np.arange(n + 1, n + 1 + len(rows), dtype=np.int64)
        n += len(rows)
        batch = Batch(pa.Table.from_batches([rows]), places, None)
        named = set_ids(batch, name_patients(batch))
        answers = scorer.score(named, Dialect(), np.zeros(len(rows), dtype=bool))
        for predictions in answers.predictions:
            yield from layout.arrange(predictions, named).cast(PREDICTION_SCHEMA).combine_chunks().to_batches()


def map_in_arrow(session: Any, source: Path, out: Path, answer: Answer) -> None:
    from pyspark.sql.pandas.types import from_arrow_schema

    session.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", 32_768)
    rows = session.read.parquet(str(source))
    scored = rows.mapInArrow(lambda batches: score_rows(answer, batches), from_arrow_schema(PREDICTION_SCHEMA))
    scored.write.mode("overwrite").parquet(str(out))


def compare(folder: Path, source: Path, engine: SparkEngine, rounds: int) -> None:
    """Print the seconds of the three ways, and their ratios to this process alone."""
    from pyspark.sql import SparkSession

    models = folder / "linear"
    loaded = load_models(models)
    answer = make_answer(loaded, check_asking(BUILT_IN, techniques=None, outcomes=None, months=None, interval=True))
    for name in ("alone", "spark"):
        (folder / name).mkdir(exist_ok=True)
    ways: dict[str, Callable[[], object]] = {
        "this process alone": lambda: predict_file(source, folder / "alone" / "out.parquet", models=models),
        "tasks of Spark workers": lambda: predict_file(
            source, folder / "spark" / "out.parquet", models=models, engine=engine
        ),
        "mapInArrow": lambda: map_in_arrow(SparkSession.active(), source, folder / "rows", answer),
    }
    found: dict[str, list[tuple[float, float, str]]] = {name: [] for name in ways}
    for number in range(rounds + 2):
        for name, way in ways.items():
            measured = measure(way)
            load, (cpu, clock, who) = os.getloadavg()[0], measured
            print(f"  load {load:4.1f}  {name:24} {cpu:7.2f} s cpu ({who}) {clock:7.2f} s clock", flush=True)
            if number > 1:
                found[name].append(measured)
    base = statistics.median(cpu for cpu, *_ in found["this process alone"])
    for name, measured in found.items():
        cpu, clock = (statistics.median(one[at] for one in measured) for at in (0, 1))
        print(f"{name:24} {cpu:7.2f} s cpu {clock:7.2f} s clock; ratio of cpu {cpu / base:.2f}", flush=True)


def kill_midway(
    folder: Path, source: Path, engine: SparkEngine, find: Callable[[], list[int]], rng: random.Random, seconds: float
) -> str:
    """Predict while a worker is killed at a random moment, and describe how it went."""
    out = folder / "killed" / "out.parquet"
    shutil.rmtree(out.parent, ignore_errors=True)
    out.parent.mkdir()
    killed: list[int] = []
    ended = threading.Event()

    def kill() -> None:
        manifest = out.parent / ".out.parquet.parts" / "manifest.jsonl"
        while not (manifest.is_file() and manifest.stat().st_size) and not ended.wait(0.05):
            pass
        ended.wait(rng.uniform(0.0, 0.7) * seconds)
        while not ended.wait(0.02) and not killed:
            if pids := find():
                killed.append(rng.choice(pids))
                os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        predict_file(source, out, models=folder / "linear", engine=engine)
    finally:
        ended.set()
        killer.join()
    names = sorted(path.name for path in out.parent.iterdir())
    if names != ["out.parquet", "out.summary.json"]:
        return f"DIFFERENT: left {names}"
    if not all(filecmp.cmp(out.parent / name, folder / "alone" / name, shallow=False) for name in names):
        return "DIFFERENT: another output"
    return "identical, nothing left" if killed else "too late: nothing was killed"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--python-kills", type=int, default=10)
    parser.add_argument("--executor-kills", type=int, default=5)
    parser.add_argument("--master", default=MASTER)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    warnings.simplefilter("ignore", FutureWarning)
    source = prepare_file(given.folder, "patients", given.rows)
    if not (given.folder / "linear" / TECHNIQUE).exists():
        prepare_models(given.folder)
    rng, results = random.Random(given.seed), Counter[str]()
    with SparkEngine(given.master) as engine:
        if given.rounds:
            print(f"{given.rows:,} rows, {given.master}, load {os.getloadavg()[0]:.1f}", flush=True)
            compare(given.folder, source, engine, given.rounds)
        (given.folder / "alone").mkdir(exist_ok=True)
        predict_file(source, given.folder / "alone" / "out.parquet", models=given.folder / "linear")
        (given.folder / "spark").mkdir(exist_ok=True)
        clock = time.perf_counter()
        predict_file(source, given.folder / "spark" / "out.parquet", models=given.folder / "linear", engine=engine)
        seconds = time.perf_counter() - clock
        kinds = (
            ("python worker", find_python_workers, given.python_kills),
            ("executor", find_executors, given.executor_kills),
        )
        for name, find, n in kinds:
            for number in range(n):
                said = kill_midway(given.folder, source, engine, find, rng, seconds)
                results[f"{name}: {said}"] += 1
                print(f"{name}, kill {number + 1}: {said} (load {os.getloadavg()[0]:.1f})", flush=True)
    print(dict(results))
    return int(any("DIFFERENT" in said for said in results))


if __name__ == "__main__":
    sys.exit(main())
