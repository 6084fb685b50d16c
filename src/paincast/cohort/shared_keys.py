"""Rows of one episode or visit: copies and contradictions are left out, rows that complement each other become one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from paincast.cohort.rejects import MERGED, BrokenRule, any_broken

UNIQUE_BY = {"episodes": ("episode_id",), "visits": ("episode_id", "month"), "events": ()}
_SAID_OF_ALL = frozenset({"episode_id", "patient_id", "site_id", "technique", "indication"})
"""Columns that every row of an episode may repeat without being about another procedure."""
SEVERAL_PROCEDURES = "several procedures of a patient need an id each, in a mapping columns: [patient, number]"


def find_duplicates(typed: pd.DataFrame, table: str, *, merges: bool) -> tuple[list[BrokenRule], pd.Series]:
    """Find rows that share a key and cannot be one.

    Parameters
    ----------
    typed : DataFrame of shape (n, ...)
        A table in the types of the contract; index 0 to n - 1.
    table : {"episodes", "visits", "events"}
        Which one.
    merges : bool
        Whether rows that complement each other may become one.

    Returns
    -------
    duplicates : list of BrokenRule
        Copies of an earlier row, and rows that share the key and contradict each other: these are all left out.
    group : Series of Int64
        Which rows complement each other, as the number of their group; missing for every other row.
    """
    keys = list(UNIQUE_BY[table])
    group = pd.Series(pd.NA, index=typed.index, dtype="Int64")
    if not keys:
        return [], group
    complete = typed[keys].notna().all(axis="columns")
    copies = complete & typed.duplicated(keep="first")
    shared = typed[complete & ~copies]
    shared = shared[shared.duplicated(keys, keep=False)]
    number = shared.groupby(keys, sort=False).ngroup()
    fits = _complement(shared, number, table, typed) if merges else pd.Series(False, index=shared.index)
    group.loc[shared.index[fits]] = number[fits].astype("Int64")
    broken = copies | typed.index.isin(shared.index[~fits])
    allowed = f"one row for each {' and '.join(keys)}; rows that share it and differ are all left out"
    allowed += f"; {SEVERAL_PROCEDURES}" if table == "episodes" else ""
    found = BrokenRule(broken=broken, column=keys[0], rule="duplicate", allowed=allowed, action="row left out")
    return [found], group


def _complement(shared: pd.DataFrame, number: pd.Series, table: str, typed: pd.DataFrame) -> pd.Series:
    """Tell which rows complement those of their key: nothing contradicts, and of an episode nothing is told twice.

    Two rows that tell the same of an episode may be two procedures of one patient; each must add something of its own.
    """
    if shared.empty:
        return pd.Series(False, index=shared.index)
    by_key = shared.groupby(number)
    agree = (by_key.nunique() <= 1).all(axis="columns")
    if table == "episodes":
        own = [name for name in typed if name not in _SAID_OF_ALL and typed[name].nunique(dropna=False) > 1]
        told = shared[own].notna()
        agree &= (told.groupby(number).sum() <= 1).all(axis="columns")
        agree &= told.any(axis="columns").groupby(number).all()
    return number.map(agree).astype(bool)


def merge_rows(
    held: pd.DataFrame, group: pd.Series, findings: Sequence[BrokenRule], table: str
) -> tuple[pd.DataFrame, list[BrokenRule]]:
    """Make one row of rows that complement each other: the first holds the values of all.

    Parameters
    ----------
    held : DataFrame of shape (n, ...)
        The table with broken cells emptied.
    group : Series of Int64, shape (n,)
        Which rows belong together, of :func:`find_duplicates`.
    findings : sequence of BrokenRule
        What was found so far. A required value that another row of the group holds is not missing.
    table : str
        Which table.

    Returns
    -------
    merged : DataFrame of shape (n, ...)
        The table, with the first row of each group filled.
    findings : list of BrokenRule
        Those that still hold, and the rows that went into another.
    """
    if group.isna().all():
        return held, list(findings)
    lost = any_broken([finding for finding in findings if finding.rule != "required"], "row left out", len(held))
    group = group.mask(lost)
    filled = held.groupby(group).transform("first").reindex(held.index)
    held = held.where(held.notna() | group.isna(), filled)
    settled = []
    for finding in findings:
        if finding.rule == "required":
            finding = _narrow(finding, finding.broken & ~(group.notna() & held[finding.column].notna()))
        settled.append(finding)
    out = any_broken(settled, "row left out", len(held))
    into_another = group.notna() & group.duplicated(keep="first") & ~out
    allowed = f"one row for each {' and '.join(UNIQUE_BY[table])}; its values stand in the first of these rows"
    column = UNIQUE_BY[table][0]
    merged = BrokenRule(broken=into_another, column=column, rule=MERGED, allowed=allowed, action="row left out")
    return held, [*settled, merged]


def _narrow(finding: BrokenRule, broken: pd.Series | np.ndarray) -> BrokenRule:
    return BrokenRule(
        broken=pd.Series(broken, index=finding.broken.index),
        column=finding.column,
        rule=finding.rule,
        allowed=finding.allowed,
        action=finding.action,
    )
