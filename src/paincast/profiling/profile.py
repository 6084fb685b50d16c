"""The profile of a cohort: all its tables, released by disclosure control where patients are real."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from paincast.cohort.rejects import empty_rejects
from paincast.cohort.tables import Cohort
from paincast.contract import Contract
from paincast.disclosure.rounding import round_count
from paincast.disclosure.shares import release_counts, release_parts, release_shares, release_single_shares
from paincast.profiling.combinations import compute_combinations
from paincast.profiling.drift import compute_case_mix, compute_drift, release_case_mix
from paincast.profiling.expected import compute_expected, release_expected
from paincast.profiling.flow import (
    compute_flow,
    compute_source,
    count_rejects,
    flag_followed,
    label_response,
)
from paincast.profiling.follow_up import choose_months, compute_follow_up, list_months
from paincast.profiling.linked import BoolArray, FloatArray, LinkedCohort, link_cohort
from paincast.profiling.missing import (
    compute_missing,
    compute_missing_by,
    compute_missing_links,
    compute_patterns,
)
from paincast.profiling.outcomes import (
    compute_changes,
    compute_outcomes,
    compute_relief,
    release_changes,
    release_outcomes,
)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The profile of a cohort; nothing in it discloses few patients.

    Parameters
    ----------
    basis : {"synthetic", "real", "blended"}
        Origin of the rows.
    n_episodes, n_patients, n_visits : int
        Sizes, rounded to five unless all patients are simulated.
    contract : Contract
        Contract of the cohort.
    months : mapping of str to float
        Month at which the response of each technique is assessed.
    tables : mapping of str to DataFrame
        ``source, rejects, flow, flow_by_technique, missing, missing_by_site, missing_by_year, patterns, missing_links,
        follow_up, follow_up_by_site, outcomes, changes, relief, combinations, case_mix, drift, expected``.
    """

    basis: str
    n_episodes: int
    n_patients: int
    n_visits: int
    contract: Contract
    months: Mapping[str, float]
    tables: Mapping[str, pd.DataFrame]

    @property
    def is_real(self) -> bool:
        """Whether any patient is real, so that counts are rounded and small ones hidden."""
        return self.basis != "synthetic"


def compute_profile(cohort: Cohort, rejects: pd.DataFrame | None = None) -> Profile:
    """Compute the profile of a cohort.

    Parameters
    ----------
    cohort : Cohort
        Any cohort: large, empty, or with hardly a value.
    rejects : DataFrame, optional
        What its reader left out.

    Returns
    -------
    Profile
        Where patients are real, small counts are hidden with their complements and the others rounded to five.

    Examples
    --------
    >>> from paincast.simulator import simulate_cohort
    >>> cohort, _ = simulate_cohort(techniques=["facet_rfa"], episodes_per_technique=60, seed=1)
    >>> profile = compute_profile(cohort)
    >>> profile.tables["flow"].set_index("step").loc["pain before the procedure", "n"]
    np.int64(60)
    """
    linked = link_cohort(cohort)
    real = cohort.basis != "synthetic"
    months = choose_months(linked)
    (response, is_matched), followed = label_response(linked, months), flag_followed(linked)
    tables = {
        "source": _release_rows(compute_source(cohort), "rows", real=real),
        "rejects": _release_rows(count_rejects(empty_rejects() if rejects is None else rejects), "times", real=real),
        **_count_flow(linked, response, real=real),
        **_count_missing(linked, response, followed, real=real),
        **_count_follow_up(linked, real=real),
        **_count_outcomes(linked, months, response, is_matched, real=real),
        **_count_drift(linked, response, followed, real=real),
        "combinations": release_single_shares(compute_combinations(linked), real=real),
    }
    sizes = [linked.n, len(np.unique(linked.patients)), len(linked.visits)]
    n_episodes, n_patients, n_visits = (round_count(n) if real else n for n in sizes)
    return Profile(
        basis=cohort.basis,
        n_episodes=n_episodes,
        n_patients=n_patients,
        n_visits=n_visits,
        contract=cohort.contract,
        months=months,
        tables=tables,
    )


def _release_rows(counted: pd.DataFrame, name: str, *, real: bool) -> pd.DataFrame:
    return counted.assign(**{name: release_counts(counted[name], real=real)})


def _count_flow(linked: LinkedCohort, response: FloatArray, *, real: bool) -> dict[str, pd.DataFrame]:
    overall = compute_flow(linked, response, linked.all_episodes).drop(columns="all")
    by_technique = compute_flow(linked, response, linked.techniques)
    return {
        "flow": release_single_shares(overall, real=real),
        "flow_by_technique": release_shares(by_technique, within=["step"], real=real),
    }


def _count_missing(
    linked: LinkedCohort, response: FloatArray, followed: BoolArray, *, real: bool
) -> dict[str, pd.DataFrame]:
    links = compute_missing_links(linked, followed, response)
    return {
        "missing": release_single_shares(compute_missing(linked), real=real),
        "missing_by_site": release_shares(compute_missing_by(linked, linked.sites), within=["column"], real=real),
        "missing_by_year": release_shares(compute_missing_by(linked, linked.years), within=["column"], real=real),
        "patterns": release_parts(compute_patterns(linked), real=real),
        "missing_links": release_shares(links, within=["column", "question"], is_zero_shown=False, real=real),
    }


def _count_follow_up(linked: LinkedCohort, *, real: bool) -> dict[str, pd.DataFrame]:
    months = list_months(linked)
    keys = ["month", "held"]
    overall = compute_follow_up(linked, linked.all_episodes, months).drop(columns="all")
    by_site = compute_follow_up(linked, linked.sites, months)
    return {
        "follow_up": release_single_shares(overall, real=real),
        "follow_up_by_site": release_shares(by_site, within=keys, real=real),
    }


def _count_outcomes(
    linked: LinkedCohort, months: Mapping[str, float], response: FloatArray, is_matched: BoolArray, *, real: bool
) -> dict[str, pd.DataFrame]:
    outcomes = release_outcomes(compute_outcomes(linked, months), real=real)
    return {
        "outcomes": outcomes,
        "changes": release_changes(compute_changes(linked, months), real=real),
        "relief": compute_relief(linked, real=real),
        "expected": release_expected(compute_expected(linked, response, is_matched, months), outcomes, real=real),
    }


def _count_drift(
    linked: LinkedCohort, response: FloatArray, followed: BoolArray, *, real: bool
) -> dict[str, pd.DataFrame]:
    drift = compute_drift(linked, response, followed)
    return {
        "case_mix": release_case_mix(compute_case_mix(linked), real=real),
        "drift": release_shares(drift, within=["question"], is_zero_shown=False, real=real),
    }
