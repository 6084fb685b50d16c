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
    follow_option,
    screen_block,
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
    keep_untreated : bool
        Whether those who do not pass a trial or block are followed, too.
    seed : int
        Seed of the cohort.
    workers : int
        Number of threads.
    chunk_blocks : int
        Number of blocks simulated ahead of the block that is returned.
    """

    scenario: Scenario
    quotas: Quotas
    keep_untreated: bool
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
    layouts = make_layouts(task.scenario, keep_untreated=task.keep_untreated)
    pending: deque[Future[Tables]] = deque()
    with ThreadPoolExecutor(task.workers) as pool:
        for indication in INDICATIONS:
            left = {quota: quota.n for quota in task.quotas.get(indication, ())}
            for number, screened in _screen_blocks(task, indication, left, pool):
                for part in _take_first(indication, screened, left, funnel, keep_untreated=task.keep_untreated):
                    future = pool.submit(_follow, task.scenario, indication, screened, part, number, layouts)
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


class _Part(NamedTuple):
    place: int
    is_treated: bool
    n: int


def _take_first(
    indication: str, screened: Screened, left: dict[Quota, int], funnel: Funnel, *, keep_untreated: bool
) -> Iterator[_Part]:
    """Take the first rows of a block that each quota still needs, and yield how many of each option there are."""
    for quota in left:
        if not left[quota]:
            continue
        until, counted = cut_block(quota, left[quota], screened)
        left[quota] -= counted
        funnel.add(indication, screened, quota.places, until)
        for place in quota.places:
            goes_on = screened.goes_on[:until][screened.chosen[:until] == place]
            treated = int(goes_on.sum())
            funnel.keep(indication, place, treated)
            if treated:
                yield _Part(place=place, is_treated=True, n=treated)
            if keep_untreated and treated < len(goes_on):
                yield _Part(place=place, is_treated=False, n=len(goes_on) - treated)


def _follow(
    scenario: Scenario,
    indication: str,
    screened: Screened,
    part: _Part,
    number: int,
    layouts: Mapping[str, Layout],
) -> Tables:
    stratum = scenario.strata[indication]
    followed = follow_option(scenario, stratum, screened, part.place, part.n, is_treated=part.is_treated)
    return make_tables(scenario, stratum, screened, followed, count_rows_before(number), layouts)
