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
from paincast.schema import TABLES, TECHNIQUES
from paincast.settings import PATIENTS_PER_INDICATION, CohortSettings, check_field
from paincast.simulator.assumptions import Assumptions
from paincast.simulator.checks import (
    check_assumptions,
    check_indications,
    check_run,
    check_techniques,
    check_whole,
    list_records,
)
from paincast.simulator.population.funnel import (
    Funnel,
    Quotas,
    allocate_episodes,
    allocate_patients,
    count_episodes,
    describe_funnel,
)
from paincast.simulator.scenario import Scenario, build_scenario, require_control
from paincast.simulator.stream import SimulationTask, stream_tables
from paincast.simulator.tables import Tables
from paincast.simulator.truth import Truth, list_options
from paincast.simulator.writing import write_folder

GENERATOR_VERSION = "3"
CHUNK_BLOCKS = 8


class _Order(NamedTuple):
    records: tuple[Record, ...]
    task: SimulationTask
    expected: float
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
    subset of a larger cohort. To compare techniques, use :func:`simulate_referrals`, which keeps their proportions.

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
    return _simulate(_order_episodes(techniques, episodes_per_technique, scenario, seed, assumptions), progress)


def simulate_referrals(
    *,
    indications: Sequence[str] | None = None,
    patients_per_indication: int = PATIENTS_PER_INDICATION,
    keep_untreated: bool = False,
    scenario: str = "literature",
    seed: int = 20260101,
    progress: Progress = SILENT,
    assumptions: Assumptions | None = None,
) -> tuple[Cohort, Truth]:
    """Simulate the patients who are referred with an indication, with every option as often as it is chosen.

    The patients are those of :func:`simulate_cohort` for the same seed. That function goes on until each technique has
    its number of episodes; this one takes the first patients of an indication, whatever they choose, so that shares of
    techniques in the cohort are shares of use. It is the sample for comparing techniques.

    Parameters
    ----------
    indications : sequence of str, optional
        Indications; by default all for which a technique can be simulated.
    patients_per_indication : int
        Referred patients of each indication. Some have a second episode.
    keep_untreated : bool
        Keep those who do not pass the trial or block of their option: their ``technique`` is ``no_procedure``, the one
        they were to have stands in ``intended_technique``, which no model sees, with the result of the trial or block.
        Their outcomes are drawn with the truth's probability without the procedure, and the only event is death. By
        default they are counted in the funnel, and are not in the cohort.
    scenario, seed, progress, assumptions
        As in :func:`simulate_cohort`.

    Returns
    -------
    cohort : Cohort
    truth : Truth

    Raises
    ------
    SettingsError
        If a setting is not allowed.
    RefusalError
        If no technique can be simulated for an indication.

    Examples
    --------
    >>> cohort, truth = simulate_referrals(indications=["lumbar_radicular_disc"], patients_per_indication=500, seed=1)
    >>> cohort.episodes["technique"].value_counts(normalize=True).round(1).to_dict()
    {'epidural_steroid_injection': 0.8, 'nerve_root_block': 0.2}
    """
    order = _order_patients(indications, patients_per_indication, keep_untreated, scenario, seed, assumptions)
    return _simulate(order, progress)


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
    order = _order_episodes(techniques, episodes_per_technique, scenario, seed, assumptions)
    return _write(path, order, workers, chunk_blocks, progress)


