"""Simulate a cohort that a registry could hold, and its truth apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from paincast.cohort.simulate.assembly import Tables, join_tables, make_tables
from paincast.cohort.simulate.assumptions import Assumptions
from paincast.cohort.simulate.episodes import Block, simulate_block
from paincast.cohort.simulate.truth import Truth
from paincast.cohort.simulate.world import World, build_world
from paincast.cohort.tables import Cohort
from paincast.errors import SettingsError, suggest_name
from paincast.evidence.records import evidence_version, list_citations, simulated_records, simulated_techniques
from paincast.schema import INDICATIONS, TECHNIQUES
from paincast.settings import SCENARIOS

GENERATOR_VERSION = "1"
MAXIMUM_EPISODES = 10_000_000

Progress = Callable[[int, int], object]


def simulate_cohort(
    *,
    techniques: Sequence[str] | None = None,
    episodes_per_technique: int = 1500,
    scenario: str = "literature",
    seed: int = 20260101,
    progress: Progress | None = None,
    assumptions: Assumptions | None = None,
) -> tuple[Cohort, Truth]:
    """Simulate a cohort from published evidence.

    Patients are referred by indication, in a stream of their own; each receives one of the techniques (and approaches)
    eligible for the indication with a known probability, and the first of each technique are kept until there are
    enough. Episodes of a technique are therefore the same whichever other techniques are asked for, and a smaller
    cohort of the same seed holds a part of a larger one.

    Parameters
    ----------
    techniques : sequence of str, optional
        Techniques received; by default every one with a published response curve.
    episodes_per_technique : int
        Episodes of each technique; its indications share them as they are referred and treated.
    scenario : {"literature", "pragmatic", "seed_optimistic"}
        Which reading of the evidence the marginal response meets.
    seed : int
        Seed of the whole cohort.
    progress : callable, optional
        Called as ``progress(episodes_done, episodes_asked)`` as blocks of patients are finished.
    assumptions : Assumptions, optional
        Figures without a source, to run sensitivity to them.

    Returns
    -------
    cohort : Cohort
        What a registry could hold; basis ``synthetic``.
    truth : Truth
        Probabilities behind the outcomes, for every eligible technique and for none, and the propensity.

    Raises
    ------
    SettingsError
        If a setting is not allowed.
    RefusalError
        If the evidence does not carry a simulation of a technique.

    Examples
    --------
    >>> cohort, truth = simulate_cohort(techniques=["facet_rfa"], episodes_per_technique=100, seed=1)
    >>> len(cohort.episodes), cohort.basis
    (100, 'synthetic')
    >>> sorted(truth.probabilities["month"].unique().tolist())
    [1.0, 3.0, 6.0, 12.0, 24.0, 60.0]
    """
    asked = _check_techniques(techniques)
    _check_settings(episodes_per_technique, scenario, seed)
    records = {technique: simulated_records(technique) for technique in asked}
    indications = {name for held in records.values() for record in held for name in record.indications}
    world = build_world(indications, scenario, assumptions or Assumptions())
    wanted = _allot_episodes(world, asked, episodes_per_technique)
    parts = []
    done, total = 0, episodes_per_technique * len(asked)
    for indication, stream in zip(INDICATIONS, np.random.default_rng(seed).spawn(len(INDICATIONS)), strict=True):
        for tables in _simulate_indication(world, indication, wanted.get(indication, {}), stream):
            parts.append(tables)
            done += len(tables["episodes"])
            if progress is not None:
                progress(done, total)
    tables, truth = join_tables(parts, asked)
    used = [record for technique in asked for record in records[technique]]
    details = {
        "seed": seed,
        "scenario": scenario,
        "episodes_per_technique": episodes_per_technique,
        "techniques": list(asked),
        "evidence_version": evidence_version(),
        "generator_version": GENERATOR_VERSION,
        "changed_assumptions": _list_changes(assumptions or Assumptions()),
    }
    return Cohort(**tables, basis="synthetic", sources=list_citations(used), details=details), truth


def _check_techniques(techniques: Sequence[str] | None) -> tuple[str, ...]:
    if techniques is None:
        return simulated_techniques()
    if isinstance(techniques, str) or not techniques:
        raise SettingsError(f"techniques must be a list with at least one of {', '.join(simulated_techniques())}")
    for technique in techniques:
        simulated_records(technique)
    return tuple(technique for technique in TECHNIQUES if technique in techniques)


def _check_settings(episodes_per_technique: int, scenario: str, seed: int) -> None:
    if not _is_whole(episodes_per_technique) or not 1 <= episodes_per_technique <= MAXIMUM_EPISODES:
        raise SettingsError(
            f"episodes_per_technique={episodes_per_technique} is not allowed; give a whole number from 1 to "
            f"{MAXIMUM_EPISODES}"
        )
    if scenario not in SCENARIOS:
        raise SettingsError(f"scenario: unknown name '{scenario}'; {suggest_name(scenario, SCENARIOS)}")
    if not _is_whole(seed) or seed < 0:
        raise SettingsError(f"seed={seed} is not allowed; give a whole number that is not negative")


def _is_whole(number: object) -> bool:
    return isinstance(number, (int, np.integer)) and not isinstance(number, bool)


def _allot_episodes(world: World, techniques: Sequence[str], total: int) -> dict[str, dict[str, int]]:
    """Share the episodes of each technique among its indications, as they are referred and treated."""
    wanted: dict[str, dict[str, int]] = {}
    for technique in techniques:
        flow = {
            indication: world.assumptions.referrals.get(indication, 0.0) * _sum_uptake(world, indication, technique)
            for indication in world.options
        }
        for indication, n in _apportion(flow, total).items():
            wanted.setdefault(indication, {})[technique] = n
    return wanted


def _sum_uptake(world: World, indication: str, technique: str) -> float:
    pairs = zip(world.options[indication], world.uptake[indication], strict=True)
    return float(sum(share for option, share in pairs if world.records[option].technique == technique))


def _apportion(flow: Mapping[str, float], total: int) -> dict[str, int]:
    """Share a whole number in proportion, by largest remainder."""
    exact = {name: total * part / sum(flow.values()) for name, part in flow.items() if part > 0}
    whole = {name: int(share) for name, share in exact.items()}
    by_remainder = sorted(exact, key=lambda name: (whole[name] - exact[name], name))
    for name in by_remainder[: total - sum(whole.values())]:
        whole[name] += 1
    return {name: n for name, n in whole.items() if n}


def _simulate_indication(
    world: World, indication: str, wanted: Mapping[str, int], stream: np.random.Generator
) -> Iterator[Tables]:
    left = dict(wanted)
    number = 0
    while any(left.values()):
        block = simulate_block(world, indication, stream.spawn(1)[0])
        rows = _take_first(world, block, left)
        if len(rows):
            yield make_tables(world, block, rows, number)
        number += 1


def _take_first(world: World, block: Block, left: dict[str, int]) -> NDArray[np.int64]:
    """Take the first episodes of each technique still wanted, and count them off."""
    received = np.array([world.records[option].technique for option in block.options], dtype=object)[block.chosen]
    taken = []
    for technique, n in left.items():
        rows = np.flatnonzero(received == technique)[:n]
        left[technique] -= len(rows)
        taken.append(rows)
    return np.sort(np.concatenate(taken))


def _list_changes(assumptions: Assumptions) -> list[str]:
    default = Assumptions()
    names = (item.name for item in fields(assumptions))
    return [name for name in names if getattr(assumptions, name) != getattr(default, name)]
