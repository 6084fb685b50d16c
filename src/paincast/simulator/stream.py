"""Simulate blocks of episodes in several threads, in a fixed order.

The content of a block depends only on the seed, the indication and the block number; the number of episodes kept from
it depends on the preceding blocks. The rows are therefore the same for any number of threads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from paincast.schema import INDICATIONS
from paincast.simulator.block import (
    Screened,
    count_patients,
    count_rows_before,
    screen_block,
    take_rows,
    treat_option,
)
from paincast.simulator.population.funnel import Funnel
from paincast.simulator.scenario import Scenario
from paincast.simulator.tables import Layout, Tables, make_layouts, make_tables


class SimulationTask(NamedTuple):
    """Parameters of a simulation.

    Parameters
    ----------
    scenario : Scenario
        Fixed quantities.
    wanted : mapping of str to mapping
        Number of episodes of each technique by indication.
    seed : int
        Seed of the cohort.
    workers : int
        Number of threads.
    chunk_blocks : int
        Number of blocks simulated ahead of the block that is returned.
    """

    scenario: Scenario
    wanted: Mapping[str, Mapping[str, int]]
    seed: int
    workers: int
    chunk_blocks: int


def stream_tables(task: SimulationTask, funnel: Funnel) -> Iterator[Tables]:
    """Simulate the tables of blocks, in the order of indications, blocks and options.

    Parameters
    ----------
    task : SimulationTask
        Parameters of the simulation.
    funnel : Funnel
        Counts; updated in place.

    Yields
    ------
    dict of str to Table
    """
    layouts = make_layouts(task.scenario)
    pending: deque[Future[Tables]] = deque()
    with ThreadPoolExecutor(task.workers) as pool:
        for indication in INDICATIONS:
            left = dict(task.wanted.get(indication, {}))
            for number, screened in _screen_blocks(task, indication, left, pool):
                for option, n in _take_first(task.scenario, indication, screened, left, funnel):
                    future = pool.submit(_treat, task.scenario, indication, screened, option, n, number, layouts)
                    pending.append(future)
                while len(pending) > task.chunk_blocks:
                    yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _screen_blocks(
    task: SimulationTask, indication: str, left: Mapping[str, int], pool: ThreadPoolExecutor
) -> Iterator[tuple[int, Screened]]:
    ahead: deque[Future[Screened]] = deque()
    number = 0
    while any(left.values()):
        for _ in range(_count_ahead(task, indication, left, number) - len(ahead)):
            ahead.append(pool.submit(_screen, task.scenario, indication, task.seed, number + len(ahead)))
        yield number, ahead.popleft().result()
        number += 1
    for future in ahead:
        future.cancel()


def _count_ahead(task: SimulationTask, indication: str, left: Mapping[str, int], number: int) -> int:
    """Compute how many blocks to simulate ahead: the expected need, up to the number of threads plus one."""
    stratum = task.scenario.strata[indication]
    uptake = dict.fromkeys(left, 0.0)
    for option, share in zip(stratum.options, stratum.uptake, strict=True):
        if option.record.technique in uptake:
            uptake[option.record.technique] += float(share)
    needed = max(n / uptake[technique] for technique, n in left.items())
    ahead = 0
    while needed > 0 and ahead <= task.workers:
        needed -= count_patients(number + ahead) * (1.0 + task.scenario.assumptions.repeat_share)
        ahead += 1
    return ahead


def _screen(scenario: Scenario, indication: str, seed: int, number: int) -> Screened:
    sequence = np.random.SeedSequence(seed, spawn_key=(INDICATIONS.index(indication), number))
    return screen_block(scenario, scenario.strata[indication], np.random.default_rng(sequence), count_patients(number))


def _take_first(
    scenario: Scenario, indication: str, screened: Screened, left: dict[str, int], funnel: Funnel
) -> Iterator[tuple[int, int]]:
    """Take the first episodes of each technique still needed, reduce the counts, and yield the number per option."""
    options = scenario.strata[indication].options
    for technique in list(left):
        if not left[technique]:
            continue
        places = [index for index, option in enumerate(options) if option.record.technique == technique]
        rows = take_rows(screened, places)
        until = int(rows[left[technique] - 1]) + 1 if len(rows) >= left[technique] else len(screened.chosen)
        kept = rows[: left[technique]]
        left[technique] -= len(kept)
        funnel.add(indication, screened, places, until)
        for index in places:
            n = int((screened.chosen[kept] == index).sum())
            if n:
                funnel.keep(indication, index, n)
                yield index, n


def _treat(
    scenario: Scenario,
    indication: str,
    screened: Screened,
    place: int,
    n: int,
    number: int,
    layouts: Mapping[str, Layout],
) -> Tables:
    stratum = scenario.strata[indication]
    treated = treat_option(scenario, stratum, screened, place, n)
    return make_tables(scenario, stratum, screened, treated, count_rows_before(number), layouts)
