"""Fits to be made, made by two processes, and the rows that came out, kept so that a killed run goes on."""

from __future__ import annotations

import csv
import tempfile
import time
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from skill_automl import PROGRAMS, make_environment
from skill_measures import measure
from skill_peers import ALONE, PEERS, POOLED
from skill_worlds import Labelled, Shelf, parse_size
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from paincast.evidence import simulated_techniques

KEYS = ("world", "size", "seed", "peer", "technique", "n_test")
MEASURES = (
    "regret",
    "mae",
    "slope",
    "intercept",
    "oe",
    "auroc",
    "auroc_bound",
    "auroc_gap",
    "auroc_seen",
    "auroc_se",
    "leak_z",
    "oe_seen",
    "coverage",
    "width",
    *(f"coverage_{tenth}" for tenth in range(1, 11)),
)
OWN = (POOLED, ALONE)
"""Models of this package for techniques without evidence: they are fitted again where the others hold more."""

COLUMNS = (*KEYS, *MEASURES, "n_known", "n_events", "seconds", "processor_seconds", "error")


@dataclass(frozen=True, kw_only=True)
class Task:
    """One fit, and the techniques it is asked of."""

    world: str
    size: str
    seed: int
    peer: str
    techniques: tuple[str, ...]
    cohort: tuple[str, ...]
    n_test: int

    def key(self, technique: str) -> tuple[str, ...]:
        """Give what tells the row of a technique from all others."""
        return (self.world, self.size, str(self.seed), self.peer, technique, str(self.n_test))


def list_tasks(
    worlds: Sequence[str],
    sizes: Sequence[str],
    seeds: Sequence[int],
    peers: Sequence[str],
    techniques: Sequence[str],
    n_test: int,
) -> list[Task]:
    """List the fits, seed after seed, so that a run cut short holds whole seeds.

    A pooled model of techniques of one size is fitted once for all of them. Who learns from the own technique alone is
    not fitted again where the others hold more.
    """
    tasks = []
    for seed in seeds:
        for world in worlds:
            for size in sizes:
                for names, peer in _group(size, peers, techniques):
                    tasks.append(
                        Task(
                            world=world,
                            size=size,
                            seed=seed,
                            peer=peer,
                            techniques=names,
                            cohort=simulated_techniques(),
                            n_test=n_test,
                        )
                    )
    return tasks


def _group(size: str, peers: Sequence[str], techniques: Sequence[str]) -> list[tuple[tuple[str, ...], str]]:
    """Pair techniques with peers, the peers of a technique in a row: they read the same test cohort."""
    borrowed = "/" in size
    fitted = [name for name in peers if not borrowed or PEERS[name].pooled or name in OWN]
    together = [name for name in fitted if PEERS[name].pooled and not borrowed]
    single = [name for name in fitted if name not in together]
    return [
        *((tuple(techniques), peer) for peer in together),
        *(((technique,), peer) for technique in techniques for peer in single),
    ]


@lru_cache(maxsize=2)
def _load_test(world: str, technique: str, n: int) -> Labelled:
    return Shelf().load_test(world, technique, n)


def prepare(tasks: Sequence[Task], jobs: int) -> None:
    """Simulate what the tasks read."""
    shelf = Shelf()
    training, testing = set(), set()
    for task in tasks:
        testing |= {(task.world, technique, task.n_test) for technique in task.techniques}
        for technique in task.techniques:
            sizes = parse_size(task.size, technique, task.cohort)
            training |= {(task.world, name, n, task.seed) for name, n in sizes.items()}
    wanted = [delayed(_touch)(shelf, False, *one) for one in sorted(training)]
    wanted += [delayed(_touch)(shelf, True, *one) for one in sorted(testing)]
    made = Parallel(n_jobs=jobs, return_as="generator_unordered")(wanted)
    for _ in tqdm(made, total=len(wanted), desc="cohorts", unit="cohort"):
        pass


def _touch(shelf: Shelf, test: bool, *which: Any) -> None:
    shelf.load_test(*which) if test else shelf.load_training(*which)


