"""The analysed episodes of a target trial: who is eligible, strategy received, outcome, and encoded covariates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from paincast import evidence
from paincast.cohort.tables import Cohort
from paincast.contract import Contract
from paincast.deferred import pandas as pd
from paincast.disclosure.flow import format_counts_together
from paincast.effects.trial import YEAR, TargetTrial, list_covariates
from paincast.eligibility import assess_condition, assess_technique
from paincast.errors import DataError, RefusalError
from paincast.evidence.conditions import describe_condition
from paincast.features import EpisodeEncoder
from paincast.outcomes import Outcome, OutcomeLabels, compute_outcome
from paincast.schema import COMPARATORS, TECHNIQUES
from paincast.scoring.conditions import list_columns

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

MINIMUM_KNOWN = 1000
"""Known outcomes that each strategy needs: with fewer, good overlap cannot be told from bad."""

RARE = 0.02
"""Indicators that hold for fewer than this share, or for all but this share, are left out of the propensity."""

RECORDED = 0.5
"""Share of known values from which a result of selection counts as recorded for a strategy."""


@dataclass(frozen=True, kw_only=True)
class Arms:
    """The analysed episodes of a target trial.

    Parameters
    ----------
    strategies : tuple of str
        Names of the k strategies, the reference first.
    episodes : DataFrame of shape (n, ...)
        Episodes eligible for every strategy, in the types of the contract.
    strategy : ndarray of int, shape (n,)
        Index of the strategy that was received.
    outcome : ndarray of float, shape (n,)
        0 or 1; NaN where the patient was lost to follow-up.
    patient, site : ndarray of int, shape (n,)
        Codes of the patients and of the sites; a single code of the site if none is recorded.
    matrix : ndarray of float, shape (n, p)
        Encoded covariates: numbers as standard scores, indicators of categories and missing values, and at the end
        indicators of the sites.
    columns : tuple of str
        Names of the p encoded covariates.
    common : ndarray of bool, shape (p,)
        False for indicators so rare that the propensity leaves them out.
    flow : DataFrame, optional
        Participant flow: ``step`` and the number of episodes of each strategy that are left.
    """

    strategies: tuple[str, ...]
    episodes: pd.DataFrame
    strategy: IntArray
    outcome: FloatArray
    patient: IntArray
    site: IntArray
    matrix: FloatArray
    columns: tuple[str, ...]
    common: BoolArray
    flow: pd.DataFrame = field(default_factory=lambda: pd.DataFrame())

    @property
    def known(self) -> BoolArray:
        """Whether the outcome of each episode is known, shape (n,)."""
        return np.asarray(np.isfinite(self.outcome))


class _Block(NamedTuple):
    """Encoded columns: ``matrix`` of shape (n, p), names, and which are not too rare for the propensity."""

    matrix: FloatArray
    columns: tuple[str, ...]
    common: BoolArray


def make_arms(trial: TargetTrial, cohort: Cohort) -> Arms:
    """Find the episodes that a target trial would have randomised, and encode their covariates.

    An episode is analysed if it belongs to a strategy, has an eligible indication, fulfils the conditions, has no
    absolute contraindication to any strategy, can have the outcome, and is the first such episode of its patient: later
    ones follow on results of earlier ones, which are not among the covariates. A condition that cannot be assessed
    counts as not fulfilled, a contraindication that cannot be assessed as absent. Episodes without a patient are left
    out, as a step of the flow: whether the patient counts already cannot be told.

    Parameters
    ----------
    trial : TargetTrial
        The protocol.
    cohort : Cohort
        The cohort.

    Returns
    -------
    Arms

    Raises
    ------
    DataError
        If no episode of a strategy has a patient.
    RefusalError
        If a diagnostic block or a trial of stimulation decides who gets a strategy and its result is not recorded for
        all strategies, or is not adjusted for: the contrast is not identified, whatever the overlap. If a strategy has
        fewer than :data:`MINIMUM_KNOWN` known outcomes, or no covariate is recorded.
    """
    is_left, strategy, labels, flow = _select_eligible(trial, cohort)
    episodes = cohort.episodes[is_left].reset_index(drop=True)
    received, outcome = strategy[is_left], labels.value.loc[is_left].to_numpy(float)
    if np.bincount(received, minlength=len(trial.strategies)).all():
        _refuse_unseen_selection(trial, episodes, received, cohort.contract)
    _require_known(trial, cohort, received, outcome)
    covariates = list_covariates(trial, cohort.contract)
    blocks = [_encode(covariates, episodes, cohort.contract), _encode_sites(episodes)]
    matrix = np.concatenate([block.matrix for block in blocks], axis=1)
    if not matrix.shape[1]:
        raise RefusalError(
            "no covariate is recorded for at least half of the eligible episodes, so that nothing can be adjusted for",
            code="PC-EFFECTS-03",
        )
    return Arms(
        strategies=tuple(one.name for one in trial.strategies),
        episodes=episodes,
        strategy=received,
        outcome=outcome,
        patient=_code(episodes["patient_id"]),
        site=_code(episodes["site_id"]),
        matrix=matrix,
        columns=tuple(name for block in blocks for name in block.columns),
        common=np.concatenate([block.common for block in blocks]),
        flow=flow,
    )


def encode_aside(arms: Arms, names: Iterable[str], contract: Contract) -> Arms:
    """Take the same episodes with other columns as the matrix: to look at what is not adjusted for.

    Parameters
    ----------
    arms : Arms
        The analysed episodes.
    names : iterable of str
        Columns of an episode; those known for fewer than half of the episodes, or the same in all, are left out.
    contract : Contract
        Declares them.

    Returns
    -------
    Arms
    """
    block = _encode(names, arms.episodes, contract)
    return replace(arms, matrix=block.matrix, columns=block.columns, common=block.common)


def compute_flow(trial: TargetTrial, cohort: Cohort) -> pd.DataFrame:
    """Count the episodes of each strategy that are left after each step of eligibility.

    Also where :func:`make_arms` refuses. ``Arms.flow`` is the same.

    Returns
    -------
    DataFrame
        ``step`` and a column for each strategy.

    Raises
    ------
    DataError
        If no episode of a strategy has a patient.
    """
    return _select_eligible(trial, cohort)[3]


def _code(names: pd.Series) -> IntArray:
    return np.asarray(names.factorize(use_na_sentinel=False)[0], dtype=np.int64)


def label_episodes(cohort: Cohort, episodes: pd.DataFrame, outcome: Outcome, month: float) -> OutcomeLabels:
    """Label some episodes of a cohort with an outcome at a month."""
    ids = set(episodes["episode_id"])
    visits, events = (table[table["episode_id"].isin(ids)] for table in (cohort.visits, cohort.events))
    return compute_outcome(episodes, visits, events, outcome, month)


def _select_eligible(trial: TargetTrial, cohort: Cohort) -> tuple[BoolArray, IntArray, OutcomeLabels, pd.DataFrame]:
    """Select eligible episodes; return also strategies and labels of all episodes, and the flow."""
    episodes, strategy = cohort.episodes, _assign(trial, cohort.episodes)
    labels = label_episodes(cohort, episodes, trial.outcome, trial.month)
    is_left, steps = strategy >= 0, {}

    def keep(step: str, kept: pd.Series) -> None:
        is_left[is_left] = kept.fillna(False).to_numpy(bool)
        steps[step] = np.bincount(strategy[is_left], minlength=len(trial.strategies))

    has_patient = _find_patients(trial, episodes, strategy)
    keep("episodes of a strategy", pd.Series(True, index=episodes.index[is_left]))
    if not has_patient[is_left].all():
        keep("with a recorded patient", has_patient[is_left])
    keep("with an eligible indication", episodes.loc[is_left, "indication"].isin(trial.indications))
    for condition in trial.conditions:
        keep(f"with {describe_condition(condition)}", assess_condition(condition, episodes[is_left]))
    for technique in dict.fromkeys(one.technique for one in trial.strategies if one.technique not in COMPARATORS):
        assessed = assess_technique(technique, episodes[is_left], cohort.contract)["eligible"]
        keep(f"without absolute contraindication to {technique.replace('_', ' ')}", assessed.fillna(True))
    keep(f"outcome possible: {trial.outcome.denominator}", labels.eligible[is_left])
    by_year = episodes.loc[is_left].sort_values(YEAR, kind="stable")["patient_id"]
    keep("first such episode of the patient", ~by_year.duplicated().reindex(episodes.index[is_left]))
    known = is_left & labels.value.notna().to_numpy(bool)
    steps["with a known outcome"] = np.bincount(strategy[known], minlength=len(trial.strategies))
    flow = pd.DataFrame(steps, index=[one.name for one in trial.strategies]).T.rename_axis("step").reset_index()
    return is_left, strategy, labels, flow


def _find_patients(trial: TargetTrial, episodes: pd.DataFrame, strategy: IntArray) -> pd.Series:
    """Find the episodes whose patient is recorded; refuse a strategy of which there is none."""
    has_patient = pd.Series(False, index=episodes.index)
    if "patient_id" in episodes:
        has_patient = episodes["patient_id"].notna() & (episodes["patient_id"].astype("str").str.strip() != "")
    is_nameless = np.array(
        [
            (strategy == place).any() and not has_patient[strategy == place].any()
            for place in range(len(trial.strategies))
        ]
    )
    if is_nameless.any():
        raise DataError(
            f"patient_id is missing in every episode of {_join_names(trial, is_nameless)}; a comparison counts each "
            "patient once: name the column that tells patients apart as patient_id",
            code="PC-EFFECTS-08",
        )
    return has_patient


def _assign(trial: TargetTrial, episodes: pd.DataFrame) -> IntArray:
    """Return the index of the strategy to which each episode belongs, -1 for none."""
    index = np.full(len(episodes), -1)
    for place, strategy in enumerate(trial.strategies):
        belongs = (episodes["technique"] == strategy.technique).to_numpy(bool)
        if strategy.approaches:
            belongs = belongs & episodes["approach"].isin(strategy.approaches).to_numpy(bool)
        index[belongs] = place
    return index


def _refuse_unseen_selection(
    trial: TargetTrial, episodes: pd.DataFrame, received: IntArray, contract: Contract
) -> None:
    """Refuse a contrast if the result of a block or trial decides on one strategy and is not seen in the others."""
    columns = [name for name, column in contract.episodes.items() if column.role == "funnel"]
    adjusted = list_covariates(trial, contract)
    deciding = [_list_deciding(contract.find_evidence(one.technique), trial) for one in trial.strategies]
    for name in columns:
        known = episodes[name].notna().to_numpy(bool)
        is_recorded = np.array([known[received == place].mean() >= RECORDED for place in range(len(deciding))])
        decides = np.array([name in some for some in deciding])
        is_one_sided = is_recorded.any() or (decides.any() and not decides.all())
        if is_one_sided and not is_recorded.all():
            by = _join_names(trial, decides | is_recorded)
            raise RefusalError(
                f"the contrast is not identified, whatever the overlap: {name} decides who gets {by} and is not "
                f"recorded for {_join_names(trial, ~is_recorded)}, so that the patients who would not have passed "
                "cannot be told there; record it for every strategy, or compare strategies without such a stage",
                code="PC-EFFECTS-01",
            )
        if decides.any() and name not in adjusted:
            raise RefusalError(
                f"the contrast is not identified without {name}, which decides who gets {_join_names(trial, decides)}: "
                "name it among the covariates, or give neither a list of covariates nor a reason to leave it out",
                code="PC-EFFECTS-06",
            )


def _join_names(trial: TargetTrial, chosen: BoolArray) -> str:
    return " and ".join(one.name for one, is_chosen in zip(trial.strategies, chosen, strict=True) if is_chosen)


def _list_deciding(technique: str, trial: TargetTrial) -> set[str]:
    """List the columns by whose value patients are selected for a technique, as the evidence says."""
    if technique not in TECHNIQUES:
        return set()
    records = [one for one in evidence.records_of(technique) if {*one.indications} & {*trial.indications}]
    rules = [rule for record in records for rule in record.contraindications if rule.level == "absolute"]
    ruled = {name for rule in rules for name in list_columns(rule.when)}
    return ruled.union(*(record.baseline for record in records))


def _require_known(trial: TargetTrial, cohort: Cohort, received: IntArray, outcome: FloatArray) -> None:
    counts = np.bincount(received[np.isfinite(outcome)], minlength=len(trial.strategies)).tolist()
    if min(counts) >= MINIMUM_KNOWN:
        return
    shown = format_counts_together(*counts, real=cohort.basis != "synthetic")
    listed = ", ".join(f"{n} of {one.name}" for one, n in zip(trial.strategies, shown, strict=True))
    months = sorted(set(cohort.visits["month"].round()))
    seen = f"; visits lie between months {months[0]:g} and {months[-1]:g}" if months else "; there is no visit"
    raise RefusalError(
        f"a comparison needs at least {MINIMUM_KNOWN} known outcomes of each strategy: {trial.outcome.name} at month "
        f"{trial.month:g} is known for {listed} among the eligible{seen}",
        code="PC-EFFECTS-02",
    )


def _encode(names: Iterable[str], episodes: pd.DataFrame, contract: Contract) -> _Block:
    declared = {name: replace(contract.episodes[name], role="predictor") for name in names}
    encoder = EpisodeEncoder(contract=replace(contract, episodes=declared)).fit(episodes)
    matrix = encoder.transform(episodes)
    is_indicator = np.array(encoder.flags, dtype=bool)
    return _Block(matrix, tuple(encoder.get_feature_names_out()), ~is_indicator | _is_common(matrix))


def _encode_sites(episodes: pd.DataFrame) -> _Block:
    """Encode the sites; a single one takes no column."""
    codes, sites = episodes["site_id"].factorize(use_na_sentinel=False)
    matrix = np.eye(len(sites))[codes][:, : len(sites) if len(sites) > 1 else 0]
    return _Block(matrix, tuple(f"site_id={site}" for site in sites[: matrix.shape[1]]), _is_common(matrix))


def _is_common(indicators: FloatArray) -> BoolArray:
    shares = indicators.mean(axis=0)
    return np.asarray((shares >= RARE) & (shares <= 1.0 - RARE))
