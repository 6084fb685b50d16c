"""What may leave of a comparison: rounded tables, and either the contrasts or the reason why there are none."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.cohort.tables import DIGEST_LENGTH, Cohort, digest_rows
from paincast.contract import Contract
from paincast.disclosure.rounding import FEW_DIGITS, round_count, round_digits, round_measured, round_share
from paincast.effects import Comparison, TargetTrial, compare_techniques
from paincast.effects.arms import compute_flow
from paincast.effects.average import Clusters, compute_observed
from paincast.effects.balance import find_owner
from paincast.effects.benefit import (
    compute_benefit_calibration,
    compute_benefit_concordance,
    compute_benefit_slope,
)
from paincast.effects.bounds import benchmark_strengths, compute_bounds, compute_e_values
from paincast.effects.individual import estimate_individual_contrasts
from paincast.effects.policy import compute_policy_curve, compute_policy_value
from paincast.errors import RefusalError
from paincast.evidence import evidence_version
from paincast.progress import SILENT, Progress
from paincast.reporting.effects.protocol import describe_protocol
from paincast.schema import MINIMUM_CELL
from paincast.version import list_software

PACKAGES = ("numpy", "pandas", "scikit-learn", "scipy")

MOST_BENCHMARKS = 5
"""Covariates whose strength as a confounder is measured, beside which that of a hidden one can be read."""

BASELINE_DIGITS = 3
"""Significant digits of the mean and standard deviation of a covariate of real patients."""


class Estimation:
    """What estimates are made of, of a comparison whose diagnostics passed.

    Parameters
    ----------
    comparison : Comparison
        The comparison; its analysis is refused if a diagnostic failed.
    """

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self.arms, self.nuisance = comparison.analysis.arms, comparison.analysis.nuisance

    @cached_property
    def individual(self) -> npt.NDArray[np.float64]:
        """Individual contrasts, shape (n, k)."""
        return estimate_individual_contrasts(self.arms, self.nuisance)

    @property
    def imbalanced(self) -> list[str]:
        """The covariates that differ most between the strategies as treated."""
        balance = self.comparison.balance
        size = balance["unweighted"].abs().groupby(balance["column"].map(find_owner), sort=False).max()
        return size.nlargest(MOST_BENCHMARKS).index.tolist()


def _gather_metrics(estimation: Estimation) -> pd.DataFrame:
    slope = compute_benefit_slope(estimation.arms, estimation.nuisance, estimation.individual)
    return pd.concat([slope, compute_benefit_concordance(estimation.arms, estimation.individual)], ignore_index=True)


def _bound(estimation: Estimation) -> pd.DataFrame:
    trial = estimation.comparison.trial
    return compute_bounds(estimation.arms, estimation.nuisance, trial.outcome_r2, trial.strategy_r2)


ESTIMATES: Mapping[str, Callable[[Estimation], pd.DataFrame]] = MappingProxyType(
    {
        "observed": lambda made: compute_observed(made.arms),
        "risks": lambda made: made.comparison.risks,
        "contrasts": lambda made: made.comparison.contrasts,
        "bounds": _bound,
        "e_values": lambda made: compute_e_values(made.arms, made.nuisance),
        "strengths": lambda made: benchmark_strengths(made.arms, made.nuisance, made.imbalanced),
        "benefit_calibration": lambda made: compute_benefit_calibration(made.arms, made.nuisance, made.individual),
        "benefit_metrics": _gather_metrics,
        "policy": lambda made: compute_policy_value(made.arms, made.nuisance, made.individual),
        "policy_curve": lambda made: compute_policy_curve(made.arms, made.nuisance, made.individual),
    }
)
"""Tables that hold outcomes by strategy, by name: made only if every diagnostic passed."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a comparison comes from.

    Parameters
    ----------
    trial_name, trial_text : str
        Name and text of the file of the trial.
    cohort_name : str
        Name of the cohort.
    seed : int
        Seed of the folds.
    """

    trial_name: str
    trial_text: str
    cohort_name: str
    seed: int

    @property
    def trial_digest(self) -> str:
        """Digest of the text of the trial."""
        return hashlib.sha256(self.trial_text.encode()).hexdigest()[:DIGEST_LENGTH]


@dataclass(frozen=True, kw_only=True)
class ComparisonResults:
    """What may leave of a comparison.

    Counts of real patients are rounded to five, and measures to few digits.

    Parameters
    ----------
    trial : TargetTrial
        The protocol.
    origin : Origin
        Where the comparison comes from.
    basis : {"synthetic", "real", "blended"}
        Basis of the cohort.
    n_real : int
        Real episodes of the cohort.
    cohort_digest : str
        Digest of its rows.
    sources : tuple of str
        Its sources.
    contract : Contract
        Its contract, which names columns.
    software : tuple of str
        Versions.
    tables : mapping of str to DataFrame
        ``protocol`` and ``flow``; if there were enough patients to look at, ``diagnostics, baseline, balance,
        unadjusted, preference, negative_controls``; if these passed, those of :data:`ESTIMATES`.
    refusal : RefusalError or None
        Why there are no estimates.
    adjusted : tuple of str
        Columns that are adjusted for; empty if there were too few patients to look at.
    clusters : Clusters or None
        By what the standard errors are clustered; None if there were too few patients to look at.
    """

    trial: TargetTrial
    origin: Origin
    basis: str
    n_real: int
    cohort_digest: str
    sources: tuple[str, ...]
    contract: Contract
    software: tuple[str, ...]
    tables: Mapping[str, pd.DataFrame]
    refusal: RefusalError | None = None
    adjusted: tuple[str, ...] = ()
    clusters: Clusters | None = None

    @property
    def verdict(self) -> str:
        """``answered`` or ``refused``."""
        return "answered" if self.refusal is None else "refused"

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the diagnostics that failed."""
        diagnostics = self.tables.get("diagnostics")
        return () if diagnostics is None else tuple(diagnostics.loc[~diagnostics["passed"], "diagnostic"])

    @property
    def n_eligible(self) -> int:
        """Episodes that are eligible, whether the outcome is known or not; about, if the patients are real."""
        return int(self.tables["flow"].iloc[-2][[one.name for one in self.trial.strategies]].sum())


