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
    treat_option,
)
from paincast.simulator.population.funnel import Funnel, Quota, Quotas, count_referrals, cut_block
from paincast.simulator.scenario import Scenario
from paincast.simulator.tables import Layout, Tables, make_layouts, make_tables


class SimulationTask(NamedTuple):
    """Parameters of a simulation.

    Parameters
    ----------
    scenario : Scenario
        Fixed quantities.
    quotas : mapping of str to sequence of Quota
        What is wanted of each indication.
    seed : int
        Seed of the cohort.
    workers : int
        Number of threads.
    chunk_blocks : int
        Number of blocks simulated ahead of the block that is returned.
    """

    scenario: Scenario
    quotas: Quotas
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
            left = {quota: quota.n for quota in task.quotas.get(indication, ())}
            for number, screened in _screen_blocks(task, indication, left, pool):
                for option, n in _take_first(indication, screened, left, funnel):
                    future = pool.submit(_treat, task.scenario, indication, screened, option, n, number, layouts)
                    pending.append(future)
                while len(pending) > task.chunk_blocks:
                    yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _screen_blocks(
    task: SimulationTask, indication: str, left: Mapping[Quota, int], pool: ThreadPoolExecutor
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


def _count_ahead(task: SimulationTask, indication: str, left: Mapping[Quota, int], number: int) -> int:
    """Compute how many blocks to simulate ahead: the expected need, up to the number of threads plus one."""
    stratum, repeat_share = task.scenario.strata[indication], task.scenario.assumptions.repeat_share
    needed = max(count_referrals(quota, n, stratum, repeat_share) for quota, n in left.items())
    ahead = 0
    while needed > 0 and ahead <= task.workers:
        needed -= count_patients(number + ahead) * (1.0 + repeat_share)
        ahead += 1
    return ahead


def _screen(scenario: Scenario, indication: str, seed: int, number: int) -> Screened:
    sequence = np.random.SeedSequence(seed, spawn_key=(INDICATIONS.index(indication), number))
    return screen_block(scenario, scenario.strata[indication], np.random.default_rng(sequence), count_patients(number))


def _take_first(
    indication: str, screened: Screened, left: dict[Quota, int], funnel: Funnel
) -> Iterator[tuple[int, int]]:
    """Take the first rows of a block that each quota still needs, and yield the number of treated per option."""
    for quota in left:
        if not left[quota]:
            continue
        until, counted = cut_block(quota, left[quota], screened)
        left[quota] -= counted
        funnel.add(indication, screened, quota.places, until)
        for place in quota.places:
            n = int((screened.goes_on[:until] & (screened.chosen[:until] == place)).sum())
            if n:
                funnel.keep(indication, place, n)
                yield place, n


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
