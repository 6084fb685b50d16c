"""What evidence would have expected of the episodes of a cohort, beside what was observed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from paincast.disclosure.shares import release_shares
from paincast.errors import PaincastError
from paincast.evidence.figures import CurvePoint, Record
from paincast.evidence.records import load_record, load_records
from paincast.profiling.linked import BoolArray, FloatArray, LinkedCohort, add_wilson_limits
from paincast.schema import COMPARATORS, TECHNIQUES

KEYS = ("technique", "indication", "approach")
EXPECTED_COLUMNS = (
    *KEYS,
    *("month", "n", "count", "share", "lower", "upper", "record", "expected", "expected_lower", "expected_upper"),
    *("support", "verdict", "because", "with_patients", "without_patients"),
)
NOT_SHOWN = "not shown: few patients"
EVERY_INDICATION, ANY_APPROACH = "every_indication", "any"


def compute_expected(
    linked: LinkedCohort, response: FloatArray, is_matched: BoolArray, months: Mapping[str, float]
) -> pd.DataFrame:
    """Put the observed pain response of each technique and indication beside what its evidence record expects.

    A record is compared only where technique, indication, approach and month match; else the reason is given. Where it
    matches in all groups of a technique, one more row puts them together (indication ``every_indication``).

    Parameters
    ----------
    linked : LinkedCohort
        The cohort.
    response : ndarray of float, shape (n,)
        Pain response at the month of the technique, NaN where it is unknown.
    is_matched : ndarray of bool, shape (n,)
        Whether it is told by an instrument by which the evidence counts it.
    months : mapping of str to float
        Month of each technique.

    Returns
    -------
    DataFrame
        ``technique, indication, approach, month``; ``n`` with a known response, ``count, share, lower, upper``
        (Wilson); ``record, expected`` with the 95 % interval of a new study and its ``support``; ``verdict`` (see
        :func:`judge`) or ``because``, why nothing is compared; and the patients of both parts.
    """
    groups = _name_groups(linked)
    known = np.isfinite(response)
    told = {"responded": response[known] == 1, "patient": linked.patients[known], "is_matched": is_matched[known]}
    counted = pd.DataFrame({**groups[known], **told}).groupby([*KEYS, "is_matched"], sort=True)
    rows = [_describe_group(group, months) for _, group in counted]
    rows += _describe_techniques(rows)
    if not rows:
        return pd.DataFrame(columns=list(EXPECTED_COLUMNS))
    found = add_wilson_limits(pd.DataFrame(rows))
    verdicts = [judge(row) for row in found.to_dict("records")]
    return found.assign(verdict=pd.Series(verdicts, dtype="str"))[list(EXPECTED_COLUMNS)]


def _name_groups(linked: LinkedCohort) -> pd.DataFrame:
    """Name technique, indication and approach of each episode; the approach only where evidence differs by it."""
    keys = linked.episodes[list(KEYS)].astype("str").fillna("")
    by_approach = {record.technique for record in load_records() if record.approach}
    return keys.assign(
        technique=np.array(linked.techniques.labels, dtype=object)[linked.techniques.codes],
        approach=keys["approach"].where(keys["technique"].isin(by_approach), ""),
    )


def _describe_group(group: pd.DataFrame, months: Mapping[str, float]) -> dict[str, Any]:
    technique, indication, approach = (str(group[name].iloc[0]) for name in KEYS)
    responded = group["responded"]
    month = months[technique]
    record, reason = find_record(technique, indication, approach)
    if record and not group["is_matched"].all():
        record, reason = None, "the evidence counts no response by the instrument of these episodes"
    point, reason = find_point(record, month) if record else (None, reason)
    return {
        **dict(zip(KEYS, (technique, indication or "not known", approach or ANY_APPROACH), strict=True)),
        "month": month,
        "n": len(group),
        "count": int(responded.sum()),
        "share": float(responded.mean()),
        "with_patients": group.loc[responded, "patient"].nunique(),
        "without_patients": group.loc[~responded, "patient"].nunique(),
        "record": record.id if record else "",
        "expected": point.share if point else np.nan,
        "expected_lower": point.predicted_lower if point else np.nan,
        "expected_upper": point.predicted_upper if point else np.nan,
        "support": point.support if point else "",
        "because": reason,
    }


def _describe_techniques(groups: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Describe the techniques of which evidence covers all groups, two or more, by the mean over their patients.

    The limits are averaged as well: what the records of a technique do not know is mostly the same.
    """
    techniques = dict.fromkeys(group["technique"] for group in groups)
    by_technique = {name: [group for group in groups if group["technique"] == name] for name in techniques}
    return [
        _average(technique, parts)
        for technique, parts in by_technique.items()
        if len(parts) > 1 and not any(part["because"] for part in parts)
    ]