def gather_results(
    trial: TargetTrial, cohort: Cohort, rng: np.random.Generator, origin: Origin, progress: Progress = SILENT
) -> ComparisonResults:
    """Compare strategies on a cohort, and gather what may leave of the comparison.

    Parameters
    ----------
    trial : TargetTrial
        The protocol.
    cohort : Cohort
        The cohort.
    rng : numpy.random.Generator
        Source of the folds.
    origin : Origin
        Where the comparison comes from.
    progress : Progress
        Told of each step.

    Returns
    -------
    ComparisonResults
        A refusal is a part of the results, not an exception.
    """
    progress.expect(2 + len(ESTIMATES))
    tables = {"protocol": describe_protocol(trial), "flow": compute_flow(trial, cohort)}
    progress.advance()
    comparison, refusal = None, None
    try:
        progress.describe("diagnostics")
        comparison = compare_techniques(trial, cohort, rng)
        tables |= _list_blinded(comparison)
        progress.advance()
        estimation = Estimation(comparison)
        for name, estimate in ESTIMATES.items():
            progress.describe(name.replace("_", " "))
            tables[name] = estimate(estimation)
            progress.advance()
    except RefusalError as error:
        refusal = error
    is_real = cohort.basis != "synthetic"
    return ComparisonResults(
        trial=trial,
        origin=origin,
        basis=cohort.basis,
        n_real=round_count(cohort.n_real),
        cohort_digest=digest_rows(cohort),
        sources=cohort.sources,
        contract=cohort.contract,
        software=(*list_software(PACKAGES), f"evidence {evidence_version()}"),
        tables={name: _round_table(name, table) if is_real else table for name, table in tables.items()},
        refusal=refusal,
        adjusted=() if comparison is None else comparison.adjusted,
        clusters=None if comparison is None else _round_clusters(comparison.clusters, is_real=is_real),
    )


def _round_clusters(clusters: Clusters, *, is_real: bool) -> Clusters:
    return replace(clusters, patients=round_count(clusters.patients)) if is_real else clusters


def _list_blinded(comparison: Comparison) -> dict[str, pd.DataFrame]:
    """List the tables that hold no outcome of a strategy."""
    diagnostics = [
        {"diagnostic": one.name, "value": one.value, "limit": one.limit, "is_upper": one.is_upper, "passed": one.passed}
        for one in comparison.diagnostics
    ]
    controls = comparison.negative_controls
    return {
        "diagnostics": pd.DataFrame(diagnostics),
        "baseline": comparison.baseline,
        "balance": comparison.balance,
        **({"unadjusted": comparison.unadjusted} if len(comparison.unadjusted) else {}),
        "preference": comparison.preference,
        **({"negative_controls": controls} if len(controls) else {}),
    }


def _round_table(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Round a table of real patients: counts to five, shares so that no part of them is few, measures to few digits."""
    counts = table.select_dtypes("integer").columns
    if name == "baseline":
        table = _round_baseline(table)
    elif name == "observed":
        shares = [round_share(share, n) for share, n in zip(table["share"], table["n_known"], strict=True)]
        table = table.assign(share=shares)
    elif name in ("diagnostics", "balance", "unadjusted", "policy_curve"):
        table = table.round(FEW_DIGITS)
    else:
        table = round_measured(table)
    return table.assign(**{column: table[column].map(round_count) for column in counts})


def _round_baseline(table: pd.DataFrame) -> pd.DataFrame:
    """Round shares and moments of covariates; those of fewer than ten known values are withheld."""
    n_known = (table["n"] * table["known"]).round().astype(int)
    is_few = n_known < 2 * MINIMUM_CELL
    rounded: dict[str, Any] = {
        "known": [round_share(share, n) for share, n in zip(table["known"], table["n"], strict=True)],
        "share": pd.Series(map(round_share, table["share"].fillna(0.0), n_known)).mask(is_few | table["share"].isna()),
    }
    for name in ("mean", "sd"):
        rounded[name] = table[name].map(lambda value: round_digits(value, BASELINE_DIGITS)).mask(is_few)
    return table.assign(**rounded)
