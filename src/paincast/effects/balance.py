"""Diagnostics of a comparison, which look at covariates and strategies but at no outcome of a strategy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from paincast.deferred import pandas as pd
from paincast.effects.arms import Arms
from paincast.effects.propensity import Propensity, compute_preference
from paincast.schema import Column

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

EQUIPOISE = (0.3, 0.7)
"""Preference scores between which the choice counts as open (Walker 2013, doi:10.2147/CER.S40357)."""

MINIMUM_OPEN = 0.4
LARGEST_DIFFERENCE = 0.1
SMALLEST_SIZE = 1.0 / 3.0

FALSE_ALARMS = 0.05
"""Chance that any of the differences that are judged together fails although nothing is behind them."""


@dataclass(frozen=True, kw_only=True)
class Diagnostic:
    """A condition under which a contrast may be read.

    Parameters
    ----------
    name : str
        What is measured, and of which strategies.
    value : float
        What was measured.
    limit : float
        Limit of the value.
    is_upper : bool
        Whether the value must not lie above the limit; otherwise it must not lie below.
    """

    name: str
    value: float
    limit: float
    is_upper: bool = False

    @property
    def passed(self) -> bool:
        """Whether the value keeps to the limit; a value that is not a number does not."""
        return bool(self.value <= self.limit if self.is_upper else self.value >= self.limit)


def compute_diagnostics(arms: Arms, propensity: Propensity, balance: pd.DataFrame) -> tuple[Diagnostic, ...]:
    """Judge the overlap of the strategies, pair by pair.

    The share of each strategy whose preference score is in equipoise; the largest standardised difference that
    weighting by the propensity leaves; the effective sample size of each strategy when it is weighted to stand for all.

    Parameters
    ----------
    arms : Arms
        The analysed episodes.
    propensity : Propensity
        The propensity; the diagnostics use that of the model fitted to all.
    balance : DataFrame
        From :func:`compute_balance`.

    Returns
    -------
    tuple of Diagnostic
    """
    found = []
    for pair in combinations(range(len(arms.strategies)), 2):
        names = " and ".join(arms.strategies[index] for index in pair)
        score = compute_preference(propensity.fitted, arms.strategy, pair)
        is_open = (score >= EQUIPOISE[0]) & (score <= EQUIPOISE[1])
        share = min(float(is_open[arms.strategy == index].mean()) for index in pair)
        found.append(Diagnostic(name=f"share in equipoise, {names}", value=share, limit=MINIMUM_OPEN))
        first, second = (arms.strategies[index] for index in pair)
        differences = balance.loc[(balance["first"] == first) & (balance["second"] == second), "weighted"]
        largest = float(differences.abs().max(skipna=False))
        found.append(
            Diagnostic(name=f"standardised difference, {names}", value=largest, limit=LARGEST_DIFFERENCE, is_upper=True)
        )
    sizes = compute_relative_sizes(propensity.fitted, arms.strategy)
    named = zip(arms.strategies, sizes.tolist(), strict=True)
    found += [
        Diagnostic(name=f"effective sample size, {name}", value=size, limit=SMALLEST_SIZE) for name, size in named
    ]
    return tuple(found)


def reach_of_chance(n: int) -> float:
    """Compute how many standard errors from 0 the farthest of n differences lies by chance (Bonferroni, two-sided).

    Examples
    --------
    >>> round(reach_of_chance(1), 2), round(reach_of_chance(50), 2)
    (1.96, 3.29)
    """
    return NormalDist().inv_cdf(1.0 - FALSE_ALARMS / (2.0 * n))


def compute_relative_sizes(propensity: FloatArray, strategy: IntArray) -> FloatArray:
    """Compute the effective sample size of each strategy under inverse propensity weights, relative to its size [1]_.

    Returns
    -------
    ndarray of shape (k,)

    References
    ----------
    .. [1] Kish L. Survey Sampling. Wiley 1965, section 11.7.

    Examples
    --------
    >>> compute_relative_sizes(np.array([[0.5, 0.5], [0.5, 0.5], [0.5, 0.5]]), np.array([0, 0, 1])).tolist()
    [1.0, 1.0]
    """
    sizes = []
    for place in range(propensity.shape[1]):
        weights = 1.0 / np.maximum(propensity[strategy == place, place], np.finfo(float).tiny)
        weights /= weights.max(initial=1.0)
        sizes.append(weights.sum() ** 2 / (weights**2).sum() / len(weights))
    return np.array(sizes)


def compute_baseline(arms: Arms, columns: Sequence[Column]) -> pd.DataFrame:
    """Describe the covariates by strategy, as they were recorded.

    Parameters
    ----------
    arms : Arms
        The analysed episodes.
    columns : sequence of Column
        Covariates; those that nobody has are left out.

    Returns
    -------
    DataFrame
        ``column, category, strategy, n, known, mean, sd, share``: ``n`` episodes, the share whose value is known, and
        among these mean and standard deviation of a number, or the share of a category (``yes`` of a yes/no column).
    """
    rows = []
    for column in columns:
        values = arms.episodes[column.name]
        if not values.notna().any():
            continue
        categories = ["yes"] if column.type == "boolean" else sorted(map(str, values.dropna().unique()))
        for category in categories if column.type in ("boolean", "category", "text") else [""]:
            for place, strategy in enumerate(arms.strategies):
                received = values[arms.strategy == place]
                named = {"column": column.name, "category": category, "strategy": strategy, "n": len(received)}
                rows.append(
                    {**named, "known": float(received.notna().mean()), **_describe(received.dropna(), category)}
                )
    measures = ("mean", "sd", "share")
    return pd.DataFrame(rows, columns=["column", "category", "strategy", "n", "known", *measures])


def _describe(known: pd.Series, category: str) -> dict[str, float]:
    """Describe the known values of a column: the share of a category, or mean and standard deviation."""
    if category == "yes":
        return {"share": float(known.astype(float).mean())}
    if category:
        return {"share": float((known == category).mean())}
    numbers = known.astype(float)
    return {"mean": float(numbers.mean()), "sd": float(numbers.std())}


def compute_balance(arms: Arms, propensity: Propensity) -> pd.DataFrame:
    """Compute standardised differences of the covariates between the strategies of each pair, for a love plot.

    The difference in means over the root of the mean variance within the strategies [1]_, before weighting and weighted
    by the inverse of the propensity. Numbers are compared by their means, and by the shares in the lowest and the
    highest fifth: where these hardly ever get a strategy, means alone can still agree. Columns that the propensity
    leaves out are not compared.

    Returns
    -------
    DataFrame
        ``first, second, column, unweighted, weighted``; a positive difference means more under the second.

    References
    ----------
    .. [1] Austin PC. Balance diagnostics for comparing the distribution of baseline covariates between treatment groups
       in propensity-score matched samples. Stat Med 2009;28:3083-3107. doi:10.1002/sim.3697
    """
    matrix, columns = _list_compared(arms)
    plain, weighted, variances = [], [], []
    for place in range(len(arms.strategies)):
        rows = arms.strategy == place
        weights = 1.0 / np.maximum(propensity.fitted[rows, place], np.finfo(float).tiny)
        plain.append(matrix[rows].mean(axis=0))
        weighted.append(np.average(matrix[rows], axis=0, weights=weights))
        variances.append(matrix[rows].var(axis=0))
    frames = []
    for first, second in combinations(range(len(arms.strategies)), 2):
        spread = np.sqrt((variances[first] + variances[second]) / 2.0)
        spread = np.where(spread > 0.0, spread, 1.0)
        frames.append(
            pd.DataFrame(
                {
                    "first": arms.strategies[first],
                    "second": arms.strategies[second],
                    "column": columns,
                    "unweighted": (plain[second] - plain[first]) / spread,
                    "weighted": (weighted[second] - weighted[first]) / spread,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def _list_compared(arms: Arms) -> tuple[FloatArray, list[str]]:
    """List what is compared: the covariates, and of each number who is in its lowest and its highest fifth."""
    names = [name for name, is_common in zip(arms.columns, arms.common, strict=True) if is_common]
    matrix = arms.matrix[:, arms.common]
    columns, blocks = list(names), [matrix]
    for name, values in zip(names, matrix.T, strict=True):
        if len(np.unique(values)) > 2:
            low, high = np.quantile(values, [0.2, 0.8])
            blocks.append(np.column_stack([values <= low, values >= high]).astype(float))
            columns += [f"{name}, lowest fifth", f"{name}, highest fifth"]
    return np.concatenate(blocks, axis=1), columns


def find_owner(column: str) -> str:
    """Find the covariate of which an encoded column, or a fifth of a number, is a part.

    Examples
    --------
    >>> find_owner("site_id=site-04"), find_owner("pain_nrs"), find_owner("odi, lowest fifth")
    ('site_id', 'pain_nrs', 'odi')
    """
    return re.split("[=~]|, ", column)[0]


def compute_unadjusted(aside: Arms, propensity: Propensity, reasons: Mapping[str, str]) -> pd.DataFrame:
    """Compute standardised differences of columns that are not adjusted for, and how large chance can make them.

    A column that the strategies do not depend on, given what is adjusted for, differs by chance alone. Its weighted
    difference then has a standard error of about the root of the sum of the inverse effective sample sizes [1]_; it
    is smaller where weighting balances the column too. The limit is the largest of all differences of columns without
    a reason that chance leaves (:func:`reach_of_chance`), but at least :data:`LARGEST_DIFFERENCE`.

    Parameters
    ----------
    aside : Arms
        The analysed episodes with the columns that are not adjusted for as the matrix
        (:func:`paincast.effects.arms.encode_aside`).
    propensity : Propensity
        The propensity of the covariates.
    reasons : mapping of str to str
        Columns that are left out on purpose, and why: they are compared and not judged.

    Returns
    -------
    DataFrame
        ``first, second, column, part, unweighted, weighted, limit, reason``: a row for each part of a column that
        :func:`compute_balance` compares. Of a column whose parts are all rare, or that is not recorded, it is the
        column itself, without differences. The limit is NaN where there is a reason.

    References
    ----------
    .. [1] Kish L. Survey Sampling. Wiley 1965, section 11.7.
    """
    compared = compute_balance(aside, propensity).rename(columns={"column": "part"})
    owners = [find_owner(name) for name in compared["part"]]
    absent = [name for name in dict.fromkeys([*map(find_owner, aside.columns), *reasons]) if name not in owners]
    pairs = combinations(aside.strategies, 2)
    rows = [{"first": one, "second": two, "column": name, "part": name} for one, two in pairs for name in absent]
    table = pd.concat([compared.assign(column=owners), pd.DataFrame(rows)], ignore_index=True)
    table = table.assign(reason=[reasons.get(name, "") for name in table["column"]])
    is_judged = (table["reason"] == "") & table["weighted"].notna()
    reach = reach_of_chance(max(int(is_judged.sum()), 1))
    sizes = compute_relative_sizes(propensity.fitted, aside.strategy) * np.bincount(aside.strategy)
    inverse = dict(zip(aside.strategies, (1.0 / sizes).tolist(), strict=True))
    limits = [
        max(LARGEST_DIFFERENCE, reach * (inverse[first] + inverse[second]) ** 0.5)
        for first, second in zip(table["first"], table["second"], strict=True)
    ]
    table = table.assign(limit=pd.Series(limits, dtype=float).where(is_judged))
    return table[["first", "second", "column", "part", "unweighted", "weighted", "limit", "reason"]]


def judge_unadjusted(unadjusted: pd.DataFrame) -> Iterator[Diagnostic]:
    """Ask of the columns that are not adjusted for that they differ no more than chance has it, pair by pair."""
    for (first, second), rows in unadjusted.dropna(subset="limit").groupby(["first", "second"], sort=False):
        yield Diagnostic(
            name=f"standardised difference of columns not adjusted for, {first} and {second}",
            value=float(rows["weighted"].abs().max()),
            limit=float(rows["limit"].iloc[0]),
            is_upper=True,
        )
