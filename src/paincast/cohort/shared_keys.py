"""Rows that share a key: duplicates and contradictions are left out, complementary rows are merged."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from paincast.cohort.rejects import MERGED, BrokenRule, any_broken
from paincast.deferred import pandas as pd

UNIQUE_BY = {"episodes": ("episode_id",), "visits": ("episode_id", "month"), "events": ()}
_SAID_OF_ALL = frozenset({"episode_id", "patient_id", "site_id", "technique", "indication"})
"""Columns that the rows of an episode may repeat without describing another procedure."""
SEVERAL_PROCEDURES = "several procedures of a patient need an id each, in a mapping columns: [patient, number]"


def find_duplicates(
    typed: pd.DataFrame, table: str, *, merges: bool, varying: Collection[str] | None = None
) -> tuple[list[BrokenRule], pd.Series]:
    """Find rows that share a key and cannot be merged.

    Parameters
    ----------
    typed : DataFrame of shape (n, ...)
        A table in the types of the contract; index 0 to n - 1.
    table : {"episodes", "visits", "events"}
        Which table.
    merges : bool
        Whether complementary rows may be merged.
    varying : collection of str, optional
        Columns with more than one value in the whole table, where ``typed`` is a part of it.

    Returns
    -------
    duplicates : list of BrokenRule
        Copies of an earlier row, and all rows that share a key and contradict each other; these are left out.
    group : Series of Int64
        Group number of complementary rows; missing for every other row.
    """
    keys = list(UNIQUE_BY[table])
    group = pd.Series(pd.NA, index=typed.index, dtype="Int64")
    if not keys:
        return [], group
    complete = typed[keys].notna().all(axis="columns")
    repeated = typed[complete & typed.duplicated(keys, keep=False)]
    copies = repeated.duplicated(keep="first").reindex(typed.index, fill_value=False)
    shared = repeated[~copies[repeated.index]]
    shared = shared[shared.duplicated(keys, keep=False)]
    number = shared.groupby(keys, sort=False).ngroup()
    if varying is None and merges and table == "episodes" and not shared.empty:
        varying = {str(name) for name in typed if typed[name].nunique(dropna=False) > 1}
    fits = _complement(shared, number, table, varying or ()) if merges else pd.Series(False, index=shared.index)
    group.loc[shared.index[fits]] = number[fits].astype("Int64")
    broken = copies | typed.index.isin(shared.index[~fits])
    allowed = f"one row for each {' and '.join(keys)}; rows that share it and differ are all left out"
    allowed += f"; {SEVERAL_PROCEDURES}" if table == "episodes" else ""
    duplicates = BrokenRule(broken=broken, column=keys[0], rule="duplicate", allowed=allowed, action="row left out")
    return [duplicates], group


def _complement(shared: pd.DataFrame, number: pd.Series, table: str, varying: Collection[str]) -> pd.Series:
    """Flag rows that complement the others of their key: no contradictions, and no repeated values of an episode.

    Two rows with the same content may be two procedures of a patient, so each row must add values of its own columns.
    """
    if shared.empty:
        return pd.Series(False, index=shared.index)
    by_key = shared.groupby(number)
    agree = (by_key.nunique() <= 1).all(axis="columns")
    if table == "episodes":
        content_columns = [name for name in shared if name not in _SAID_OF_ALL and name in varying]
        is_given = shared[content_columns].notna()
        agree &= (is_given.groupby(number).sum() <= 1).all(axis="columns")
        agree &= is_given.any(axis="columns").groupby(number).all()
    return number.map(agree).astype(bool)


def merge_rows(
    frame: pd.DataFrame, group: pd.Series, findings: Sequence[BrokenRule], table: str
) -> tuple[pd.DataFrame, list[BrokenRule]]:
    """Merge complementary rows: the first row receives the values of all.

    Parameters
    ----------
    frame : DataFrame of shape (n, ...)
        The table with broken cells emptied.
    group : Series of Int64, shape (n,)
        Which rows belong together, of :func:`find_duplicates`.
    findings : sequence of BrokenRule
        Rules broken so far. A required value that another row of the group provides is not missing.
    table : str
        Which table.

    Returns
    -------
    merged : DataFrame of shape (n, ...)
        The table, with the first row of each group filled.
    findings : list of BrokenRule
        Rules that are still broken, and the rows that were merged into another.
    """
    if group.isna().all():
        return frame, list(findings)
    lost = any_broken([finding for finding in findings if finding.rule != "required"], "row left out", len(frame))
    group = group.mask(lost)
    filled = frame.groupby(group).transform("first").reindex(frame.index)
    frame = frame.where(frame.notna() | group.isna(), filled)
    settled = []
    for finding in findings:
        if finding.rule == "required":
            finding = _narrow(finding, finding.broken & ~(group.notna() & frame[finding.column].notna()))
        settled.append(finding)
    out = any_broken(settled, "row left out", len(frame))
    into_another = group.notna() & group.duplicated(keep="first") & ~out
    allowed = f"one row for each {' and '.join(UNIQUE_BY[table])}; the first of these rows is kept"
    column = UNIQUE_BY[table][0]
    merged = BrokenRule(broken=into_another, column=column, rule=MERGED, allowed=allowed, action="row left out")
    return frame, [*settled, merged]


def _narrow(finding: BrokenRule, broken: pd.Series | np.ndarray) -> BrokenRule:
    return BrokenRule(
        broken=pd.Series(broken, index=finding.broken.index),
        column=finding.column,
        rule=finding.rule,
        allowed=finding.allowed,
        action=finding.action,
    )