def _average(technique: str, parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    weights = [part["n"] for part in parts]
    sums = {name: sum(part[name] for part in parts) for name in ("n", "count", "with_patients", "without_patients")}
    means = {
        name: float(np.average([part[name] for part in parts], weights=weights))
        for name in ("expected", "expected_lower", "expected_upper")
    }
    return {
        **dict(zip(KEYS, (technique, EVERY_INDICATION, ANY_APPROACH), strict=True)),
        "month": parts[0]["month"],
        **sums,
        "share": sums["count"] / sums["n"],
        "record": ", ".join(dict.fromkeys(part["record"] for part in parts)),
        **means,
        "support": ", ".join(dict.fromkeys(part["support"] for part in parts)),
        "because": "",
    }


def find_record(technique: str, indication: str, approach: str) -> tuple[Record | None, str]:
    """Find the evidence record of a technique in an indication by an approach, or the reason why there is none."""
    if technique in COMPARATORS:
        return None, "a comparator: evidence records are of techniques"
    if technique not in TECHNIQUES:
        return None, "no evidence stands beside a technique of one's own"
    if not indication:
        return None, "the indication is not known"
    try:
        record = load_record(technique, indication, approach or None)
    except PaincastError:
        return None, "no evidence record of this technique covers the indication and approach"
    if record.gap:
        return None, f"no evidence: {record.gap}"
    if indication not in record.indications:
        return None, "no evidence record of this technique covers the indication"
    if record.approach and not approach:
        return None, "evidence differs by approach, and the approach is not known"
    return record, ""


def find_point(record: Record, month: float) -> tuple[CurvePoint | None, str]:
    """Find the point of a record's curve at a month, or the reason why there is none."""
    if record.response is None:
        return None, f"record {record.id} has no response curve"
    point = record.response.points.get(month)
    if point is None:
        months = ", ".join(f"{at:g}" for at in record.response.points)
        return None, f"the curve of {record.id} holds months {months} only"
    return point, ""


def judge(row: Mapping[object, object]) -> str:
    """Judge an observed share against the 95 % interval of a new study.

    Returns
    -------
    str
        ``inside``; ``below`` or ``above`` where the whole observed interval lies outside; where only the estimate does,
        ``below, within chance`` or ``above, within chance``; empty without an expected share.

    Examples
    --------
    >>> expected = {"expected": 0.5, "expected_lower": 0.3, "expected_upper": 0.7}
    >>> judge({"share": 0.28, "lower": 0.2, "upper": 0.37, **expected})
    'below, within chance'
    """
    values = [row[name] for name in ("share", "lower", "upper", "expected_lower", "expected_upper")]
    share, lower, upper, least, most = (float(str(value)) for value in values)
    if np.isnan(least) or np.isnan(share):
        return ""
    if least <= share <= most:
        return "inside"
    side = "below" if share < least else "above"
    return side if upper < least or lower > most else f"{side}, within chance"


def release_expected(expected: pd.DataFrame, outcomes: pd.DataFrame, *, real: bool) -> pd.DataFrame:
    """Release observed beside expected response.

    Parameters
    ----------
    expected : DataFrame
        From :func:`compute_expected`.
    outcomes : DataFrame
        Released outcomes: of a technique whose response is hidden, all groups are.
    real : bool
        Whether the patients are real.
    """
    is_whole = expected["indication"] == EVERY_INDICATION
    parts = expected.assign(is_whole=is_whole)
    released = release_shares(parts, within=["technique", "is_whole"], is_zero_shown=False, real=real)
    released = released.drop(columns="is_whole")
    if not real:
        return released
    shown = outcomes[(outcomes["outcome"] == "pain_response") & outcomes["count"].notna()]["technique"]
    hidden = ~released["technique"].isin(shown) | released["count"].isna()
    emptied = {name: released[name].mask(hidden) for name in ("n", "count", "share", "lower", "upper")}
    texts = {"verdict": released["verdict"].mask(hidden, ""), "because": released["because"].mask(hidden, NOT_SHOWN)}
    return released.assign(**emptied, **texts)
