"""Simulate a cohort and its true probabilities, in memory or streamed to a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from paincast.cohort.tables import Cohort, conform
from paincast.evidence.figures import Record
from paincast.evidence.records import evidence_version, list_citations
from paincast.progress import SILENT, Progress
from paincast.schema import TABLES
from paincast.simulator.assumptions import Assumptions
from paincast.simulator.checks import check_assumptions, check_size, check_techniques, check_whole, list_records
from paincast.simulator.population.funnel import Funnel, allocate_episodes, describe_funnel
from paincast.simulator.scenario import build_scenario
from paincast.simulator.stream import SimulationTask, stream_tables
from paincast.simulator.tables import Tables
from paincast.simulator.truth import Truth, list_options
from paincast.simulator.writing import write_folder

GENERATOR_VERSION = "3"
CHUNK_BLOCKS = 8


class _Order(NamedTuple):
    techniques: tuple[str, ...]
    records: tuple[Record, ...]
    task: SimulationTask
    details: dict[str, Any]


def simulate_cohort(
    *,
    techniques: Sequence[str] | None = None,
    episodes_per_technique: int = 1500,
    scenario: str = "literature",
    seed: int = 20260101,
    progress: Progress = SILENT,
    assumptions: Assumptions | None = None,
) -> tuple[Cohort, Truth]:
    """Simulate a cohort from published evidence.

    Patients are referred by indication, each indication with a separate random stream. A technique and approach that is
    eligible for the indication is chosen for each patient with a known probability; some patients do not pass its trial
    or block; the first treated episodes of each technique are kept until the requested number is reached. Episodes of a
    technique therefore do not depend on the other requested techniques, and a smaller cohort with the same seed is a
    subset of a larger cohort.

    Parameters
    ----------
    techniques : sequence of str, optional
        Techniques; by default all with a published response curve for the scenario.
    episodes_per_technique : int
        Episodes of each technique, allocated to its indications in proportion to referral and uptake.
    scenario : {"literature", "pragmatic", "seed_optimistic"}
        Evidence scenario to which the marginal response is calibrated.
    seed : int
        Seed of the whole cohort.
    progress : Progress
        Advanced by the number of episodes of each finished block.
    assumptions : Assumptions, optional
        Settings without a source; change them for sensitivity analyses.

    Returns
    -------
    cohort : Cohort
        Simulated registry data; basis ``synthetic``. ``details["funnel"]`` contains, for each technique, indication and
        approach, how many were referred, were selected after its trial or block and are in the cohort, and the response
        rates per treated patient and by intention to treat.
    truth : Truth
        True outcome probabilities with every eligible technique and without treatment, propensities and latent factors.

    Raises
    ------
    SettingsError
        If a setting is not allowed.
    RefusalError
        If there is not enough evidence to simulate a technique.

    Examples
    --------
    >>> cohort, truth = simulate_cohort(techniques=["facet_rfa"], episodes_per_technique=100, seed=1)
    >>> len(cohort.episodes), cohort.basis
    (100, 'synthetic')
    >>> at_half_a_year = truth.expand(technique="facet_rfa", outcome="pain_response", month=6)
    >>> len(at_half_a_year), bool(at_half_a_year["probability"].between(0, 1).all())
    (100, True)
    """
    order = _take_order(
        techniques, episodes_per_technique, scenario, seed, assumptions or Assumptions(), count_cores(), CHUNK_BLOCKS
    )
    funnel = Funnel()
    parts = list(_follow(order, funnel, progress))
    tables = {name: pa.concat_tables([part[name] for part in parts]) for name in parts[0]}
    frames = {name: table.unify_dictionaries().to_pandas() for name, table in tables.items()}
    truth = Truth(
        episodes=frames["truth"].astype({"episode_id": "str", "indication": "str"}),
        options=list_options(order.task.scenario),
    )
    episodes, visits, events = (conform(name, frames[name]) for name in TABLES)
    cohort = Cohort(
        episodes=episodes,
        visits=visits,
        events=events,
        basis="synthetic",
        sources=list_citations(order.records),
        details=_describe(order, funnel),
    )
    return cohort, truth


def write_cohort(
    path: str | Path,
    *,
    techniques: Sequence[str] | None = None,
    episodes_per_technique: int = 1500,
    scenario: str = "literature",
    seed: int = 20260101,
    assumptions: Assumptions | None = None,
    workers: int | None = None,
    chunk_blocks: int = CHUNK_BLOCKS,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Simulate a cohort and stream it to a folder, together with its truth.

    The rows are those of :func:`simulate_cohort`, in blocks; memory use does not grow with their number, and the files
    do not depend on ``workers`` or ``chunk_blocks``.

    Parameters
    ----------
    path : str or Path
        Folder; an existing cohort folder is replaced. It contains the files of
        :func:`paincast.cohort.tables.save_cohort`, and ``truth.parquet`` and ``truth_options.parquet``, which
        ``load_cohort`` does not read.
    techniques, episodes_per_technique, scenario, seed, assumptions, progress
        As in :func:`simulate_cohort`.
    workers : int, optional
        Number of threads; by default the number of cores.
    chunk_blocks : int
        Number of tasks simulated ahead of writing; larger values need more memory.

    Returns
    -------
    dict
        The manifest, as written to ``cohort.json``.

    Raises
    ------
    SettingsError
        If a setting is not allowed.
    RefusalError
        If there is not enough evidence to simulate a technique.
    OutputError
        If the folder cannot be written.
    """
    order = _take_order(
        techniques,
        episodes_per_technique,
        scenario,
        seed,
        assumptions or Assumptions(),
        count_cores() if workers is None else workers,
        chunk_blocks,
    )
    funnel = Funnel()
    return write_folder(
        path,
        order.task.scenario,
        _follow(order, funnel, progress),
        sources=list_citations(order.records),
        describe=lambda: _describe(order, funnel),
    )


