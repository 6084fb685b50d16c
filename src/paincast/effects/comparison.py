"""Compare techniques as a target trial would: diagnostics first, and no contrast before they have passed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from paincast.cohort.tables import Cohort
from paincast.contract import Contract
from paincast.deferred import pandas as pd
from paincast.effects.arms import Arms, encode_aside, label_episodes, make_arms
from paincast.effects.average import ATE, Clusters, compute_contrasts, compute_risks, count_clusters
from paincast.effects.balance import (
    Diagnostic,
    compute_balance,
    compute_baseline,
    compute_diagnostics,
    compute_unadjusted,
    find_owner,
    judge_unadjusted,
    reach_of_chance,
)
from paincast.effects.nuisance import Nuisance, assign_folds, fit_nuisance
from paincast.effects.propensity import Propensity, count_preference, fit_propensity
from paincast.effects.trial import TargetTrial, list_covariates, list_unadjusted
from paincast.errors import RefusalError

FloatArray = npt.NDArray[np.float64]

RESULT_FORMAT = 2
"""Format of a comparison as ``comparison.json``; a key that is added does not change it."""

NOT_RECORDED = "named as a covariate, but known for fewer than half of the episodes, or the same in all"
"""Why a covariate of the trial is not adjusted for."""


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What a comparison rests on once its diagnostics have passed; every further estimate is made of it.

    Parameters
    ----------
    arms : Arms
        The analysed episodes.
    nuisance : Nuisance
        Cross-fitted nuisance functions and scores.
    """

    arms: Arms
    nuisance: Nuisance


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A comparison of strategies on a cohort.

    The diagnostics can always be read. What depends on outcomes was never computed if one of them failed.

    Parameters
    ----------
    trial : TargetTrial
        The protocol.
    basis : str
        Basis of the cohort.
    n_real : int
        Real episodes of the cohort.
    flow : DataFrame
        Participant flow: ``step`` and a column for each strategy.
    diagnostics : tuple of Diagnostic
        Conditions under which the contrasts may be read.
    baseline : DataFrame
        Covariates by strategy (:func:`paincast.effects.balance.compute_baseline`).
    balance : DataFrame
        Standardised differences (:func:`paincast.effects.balance.compute_balance`).
    adjusted : tuple of str
        Columns that are adjusted for; ``site_id`` is one of them if there is more than one site.
    unadjusted : DataFrame
        Standardised differences of the columns that are not
        (:func:`paincast.effects.balance.compute_unadjusted`).
    clusters : Clusters
        By what the standard errors are clustered.
    preference : DataFrame
        Histograms of the preference score (:func:`paincast.effects.propensity.count_preference`).
    negative_controls : DataFrame
        ``control`` and the contrast of each, which should be 0. They may be outcomes: without overlap none is computed.
    """

    trial: TargetTrial
    basis: str
    n_real: int
    flow: pd.DataFrame = field(repr=False)
    diagnostics: tuple[Diagnostic, ...]
    baseline: pd.DataFrame = field(repr=False)
    balance: pd.DataFrame = field(repr=False)
    adjusted: tuple[str, ...]
    unadjusted: pd.DataFrame = field(repr=False)
    clusters: Clusters
    preference: pd.DataFrame = field(repr=False)
    negative_controls: pd.DataFrame = field(repr=False)
    unblinded: Analysis | None = field(default=None, repr=False)

    @property
    def failed(self) -> tuple[Diagnostic, ...]:
        """The diagnostics that failed."""
        return tuple(diagnostic for diagnostic in self.diagnostics if not diagnostic.passed)

    @property
    def analysis(self) -> Analysis:
        """What estimates are made of.

        Raises
        ------
        RefusalError
            If a diagnostic failed; the message names each with its value and limit.
        """
        if self.unblinded is None:
            raise RefusalError(_describe_failed(self.failed, self.unadjusted), code="PC-EFFECTS-04")
        return self.unblinded

    @property
    def contrasts(self) -> pd.DataFrame:
        """Differences in risk (:func:`paincast.effects.average.compute_contrasts`); refused like :attr:`analysis`."""
        analysis = self.analysis
        return compute_contrasts(analysis.arms, analysis.nuisance)

    @property
    def risks(self) -> pd.DataFrame:
        """Risks by strategy (:func:`paincast.effects.average.compute_risks`); refused like :attr:`analysis`."""
        analysis = self.analysis
        return compute_risks(analysis.arms, analysis.nuisance)


def _describe_failed(failed: tuple[Diagnostic, ...], unadjusted: pd.DataFrame) -> str:
    listed = "; ".join(
        f"{one.name}: {one.value:.2f}, {'at most' if one.is_upper else 'at least'} {one.limit:.2f} is needed"
        for one in failed
    )
    beyond = list(dict.fromkeys(unadjusted.loc[unadjusted["weighted"].abs() > unadjusted["limit"], "column"]))
    advice = f"adjust for {', '.join(beyond)}, or name under not_adjusted why not; " if beyond else ""
    return (
        f"the contrast is not computed, because the strategies cannot be compared in these patients: {listed}; {advice}"
        "restrict the eligibility to patients for whom every strategy is an option, or compare other strategies"
    )


def compare_techniques(trial: TargetTrial, cohort: Cohort, rng: np.random.Generator) -> Comparison:
    """Compare the strategies of a target trial on a cohort.

    Parameters
    ----------
    trial : TargetTrial
        The protocol, from :func:`paincast.effects.trial.read_trial`.
    cohort : Cohort
        The cohort.
    rng : numpy.random.Generator
        Source of the folds.

    Returns
    -------
    Comparison
        Whose :attr:`Comparison.contrasts` are refused if a diagnostic failed.

    Raises
    ------
    RefusalError
        If the contrast is not identified, or too few outcomes are known (:func:`paincast.effects.arms.make_arms`).

    Examples
    --------
    >>> from paincast.effects import compare_techniques, read_trial
    >>> from paincast.settings.configs import find_configs
    >>> from paincast.simulator import Assumptions, simulate_cohort
    >>> trial = read_trial(find_configs() / "trial" / "epidural_against_root_block.yaml")
    >>> cohort, _ = simulate_cohort(
    ...     techniques=["epidural_steroid_injection", "nerve_root_block"],
    ...     episodes_per_technique=2700,
    ...     seed=1,
    ...     assumptions=Assumptions(referrals={"lumbar_radicular_disc": 1.0}, reference_size=4000),
    ... )
    >>> comparison = compare_techniques(trial, cohort, np.random.default_rng(1))
    >>> [diagnostic.name for diagnostic in comparison.failed]
    []
    >>> comparison.contrasts[["strategy", "reference"]].iloc[0].tolist()
    ['epidural', 'root_block']
    """
    arms = make_arms(trial, cohort)
    covariates = [cohort.contract.episodes[name] for name in list_covariates(trial, cohort.contract)]
    propensity = fit_propensity(arms, assign_folds(arms, rng))
    balance = compute_balance(arms, propensity)
    adjusted = tuple(dict.fromkeys(map(find_owner, arms.columns)))
    unadjusted = _compare_aside(trial, cohort.contract, arms, propensity, adjusted)
    diagnostics = (*compute_diagnostics(arms, propensity, balance), *judge_unadjusted(unadjusted))
    overlap = all(diagnostic.passed for diagnostic in diagnostics)
    controls = list(_compare_controls(trial, cohort, arms, propensity)) if overlap else []
    diagnostics = (*diagnostics, *_judge_controls(controls))
    passed = all(diagnostic.passed for diagnostic in diagnostics)
    return Comparison(
        trial=trial,
        basis=cohort.basis,
        n_real=cohort.n_real,
        flow=arms.flow,
        diagnostics=diagnostics,
        baseline=compute_baseline(arms, covariates),
        balance=balance,
        adjusted=adjusted,
        unadjusted=unadjusted,
        clusters=count_clusters(arms),
        preference=count_preference(arms, propensity),
        negative_controls=pd.concat(controls, ignore_index=True) if controls else pd.DataFrame(),
        unblinded=Analysis(arms=arms, nuisance=fit_nuisance(arms, propensity)) if passed else None,
    )


def _compare_aside(
    trial: TargetTrial, contract: Contract, arms: Arms, propensity: Propensity, adjusted: tuple[str, ...]
) -> pd.DataFrame:
    """Compare the columns that are not adjusted for, those among them that the trial wanted to adjust for."""
    unrecorded = {name: NOT_RECORDED for name in trial.covariates if name not in adjusted}
    names = [*list_unadjusted(trial, contract), *unrecorded]
    return compute_unadjusted(encode_aside(arms, names, contract), propensity, {**trial.not_adjusted, **unrecorded})


def _compare_controls(trial: TargetTrial, cohort: Cohort, arms: Arms, propensity: Propensity) -> Iterator[pd.DataFrame]:
    """Estimate the contrasts of each negative control with the propensity of the comparison."""
    for name in trial.negative_controls:
        if name in cohort.contract.outcomes:
            control = label_episodes(cohort, arms.episodes, cohort.contract.outcomes[name], trial.month).value
        else:
            control = arms.episodes[name]
        known: FloatArray = np.asarray(control.astype("Float64").to_numpy(float, na_value=np.nan), dtype=float)
        as_outcome = replace(arms, outcome=known)
        contrasts = compute_contrasts(as_outcome, fit_nuisance(as_outcome, propensity))
        yield contrasts[contrasts["population"] == ATE].drop(columns="population").assign(control=name)


def _judge_controls(controls: list[pd.DataFrame]) -> Iterator[Diagnostic]:
    """Ask of every negative control that its contrast is no farther from 0 than chance has it (Bonferroni)."""
    n_contrasts = sum(map(len, controls))
    for contrasts in controls:
        error = contrasts["standard_error"].to_numpy(float)
        scores = np.abs(contrasts["estimate"].to_numpy(float)) / np.where(error > 0.0, error, np.nan)
        yield Diagnostic(
            name=f"negative control {contrasts['control'].iloc[0]}, standard errors from 0",
            value=float(scores.max()),
            limit=reach_of_chance(n_contrasts),
            is_upper=True,
        )
