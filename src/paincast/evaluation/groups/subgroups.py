"""Metrics by subgroup: sites, years and the attributes that a fairness audit looks at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from statistics import NormalDist
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from paincast.contract import BUILT_IN, Contract
from paincast.disclosure.suppression import suppress_small_cells
from paincast.errors import DataError
from paincast.evaluation.groups.meta_analysis import pool_random_effects, shrink_estimates
from paincast.evaluation.performance.estimators import has_overlap
from paincast.evaluation.performance.link_functions import LINK_FUNCTIONS, estimate_on_link_scale
from paincast.evaluation.performance.metrics import METRIC_COLUMNS, check_weights, order_weights
from paincast.evaluation.predictions import (
    BoolArray,
    Predictions,
    check_outcome,
    check_patients,
    check_predictions,
    check_probability,
)
from paincast.evaluation.resampling import check_confidence
from paincast.schema import MINIMUM_CELL

GROUP_COLUMNS = (
    *METRIC_COLUMNS,
    "attribute",
    "level",
    "n_patients",
    "n_events",
    "error",
    "shrunken",
    "shrunken_lower",
    "shrunken_upper",
)
POOLED_COLUMNS = (*METRIC_COLUMNS, "attribute", "predicted_lower", "predicted_upper", "tau", "n_groups")

AGE_BANDS = ("under 40", "40 to 59", "60 to 74", "75 and over")
AGE_CUTS_YEARS = (40.0, 60.0, 75.0)
MISSING = "missing"

_COUNTS = ("n", "n_patients", "n_events")


def make_audit_attributes(episodes: pd.DataFrame, contract: Contract = BUILT_IN) -> pd.DataFrame:
    """Name the subgroups of each episode: sex, age band, indication, the sensitive columns, and the calendar year.

    Parameters
    ----------
    episodes : DataFrame of shape (n, ...)
        Episodes in the columns of the contract; what a column does not hold is left out.
    contract : Contract
        Declares the columns.

    Returns
    -------
    DataFrame of shape (n, n_attributes)
        Text; ``missing`` where a value is.

    Examples
    --------
    >>> make_audit_attributes(pd.DataFrame({"age_years": [39.9, 75, np.nan], "payer": ["medicare", None, "public"]}))
          age_band     payer
    0     under 40  medicare
    1  75 and over   missing
    2      missing    public
    """
    named = {}
    if "sex" in episodes:
        named["sex"] = episodes["sex"]
    if "age_years" in episodes:
        age = episodes["age_years"].astype("float64")
        bands = pd.Series(np.array(AGE_BANDS, dtype=object)[np.digitize(age, AGE_CUTS_YEARS)], index=age.index)
        named["age_band"] = bands.where(age.notna(), None)
    sensitive = [name for name, column in contract.episodes.items() if column.role == "sensitive"]
    for name in ("indication", *sensitive, "procedure_year"):
        if name in episodes and episodes[name].notna().any():
            named[name] = episodes[name]
    return pd.DataFrame({name: _as_levels(values) for name, values in named.items()}, index=episodes.index)


def compute_metrics_by_group(
    outcome: Any,
    probability: Any,
    attributes: pd.DataFrame,
    *,
    patients: Any,
    confidence: float = 0.95,
    weights: Any = None,
    obstacles: Mapping[str, str] = MappingProxyType({}),
) -> pd.DataFrame:
    """Compute AUROC, Brier score, O/E, intercept and slope of each level of each attribute, raw and shrunken.

    Standard errors are clustered by patient, on the logit scale (AUROC), the log scale (O/E) or the natural one; the
    limits are transformed back. ``shrunken`` draws the levels of an attribute towards their mean, the more the less
    they are known (:func:`~paincast.evaluation.groups.meta_analysis.shrink_estimates`); an attribute of two levels is
    not shrunken, since two levels do not say how far levels differ. Where levels are many some differ by chance: judge
    them by the shrunken interval.

    Counts under five patients, with or without the outcome, are hidden with their complements
    (:func:`paincast.disclosure.suppression.suppress_small_cells`), and such a level has no metrics.

    Parameters
    ----------
    outcome, probability, patients, confidence, weights
        As for :func:`paincast.evaluation.performance.metrics.compute_metrics`.
    attributes : DataFrame of shape (n, n_attributes)
        Level of each row in each attribute, in the order of the rows; missing values are a level of their own.
    obstacles : mapping of str to str
        Why a level has no metrics, by level: it is counted and its predictions are not looked at.

    Returns
    -------
    DataFrame
        Columns :data:`GROUP_COLUMNS`; ``group`` is ``attribute: level``, ``error`` the standard error on the scale
        that ``method`` names, counts are ``Int64``.

    Raises
    ------
    DataError
        If rows are missing, of unequal number or not allowed.
    SettingsError
        If ``confidence`` is not allowed.

    References
    ----------
    Collins GS, et al. TRIPOD+AI statement. BMJ 2024;385:e078378. doi:10.1136/bmj-2023-078378

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> probability = rng.random(300)
    >>> sex = pd.DataFrame({"sex": ["female", "male", "male"] * 100})
    >>> found = compute_metrics_by_group(rng.random(300) < probability, probability, sex, patients=None)
    >>> found.loc[found["metric"] == "auroc", ["group", "n"]].to_numpy().tolist()
    [['sex: female', 100], ['sex: male', 200]]
    """
    check_confidence(confidence)
    observed = check_outcome(outcome)
    predicted = check_probability(probability, n=len(observed))
    patient = check_patients(patients, n=len(observed))
    if len(attributes) != len(observed):
        raise DataError(
            f"attributes has {len(attributes)} rows, the outcome has {len(observed)}; give one for each row",
            code="PC-EVALUATION-04",
        )
    weight = check_weights(weights, len(observed))
    parts = []
    for attribute in attributes:
        levels = _as_levels(attributes[attribute])
        counts = _count(levels, observed, patient)
        table = []
        for level in counts.index:
            chosen = (levels == level).to_numpy()
            rows = check_predictions(observed[chosen], predicted[chosen], patient[chosen])
            ordered = order_weights(weight[chosen], predicted[chosen], rows)[0]
            identity = {"attribute": attribute, "level": level, **counts.loc[level, list(_COUNTS)]}
            obstacle = obstacles.get(str(level)) or _find_obstacle(rows, bool(counts.loc[level, "small"]))
            table += [
                {**identity, **_describe(metric, rows, ordered, obstacle, confidence)} for metric in LINK_FUNCTIONS
            ]
        parts.append(_shrink(pd.DataFrame(table), confidence))
    if not parts:
        return pd.DataFrame(columns=list(GROUP_COLUMNS))
    by_group = pd.concat(parts, ignore_index=True)
    by_group["group"] = by_group["attribute"] + ": " + by_group["level"]
    return by_group.astype(dict.fromkeys(_COUNTS, "Int64"))[list(GROUP_COLUMNS)]


def pool_groups(by_group: pd.DataFrame, *, confidence: float = 0.95) -> pd.DataFrame:
    """Pool the levels of each attribute, as sites, and say what a new one may show.

    Parameters
    ----------
    by_group : DataFrame
        From :func:`compute_metrics_by_group`.
    confidence : float
        Coverage of both intervals.

    Returns
    -------
    DataFrame
        Columns :data:`POOLED_COLUMNS`, one row per attribute and metric: mean over levels with its interval, and the
        prediction interval of a new level, carried back from the scale; ``tau`` is the spread between levels on the
        scale. NaN with a reason where fewer than two levels can be pooled; no prediction interval with two. ``n``
        counts rows of the levels pooled, NA where one is hidden.
    """
    check_confidence(confidence)
    return pd.DataFrame(_pool_each(by_group, confidence), columns=list(POOLED_COLUMNS)).astype({"n": "Int64"})


def _pool_each(by_group: pd.DataFrame, confidence: float) -> Iterator[dict[str, Any]]:
    for (attribute, metric), rows in by_group.groupby(["attribute", "metric"], sort=False):
        link = LINK_FUNCTIONS[str(metric)]
        kept = rows[rows["error"].notna()]
        left_out = f"; {len(rows) - len(kept)} left out" if len(kept) < len(rows) else ""
        identity = {
            "metric": metric,
            "group": f"all of {attribute}",
            "attribute": attribute,
            "n_groups": len(kept),
            "n": kept["n"].sum(skipna=False) if len(kept) else 0,
        }
        if len(kept) < 2:
            yield {
                **identity,
                "method": f"not estimable: {len(kept)} of {len(rows)} levels can be pooled, 2 are needed",
            }
            continue
        values = np.array([link.forward(value) for value in kept["estimate"]])
        pooled = pool_random_effects(values, kept["error"].to_numpy(), confidence=confidence)
        yield {
            **identity,
            "estimate": link.back(pooled.mean),
            "lower": link.back(pooled.lower),
            "upper": link.back(pooled.upper),
            "predicted_lower": link.back(pooled.predicted_lower),
            "predicted_upper": link.back(pooled.predicted_upper),
            "tau": pooled.tau,
            "method": f"random effects over {len(kept)} levels on the {link.name} scale, restricted maximum "
            f"likelihood, Hartung-Knapp, {100 * confidence:g} %{left_out}",
        }


def _as_levels(values: Iterable[Any]) -> pd.Series:
    series = pd.Series(values)
    return series.astype("str").where(series.notna(), MISSING).astype("str")


def _count(levels: pd.Series, outcome: np.ndarray, patient: np.ndarray) -> pd.DataFrame:
    """Count rows, patients and events of each level, hidden where they are small, and say which are."""
    rows = pd.DataFrame({"level": levels.to_numpy(), "outcome": outcome, "patient": patient})
    people = rows.groupby(["level", "patient"])["outcome"].max().groupby("level").agg(["sum", "size"])
    parts = pd.DataFrame({"with": people["sum"], "without": people["size"] - people["sum"]}).astype("int64")
    shown = suppress_small_cells(parts)
    outcomes = rows.groupby("level")["outcome"]
    return pd.DataFrame(
        {
            "n": outcomes.size().astype("Int64").mask(shown["total"].isna()),
            "n_patients": shown["total"],
            "n_events": outcomes.sum().astype("Int64").mask(shown["with"].isna()),
            "small": (parts < MINIMUM_CELL).any(axis=1),
        }
    )


def _find_obstacle(rows: Predictions, small: bool) -> str:
    if small:
        return f"fewer than {MINIMUM_CELL} patients with or without the outcome"
    return "one outcome class only" if rows.has_one_class else ""


def _describe(metric: str, rows: Predictions, weights: np.ndarray, obstacle: str, confidence: float) -> dict[str, Any]:
    link = LINK_FUNCTIONS[metric]
    value, error = (np.nan, np.nan) if obstacle else estimate_on_link_scale(metric, rows, weights)
    if metric == "calibration_slope" and not obstacle and not has_overlap(rows, np.ones((1, rows.n)))[0]:
        value, error, obstacle = np.nan, np.nan, "the predictions are constant or separate the outcome classes"
    reach = NormalDist().inv_cdf(0.5 + confidence / 2.0) * error
    method = f"error of sums by patient on the {link.name} scale, {100 * confidence:g} %"
    if not np.isfinite(error):
        method = f"not estimable: {obstacle or 'no finite error'}"
    return {
        "metric": metric,
        "estimate": link.back(value),
        "lower": link.back(value - reach),
        "upper": link.back(value + reach),
        "error": error,
        "method": method,
    }


def _shrink(table: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Add shrunken estimates to the levels of one attribute."""
    names = ["shrunken", "shrunken_lower", "shrunken_upper"]
    table[names] = np.nan
    for metric, link in LINK_FUNCTIONS.items():
        chosen: BoolArray = ((table["metric"] == metric) & table["error"].notna()).to_numpy()
        if chosen.sum() < 3:
            continue
        values = np.array([link.forward(value) for value in table.loc[chosen, "estimate"]])
        shrunken = shrink_estimates(values, table.loc[chosen, "error"].to_numpy(), confidence=confidence)
        for name, part in zip(names, shrunken, strict=True):
            table.loc[chosen, name] = [link.back(value) for value in part]
    return table