def count_cores() -> int:
    """Count the cores available to this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _take_order(
    techniques: Sequence[str] | None,
    episodes_per_technique: int,
    scenario: str,
    seed: int,
    assumptions: Assumptions,
    workers: int,
    chunk_blocks: int,
) -> _Order:
    check_size(episodes_per_technique, scenario, seed)
    check_whole("workers", workers, 1)
    check_whole("chunk_blocks", chunk_blocks, 1)
    check_assumptions(assumptions)
    selected = check_techniques(techniques, scenario)
    records = tuple(record for technique in selected for record in list_records(technique, scenario))
    prepared = build_scenario({name for record in records for name in record.indications}, scenario, assumptions)
    return _Order(
        techniques=selected,
        records=records,
        task=SimulationTask(
            scenario=prepared,
            wanted=allocate_episodes(prepared, selected, episodes_per_technique),
            seed=int(seed),
            workers=int(workers),
            chunk_blocks=int(chunk_blocks),
        ),
        details={
            "seed": int(seed),
            "scenario": scenario,
            "episodes_per_technique": int(episodes_per_technique),
            "techniques": list(selected),
            "evidence_version": evidence_version(),
            "generator_version": GENERATOR_VERSION,
            "changed_assumptions": _list_changes(assumptions),
        },
    )


def _follow(order: _Order, funnel: Funnel, progress: Progress) -> Iterator[Tables]:
    progress.expect(order.details["episodes_per_technique"] * len(order.techniques))
    for tables in stream_tables(order.task, funnel):
        yield tables
        progress.advance(tables["episodes"].num_rows)


def _describe(order: _Order, funnel: Funnel) -> dict[str, Any]:
    return {**order.details, "funnel": describe_funnel(order.task.scenario, funnel)}


def _list_changes(assumptions: Assumptions) -> list[str]:
    default = Assumptions()
    names = (item.name for item in fields(assumptions))
    return [name for name in names if getattr(assumptions, name) != getattr(default, name)]