def run(tasks: Sequence[Task], results: Path | None, jobs: int) -> pd.DataFrame:
    """Run the tasks whose rows are not in the file of results yet, add theirs, and give all rows asked for."""
    if results is None:
        with tempfile.TemporaryDirectory() as scratch:
            return run(tasks, Path(scratch) / "results.csv", jobs)
    asked = {task.key(technique) for task in tasks for technique in task.techniques}
    done = set(_read_keys(results))
    left = [task for task in tasks if not all(task.key(technique) in done for technique in task.techniques)]
    for name in sorted({task.peer for task in left} & set(PROGRAMS)):
        make_environment(name)
    prepare(left, jobs)
    with tqdm(total=len(left), desc="fits", unit="fit") as bar:
        made: Iterator[list[dict[str, Any]]] = Parallel(n_jobs=jobs, return_as="generator_unordered")(
            delayed(run_task)(task) for task in left
        )
        for rows in made:
            _append(results, rows)
            bar.update()
    frame = pd.read_csv(results, dtype=dict.fromkeys(KEYS, "str"))
    kept = [tuple(row) in asked for row in frame[list(KEYS)].itertuples(index=False)]
    return frame[kept].drop_duplicates(list(KEYS), keep="last").reset_index(drop=True)


def share_alone(rows: pd.DataFrame) -> pd.DataFrame:
    """Add, where the others hold more, the rows of those who learn from the own technique alone."""
    alone = [name for name, peer in PEERS.items() if not peer.pooled and name not in OWN]
    parts = [rows]
    for size in rows["size"].unique():
        same = rows[(rows["size"] == str(size).partition("/")[0]) & rows["peer"].isin(alone)]
        if "/" in str(size):
            parts.append(same.assign(size=size))
    return pd.concat(parts, ignore_index=True)


def run_task(task: Task) -> list[dict[str, Any]]:
    """Fit once, and measure on the test cohort of each technique asked; a refusal is a row that says so."""
    shelf = Shelf()
    sizes = parse_size(task.size, task.techniques[0], task.cohort)
    drawn = {name: shelf.load_training(task.world, name, n, task.seed) for name, n in sizes.items()}
    episodes = {name: one.episodes for name, one in drawn.items()}
    outcomes = {name: one.outcome for name, one in drawn.items()}
    rng = np.random.default_rng([task.seed, *(zlib.crc32(word.encode()) for word in (task.peer, task.techniques[0]))])
    started, processor = time.perf_counter(), time.process_time()
    error, predict = "", None
    with warnings.catch_warnings(), threadpool_limits(limits=1):
        warnings.simplefilter("ignore")
        try:
            predict = PEERS[task.peer].fit(episodes, outcomes, task.techniques[0], rng)
        except Exception as raised:
            error = f"{type(raised).__name__}: {raised}"[:300]
        # A fit for all techniques is shared by them.
        shares = len(task.techniques)
        cost = {
            "seconds": (time.perf_counter() - started) / shares,
            "processor_seconds": (time.process_time() - processor) / shares,
        }
        rows = []
        for technique in task.techniques:
            row = dict(zip(KEYS, task.key(technique), strict=True)) | cost | {"error": error}
            known = outcomes[technique][np.isfinite(outcomes[technique])]
            row |= {"n_known": len(known), "n_events": int(known.sum())}
            if predict is not None:
                test = _load_test(task.world, technique, task.n_test)
                row |= measure(predict(test.episodes), test)
            rows.append(row)
    return rows


def _read_keys(results: Path) -> list[tuple[str, ...]]:
    if not results.is_file():
        return []
    with results.open(newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise SystemExit(f"{results} holds other columns than this version writes; name another file")
        return [tuple(row[name] for name in KEYS) for row in reader if not row["error"]]


def _append(results: Path, rows: Sequence[dict[str, Any]]) -> None:
    results.parent.mkdir(parents=True, exist_ok=True)
    new = not results.is_file()
    with results.open("a", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=COLUMNS)
        if new:
            writer.writeheader()
        writer.writerows(rows)
