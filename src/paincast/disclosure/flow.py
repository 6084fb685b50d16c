"""Hide small counts in participant flows and weight summaries, and the counts from which they could be derived."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations, permutations

import numpy as np

from paincast.deferred import pandas as pd
from paincast.disclosure.rounding import FEW, round_count
from paincast.disclosure.suppression import flag_with_complements, is_small
from paincast.schema import MINIMUM_CELL

LEFT_OUT = ("not asked: ", "lost: ")
"""Prefixes of exclusion steps; the steps with the same prefix and the following step sum to a preceding step."""

TOTALS = ("episodes of the technique", "asked: ")
AT_HORIZON = ("alive and followed to month ", "of these with relief up to month ")
"""Steps reported as the training sample of a model of relief duration."""

SEEN = "seen after the procedure"
PATIENTS = "patients with an answer"
"""Step that counts patients; the preceding steps count episodes."""

OTHER_REASONS = "other reasons"

ANSWERED_AT = "answered by a visit of month "
"""Steps by month of the visit that determined the outcome; they sum to the episodes with a known outcome."""

ANSWERED_BY = "answered by the instrument "
"""Steps by instrument; they sum to the episodes with a known outcome as well."""


def suppress_small_steps(flow: pd.DataFrame) -> pd.DataFrame:
    """Hide small counts of a flow table, with their complements.

    In addition to small reasons, the smallest other reasons are hidden until at least two are hidden that sum to five
    or more; if there are too few reasons, the sums are hidden too. The months of visits and the instruments are treated
    in the same way. The number of episodes with a known outcome is shown, except for relief duration if the number
    followed to the horizon differs from it by fewer than five. The number of patients is shown if it is equal or
    differs by five or more.

    Parameters
    ----------
    flow : DataFrame
        ``step, n`` of :class:`paincast.training_set.TrainingSet`.

    Returns
    -------
    DataFrame
        The same table with ``n`` as ``Int64``, ``<NA>`` where it is hidden.

    Examples
    --------
    >>> steps = ["episodes of the technique", "not asked: no pain", "asked: all", "lost: no visit", "with an answer"]
    >>> suppress_small_steps(pd.DataFrame({"step": steps, "n": [60, 10, 50, 3, 47]}))["n"].tolist()
    [60, <NA>, <NA>, <NA>, 47]
    """
    step, n = flow["step"].str, flow["n"].to_numpy(dtype=np.int64)
    reason = np.logical_or.reduce([step.startswith(prefix).to_numpy() for prefix in LEFT_OUT])
    total = np.logical_or.reduce([step.startswith(prefix).to_numpy() for prefix in TOTALS])
    small = is_small(n)
    hidden = flag_with_complements(n, reason)
    if hidden.any():
        hidden |= step.startswith(TOTALS[1]).to_numpy()
        if hidden[reason].sum() < 2 or n[hidden & reason].sum() < MINIMUM_CELL:
            hidden |= total
    months = flag_with_complements(n, step.startswith(ANSWERED_AT).to_numpy())
    months |= flag_with_complements(n, step.startswith(ANSWERED_BY).to_numpy())
    close = flow["step"].isin(_find_close(flow)).to_numpy()
    if (close & step.startswith(SEEN).to_numpy()).any():
        hidden |= reason | total
    return flow.assign(n=flow["n"].astype("Int64").mask(hidden | months | small | close))


def _find_close(flow: pd.DataFrame) -> set[str]:
    """Find counts of known outcomes that differ by few from another count, or from the sum or difference of two others.

    The size of the training sample is always released; for relief duration this is the number alive and followed, which
    is therefore processed first.
    """
    others = (*LEFT_OUT, *TOTALS, ANSWERED_AT, ANSWERED_BY)
    counts = {step: int(n) for step, n in flow[["step", "n"]].itertuples(index=False) if not step.startswith(others)}
    released: list[int] = []
    close: set[str] = set()
    for step in sorted(counts, key=lambda step: not step.startswith(AT_HORIZON)):
        derivable = {
            *released,
            *(a - b for a, b in permutations(released, 2)),
            *(a + b for a, b in combinations(released, 2)),
        }
        if not step.startswith(AT_HORIZON) and any(is_small(abs(counts[step] - n)) for n in derivable):
            close.add(step)
        else:
            released.append(counts[step])
    return close


def format_counts_together(*counts: int, real: bool = True) -> list[str]:
    """Format counts of which one is the sum of the others: if any is small, the others are rounded to five.

    Examples
    --------
    >>> format_counts_together(30, 60, 90), format_counts_together(3, 61, 64)
    (['30', '60', '90'], ['fewer than 5', 'about 60', 'about 65'])
    """
    if not real or not any(is_small(n) for n in counts):
        return [str(n) for n in counts]
    return [FEW if is_small(n) else f"about {round_count(n)}" for n in counts]


def format_label_months(counts: Mapping[int, int]) -> str:
    """Describe the number of outcomes by month of the visit; small counts and their complements are hidden.

    Examples
    --------
    >>> format_label_months({3: 40, 6: 60})
    'answered by visits of month 3: 40, month 6: 60'
    >>> format_label_months({2: 3, 3: 40, 6: 60})
    'answered by visits of month 6: 60, other months (2, 3): 43'
    """
    shown = _format_parts({f"month {month}": n for month, n in counts.items()}, "other months", "month ")
    return f"answered by visits of {shown}" if shown else ""


def format_instruments(counts: Mapping[str, int]) -> str:
    """Describe the number of outcomes by instrument; small counts and their complements are hidden.

    Examples
    --------
    >>> format_instruments({"odi": 40, "promis_physical_function": 60})
    'answered by odi: 40, promis_physical_function: 60'
    """
    shown = _format_parts(counts, "other instruments")
    return f"answered by {shown}" if shown else ""


def _format_parts(counts: Mapping[str, int], others: str, prefix: str = "") -> str:
    """Format counts that have a sum; those that would disclose few are summed up, or left out."""
    names, n = list(counts), np.array(list(counts.values()), dtype=np.int64)
    hidden = flag_with_complements(n, np.ones(len(n), dtype=bool))
    shown = [f"{name}: {count}" for name, count, is_hidden in zip(names, n, hidden, strict=True) if not is_hidden]
    if n[hidden].sum() >= MINIMUM_CELL:
        left = ", ".join(name.removeprefix(prefix) for name, is_hidden in zip(names, hidden, strict=True) if is_hidden)
        shown.append(f"{others} ({left}): {n[hidden].sum()}")
    return ", ".join(shown)


def suppress_small_loss(weights: pd.DataFrame, *, is_hidden: bool = False) -> pd.DataFrame:
    """Hide the numbers of eligible and lost patients in a summary of weights if few were lost, or if so told."""
    lost = weights.set_index("measure")["value"]["lost"]
    hidden = weights["measure"].isin(["asked", "lost"]) & (is_small(lost) | is_hidden)
    return weights.assign(value=weights["value"].mask(hidden))


def count_reasons(reasons: pd.Series, *, real: bool, is_total_shown: bool = True) -> pd.DataFrame:
    """Count patients by the first reason of each; few patients of a reason are counted together with others.

    Parameters
    ----------
    reasons : Series of str, shape (n,)
        Reasons of each patient, joined by semicolons; what follows a colon is left out.
    real : bool
        Whether small counts are hidden.
    is_total_shown : bool
        Whether their sum is shown elsewhere; if it is not, no count of real patients is.

    Returns
    -------
    DataFrame
        ``reason, n``, the most frequent first; ``<NA>`` where a count is hidden.

    Examples
    --------
    >>> reasons = pd.Series(["no pain"] * 9 + ["far: age; no pain"] * 6 + ["far: odi"] * 2 + ["pregnant"] * 2)
    >>> count_reasons(reasons, real=True).to_numpy().tolist()
    [['no pain', 9], ['other reasons', 10]]
    >>> count_reasons(reasons, real=False)["n"].tolist()
    [9, 8, 2]
    """
    counts = reasons.map(lambda reason: reason.partition("; ")[0].partition(": ")[0]).value_counts()
    n = np.asarray(counts, dtype=np.int64)
    hidden = flag_with_complements(n, np.full(len(n), real))
    if real and not is_total_shown:
        rows: list[tuple[str, int | None]] = [(OTHER_REASONS, None)]
    else:
        rows = [(str(reason), int(count)) for reason, count in counts[~hidden].items()]
        rows += [(OTHER_REASONS, int(n[hidden].sum()))] if hidden.any() else []
    return pd.DataFrame(rows, columns=["reason", "n"]).astype({"reason": "str", "n": "Int64"})