def write_referrals(
    path: str | Path,
    *,
    indications: Sequence[str] | None = None,
    patients_per_indication: int = PATIENTS_PER_INDICATION,
    keep_untreated: bool = False,
    scenario: str = "literature",
    seed: int = 20260101,
    assumptions: Assumptions | None = None,
    workers: int | None = None,
    chunk_blocks: int = CHUNK_BLOCKS,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Simulate referred patients and stream them to a folder, together with their truth.

    Parameters
    ----------
    indications, patients_per_indication, keep_untreated
        As in :func:`simulate_referrals`.
    path, scenario, seed, assumptions, workers, chunk_blocks, progress
        As in :func:`write_cohort`.

    Returns
    -------
    dict
        The manifest, as written to ``cohort.json``.

    Raises
    ------
    SettingsError
        If a setting is not allowed.
    RefusalError
        If no technique can be simulated for an indication.
    OutputError
        If the folder cannot be written.
    """
    order = _order_patients(indications, patients_per_indication, keep_untreated, scenario, seed, assumptions)
    return _write(path, order, workers, chunk_blocks, progress)


def count_cores() -> int:
    """Count the cores available to this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _order_episodes(
    techniques: Sequence[str] | None,
    episodes_per_technique: int,
    scenario: str,
    seed: int,
    assumptions: Assumptions | None,
) -> _Order:
    check_field(CohortSettings, "episodes_per_technique", episodes_per_technique)
    check_run(scenario, seed)
    check_assumptions(settings := assumptions or Assumptions())
    selected = check_techniques(techniques, scenario)
    records = tuple(record for technique in selected for record in list_records(technique, scenario))
    prepared = build_scenario({name for record in records for name in record.indications}, scenario, settings)
    quotas = allocate_episodes(prepared, selected, episodes_per_technique)
    asked = {"episodes_per_technique": int(episodes_per_technique), "techniques": list(selected)}
    return _make_order(prepared, records, quotas, seed, asked, keep_untreated=False)


def _order_patients(
    indications: Sequence[str] | None,
    patients_per_indication: int,
    keep_untreated: bool,
    scenario: str,
    seed: int,
    assumptions: Assumptions | None,
) -> _Order:
    check_whole("patients_per_indication", patients_per_indication, 1)
    check_run(scenario, seed)
    check_assumptions(settings := assumptions or Assumptions())
    selected = check_indications(indications, scenario)
    prepared = build_scenario(selected, scenario, settings)
    records = tuple(option.record for stratum in prepared.strata.values() for option in stratum.options)
    treated = {record.technique for record in records}
    asked = {
        "patients_per_indication": int(patients_per_indication),
        "keep_untreated": bool(keep_untreated),
        "indications": list(selected),
        "techniques": [technique for technique in TECHNIQUES if technique in treated],
    }
    if keep_untreated:
        require_control(prepared)
    quotas = allocate_patients(prepared, patients_per_indication)
    return _make_order(prepared, records, quotas, seed, asked, keep_untreated=bool(keep_untreated))


def _make_order(
    scenario: Scenario,
    records: tuple[Record, ...],
    quotas: Quotas,
    seed: int,
    asked: dict[str, Any],
    *,
    keep_untreated: bool,
) -> _Order:
    return _Order(
        records=records,
        task=SimulationTask(
            scenario=scenario,
            quotas=quotas,
            keep_untreated=keep_untreated,
            seed=int(seed),
            workers=count_cores(),
            chunk_blocks=CHUNK_BLOCKS,
        ),
        expected=sum(
            count_episodes(
                quota,
                scenario.strata[indication],
                scenario.assumptions.repeat_share,
                keep_untreated=keep_untreated,
            )
            for indication, wanted in quotas.items()
            for quota in wanted
        ),
        details={
            "seed": int(seed),
            "scenario": scenario.name,
            **asked,
            "evidence_version": evidence_version(),
            "generator_version": GENERATOR_VERSION,
            "changed_assumptions": _list_changes(scenario.assumptions),
        },
    )


def _simulate(order: _Order, progress: Progress) -> tuple[Cohort, Truth]:
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


def _write(
    path: str | Path, order: _Order, workers: int | None, chunk_blocks: int, progress: Progress
) -> dict[str, Any]:
    if workers is not None:
        check_whole("workers", workers, 1)
        order = order._replace(task=order.task._replace(workers=int(workers)))
    check_whole("chunk_blocks", chunk_blocks, 1)
    order = order._replace(task=order.task._replace(chunk_blocks=int(chunk_blocks)))
    funnel = Funnel()
    return write_folder(
        path,
        order.task.scenario,
        _follow(order, funnel, progress),
        keep_untreated=order.task.keep_untreated,
        sources=list_citations(order.records),
        describe=lambda: _describe(order, funnel),
    )


def _follow(order: _Order, funnel: Funnel, progress: Progress) -> Iterator[Tables]:
    progress.expect(order.expected)
    done = 0
    for tables in stream_tables(order.task, funnel):
        yield tables
        progress.advance(tables["episodes"].num_rows)
        done += tables["episodes"].num_rows
    progress.expect(done - order.expected)


def _describe(order: _Order, funnel: Funnel) -> dict[str, Any]:
    return {**order.details, "funnel": describe_funnel(order.task.scenario, funnel)}


def _list_changes(assumptions: Assumptions) -> list[str]:
    default = Assumptions()
    names = (item.name for item in fields(assumptions))
    return [name for name in names if getattr(assumptions, name) != getattr(default, name)]
