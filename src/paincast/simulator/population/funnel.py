"""Count the flow of patients (referred, selected, treated), and set how many are simulated of each indication."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from paincast.errors import SettingsError
from paincast.simulator.block import Screened
from paincast.simulator.course.response import scale_curve
from paincast.simulator.scenario import Scenario, Stratum

MINIMUM_UPTAKE = 1e-4
"""Smallest share of referred patients that a technique may treat; with a lower share the simulation takes too long."""


class Quota(NamedTuple):
    """How many are wanted of some options of an indication.

    Parameters
    ----------
    places : tuple of int
        Indices of the options.
    n : int
        Number of treated episodes, or of referred patients.
    of_patients : bool
        Whether referred patients are counted, whatever happens to them, instead of treated episodes.
    """

    places: tuple[int, ...]
    n: int
    of_patients: bool


Quotas = Mapping[str, Sequence[Quota]]
"""Quotas by indication."""


def cut_block(quota: Quota, left: int, screened: Screened) -> tuple[int, int]:
    """Find the first rows of a block that a quota still needs.

    Returns
    -------
    until : int
        Number of rows to take.
    counted : int
        Episodes or patients in them, at most ``left``.
    """
    n_rows = len(screened.chosen)
    if quota.of_patients:
        until = int(np.searchsorted(screened.referred.patient, left))
        return until, min(left, int(screened.referred.patient[-1]) + 1)
    rows = np.flatnonzero(screened.goes_on & np.isin(screened.chosen, quota.places))
    return (int(rows[left - 1]) + 1 if len(rows) >= left else n_rows), min(left, len(rows))


def count_referrals(quota: Quota, left: int, stratum: Stratum, repeat_share: float) -> float:
    """Compute the expected number of referred episodes that a quota needs."""
    if quota.of_patients:
        return left * (1.0 + repeat_share)
    return left / sum(float(stratum.uptake[place]) for place in quota.places)


def count_episodes(quota: Quota, stratum: Stratum, repeat_share: float, *, keep_untreated: bool) -> float:
    """Compute the expected number of episodes that a quota gives."""
    if quota.of_patients:
        return quota.n * (1.0 + repeat_share) * (1.0 if keep_untreated else float(stratum.uptake.sum()))
    return quota.n


@dataclass
class Funnel:
    """Counts of referred, selected and kept episodes, by indication and option.

    Parameters
    ----------
    counts : dict
        ``(indication, index of the option)`` to the three counts.
    """

    counts: dict[tuple[str, int], list[int]] = field(default_factory=dict)

    def add(self, indication: str, screened: Screened, places: Sequence[int], until: int) -> None:
        """Add the rows of a block before row ``until``."""
        chosen, goes_on = screened.chosen[:until], screened.goes_on[:until]
        for option in places:
            counts = self.counts.setdefault((indication, option), [0, 0, 0])
            counts[0] += int((chosen == option).sum())
            counts[1] += int(((chosen == option) & goes_on).sum())

    def keep(self, indication: str, place: int, n: int) -> None:
        """Add kept episodes."""
        self.counts.setdefault((indication, place), [0, 0, 0])[2] += n


def allocate_patients(scenario: Scenario, n: int) -> dict[str, list[Quota]]:
    """Ask for a number of referred patients of each indication, with all options in natural proportions."""
    return {
        indication: [Quota(places=tuple(range(len(stratum.options))), n=n, of_patients=True)]
        for indication, stratum in scenario.strata.items()
    }


def allocate_episodes(scenario: Scenario, techniques: Sequence[str], total: int) -> dict[str, list[Quota]]:
    """Allocate the treated episodes of each technique to its indications in proportion to referral and uptake."""
    quotas: dict[str, list[Quota]] = {}
    for technique in techniques:
        flow = {
            indication: scenario.assumptions.referrals.get(indication, 0.0)
            * _sum_uptake(scenario, indication, technique)
            for indication in scenario.strata
        }
        _check_uptake(scenario, technique, flow)
        for indication, n in _apportion(flow, total).items():
            places = _find_places(scenario.strata[indication], technique)
            quotas.setdefault(indication, []).append(Quota(places=places, n=n, of_patients=False))
    return quotas


def _find_places(stratum: Stratum, technique: str) -> tuple[int, ...]:
    return tuple(place for place, option in enumerate(stratum.options) if option.record.technique == technique)


def _sum_uptake(scenario: Scenario, indication: str, technique: str) -> float:
    stratum = scenario.strata[indication]
    return float(sum(stratum.uptake[place] for place in _find_places(stratum, technique)))


def _check_uptake(scenario: Scenario, technique: str, flow: Mapping[str, float]) -> None:
    referred = sum(scenario.assumptions.referrals.get(indication, 0.0) for indication, part in flow.items() if part > 0)
    if not referred > 0:
        raise SettingsError(
            f"referrals: no indication of {technique} is referred; give one of them a number above 0",
            code="PC-SIMULATOR-31",
        )
    if sum(flow.values()) < MINIMUM_UPTAKE * referred:
        raise SettingsError(
            f"preferences, pass_shares: of those referred fewer than 1 in {1 / MINIMUM_UPTAKE:,.0f} would be treated "
            f"by {technique}; make it more popular, or let more pass its trial or block",
            code="PC-SIMULATOR-32",
        )


def _apportion(flow: Mapping[str, float], total: int) -> dict[str, int]:
    """Apportion an integer by the largest-remainder method."""
    exact = {name: total * part / sum(flow.values()) for name, part in flow.items() if part > 0}
    whole = {name: int(share) for name, share in exact.items()}
    by_remainder = sorted(exact, key=lambda name: (whole[name] - exact[name], name))
    for name in by_remainder[: total - sum(whole.values())]:
        whole[name] += 1
    return {name: n for name, n in whole.items() if n}


def describe_funnel(scenario: Scenario, funnel: Funnel) -> list[dict[str, Any]]:
    """Describe the flow of each technique, indication and approach.

    Returns
    -------
    list of dict
        Counts ``referred, selected, treated`` (kept in the cohort), the share ``passes`` that proceeds to treatment
        after a trial or block, and the response at the record's primary month per treated patient and by intention to
        treat (patients who do not proceed count as non-responders).
    """
    rows = []
    for (indication, option_index), (referred, selected, kept) in sorted(funnel.counts.items()):
        stratum = scenario.strata[indication]
        option = stratum.options[option_index]
        record = option.record
        passes = 1.0 if option.stage is None else stratum.population.stages[option.stage].share
        month = record.primary_month or max(option.model.months)
        response = scale_curve(record, scenario.name)[month]
        rows.append(
            {
                "technique": record.technique,
                "indication": indication,
                "approach": record.approach,
                "stage": option.stage,
                "referred": referred,
                "selected": selected,
                "treated": kept,
                "passes": passes,
                "month": month,
                "response_per_treated": response,
                "response_intention_to_treat": response * passes,
            }
        )
    return rows
