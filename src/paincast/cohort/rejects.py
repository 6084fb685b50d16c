"""Rejects: what was left out of a cohort, its position and the rule it broke. A reject never contains a value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from paincast.deferred import pandas as pd
from paincast.errors import DataError

Action = Literal["cell emptied", "row left out", "column left out"]

REJECT_COLUMNS = ("table", "file", "row", "column", "rule", "allowed", "action")
"""``file`` names the file that ``row`` counts in; it is empty where rows do not come from a file."""
REJECT_FACTS = tuple(name for name in REJECT_COLUMNS if name not in ("table", "file"))
"""What is told of a reject whose patients came in no file."""
UNKNOWN_COLUMN = "unknown column"
"""The ``rule`` for a column that is not in the contract; it loses no data."""
MERGED = "merged"
"""The ``rule`` for a row merged into another row of the same episode or visit; it loses no data."""

SEVERAL_VALUES = "several values"
"""The ``rule`` for a cell for which the source holds values that differ."""
QUOTATION_MARK = "quotation mark"
TOO_FEW_CELLS = "too few cells"
TOO_MANY_CELLS = "too many cells"
WRONG_BYTES = "encoding"
CELL_TOO_LONG = "cell too long"
COLUMN_TYPE = "column type"
FORMULA_WITHOUT_VALUE = "formula without a value"
ERROR_VALUE = "error value"
NOT_A_PATIENT = "not a patient"
"""The ``rule`` for a row of labels, units, sums or repeated names; it loses no data."""
TITLE_LINE = "title line"
"""The ``rule`` for a line above the header; it loses no data."""
TWIN_COLUMN = "duplicate column"
"""The ``rule`` for an unused name that appears twice in the header; it loses no data."""
UNNAMED_COLUMN = "no column name"
"""The ``rule`` for a column with content but no name; it loses nothing that could be read."""
STATUS = "status"
"""The ``rule`` for what was planned, not done or entered in error; it loses no data."""
NOTHING_LOST = (UNKNOWN_COLUMN, MERGED, NOT_A_PATIENT, TITLE_LINE, TWIN_COLUMN, UNNAMED_COLUMN, STATUS)
"""Rules that are reported but do not count as data loss."""

WHOLE_COLUMN = 0
"""The ``row`` of a reject that concerns a whole column."""


class BrokenRule(NamedTuple):
    """A rule of one column that some rows broke.

    Parameters
    ----------
    broken : Series of bool
        One entry per row; true where the rule is broken.
    column : str
        The column.
    rule : str
        Short name of the rule.
    allowed : str
        Description of the allowed values.
    action : {"cell emptied", "row left out", "column left out"}
        What was done.
    """

    broken: pd.Series
    column: str
    rule: str
    allowed: str
    action: Action


def make_rejects(table: str, findings: Iterable[BrokenRule], places: pd.Series) -> pd.DataFrame:
    """Turn findings into rejects.

    Parameters
    ----------
    table : str
        Table of the contract, or the file where rows are not yet assigned to one.
    findings : iterable of BrokenRule
        Broken rules; ``broken`` has the length of ``places``.
    places : Series of int
        Position of each row in its source; 1 is the first data row.

    Returns
    -------
    DataFrame with columns :data:`REJECT_COLUMNS`
        One row per rejected cell, row or column.
    """
    where, whole = places.to_numpy(dtype="int64"), np.array([WHOLE_COLUMN], dtype="int64")
    listed = [
        (finding, whole if finding.action == "column left out" else where[finding.broken.to_numpy(dtype=bool)])
        for finding in findings
    ]
    broken = [(finding, rows) for finding, rows in listed if len(rows)]
    if not broken:
        return empty_rejects()
    told = {name: [str(getattr(finding, name)) for finding, _ in broken] for name in BrokenRule._fields[1:]}
    told |= {"table": [table] * len(broken), "file": [""] * len(broken)}
    number = np.repeat(np.arange(len(broken)), [len(rows) for _, rows in broken])
    columns: dict[str, Any] = {name: pd.array(texts, dtype="str").take(number) for name, texts in told.items()}
    columns["row"] = np.concatenate([rows for _, rows in broken])
    return pd.DataFrame({name: columns[name] for name in REJECT_COLUMNS})


def join_rejects(frames: Iterable[pd.DataFrame | None]) -> pd.DataFrame:
    """Concatenate rejects, with the types of the contract."""
    joined = gather_rejects(frames)
    return empty_rejects() if joined is None else joined


def gather_rejects(frames: Iterable[pd.DataFrame | None]) -> pd.DataFrame | None:
    """Concatenate rejects as :func:`join_rejects`; None where there are none, which is the rule and needs no table."""
    filled = [frame for frame in frames if frame is not None and len(frame)]
    if not filled:
        return None
    if all(_is_complete(frame) for frame in filled):
        return pd.concat(filled, ignore_index=True) if len(filled) > 1 else filled[0].reset_index(drop=True)
    joined = pd.concat([empty_rejects(), *filled], ignore_index=True)[list(REJECT_COLUMNS)].fillna({"file": ""})
    return joined.astype({name: "int64" if name == "row" else "str" for name in REJECT_COLUMNS})


def _is_complete(rejects: pd.DataFrame) -> bool:
    """Whether a table has the columns and types of rejects already."""
    types = ["int64" if name == "row" else "str" for name in REJECT_COLUMNS]
    return list(rejects.columns) == list(REJECT_COLUMNS) and list(map(str, rejects.dtypes)) == types


class Extent(NamedTuple):
    """A file, and the last position of the files read before it."""

    file: str
    before: int


def locate_rows(rejects: pd.DataFrame, extents: Sequence[Extent]) -> pd.DataFrame:
    """Give each reject of a row its file, and the position in it.

    Parameters
    ----------
    rejects : DataFrame with columns :data:`REJECT_COLUMNS`
        Rejects whose positions count on from file to file; those that name a file stay.
    extents : sequence of Extent
        The files in the order of their positions.

    Examples
    --------
    >>> extents = [Extent("a.csv", 0), Extent("b.csv", 40)]
    >>> rejects = join_rejects([pd.DataFrame({name: [""] * 2 for name in REJECT_COLUMNS} | {"row": [40, 41]})])
    >>> locate_rows(rejects, extents)[["file", "row"]].to_numpy().tolist()
    [['a.csv', 40], ['b.csv', 1]]
    """
    if not extents:
        return rejects
    rows = rejects["row"].to_numpy()
    is_open = (rows > WHOLE_COLUMN) & (rejects["file"] == "").to_numpy()
    position = np.searchsorted([extent.before for extent in extents], rows, side="left") - 1
    names = np.array([extent.file for extent in extents], dtype=object)[position]
    before = np.array([extent.before for extent in extents])[position]
    return rejects.assign(
        file=rejects["file"].mask(is_open, pd.Series(names, index=rejects.index, dtype="str")),
        row=np.where(is_open, rows - before, rows),
    )


def order_rejects(rejects: pd.DataFrame, extents: Sequence[Extent]) -> pd.DataFrame:
    """Put rejects in order: whole columns first, then file by file the rows as they stand in it.

    Parameters
    ----------
    rejects : DataFrame with columns :data:`REJECT_COLUMNS`
        Located rejects (:func:`locate_rows`); those of a row stay in their order.
    extents : sequence of Extent
        The files in their order; others follow in the order in which they appear.
    """
    files = list(dict.fromkeys([*(extent.file for extent in extents), *rejects["file"]]))
    at = rejects["file"].map({file: place for place, file in enumerate(files)}).astype("int64")
    is_whole = rejects["row"] == WHOLE_COLUMN
    keys = pd.DataFrame({"file": at.mask(is_whole, -1), "row": rejects["row"]})
    return rejects.loc[keys.sort_values(["file", "row"], kind="stable").index].reset_index(drop=True)


def empty_rejects() -> pd.DataFrame:
    """Make a table of rejects without rows."""
    return pd.DataFrame({name: pd.Series(dtype="int64" if name == "row" else "str") for name in REJECT_COLUMNS})


def read_rejects(path: str | Path) -> pd.DataFrame:
    """Read the list of rejects that ``paincast ingest`` writes beside a cohort.

    Parameters
    ----------
    path : str or Path
        The CSV file.

    Raises
    ------
    DataError
        If it is no such list.
    """
    try:
        return join_rejects([pd.read_csv(path, dtype="str", keep_default_na=False)])
    except (ValueError, KeyError, OSError) as error:
        raise DataError(
            f"{path} is not a list of rejects (columns {', '.join(REJECT_COLUMNS)}); write the cohort again",
            code="PC-COHORT-14",
        ) from error


def any_broken(findings: Iterable[BrokenRule], action: Action, n_rows: int) -> np.ndarray:
    """Flag the rows that a finding with this action concerns."""
    broken = np.zeros(n_rows, dtype=bool)
    for finding in findings:
        if finding.action == action:
            broken |= finding.broken.to_numpy(dtype=bool)
    return broken


class Lost(NamedTuple):
    """What rejects left out; rules in :data:`NOTHING_LOST` are not counted.

    Parameters
    ----------
    columns : bool
        Whether a whole column of the contract was left out.
    rows : int
        Rows left out.
    cells : Counter of str
        Rows with an emptied cell, by column.
    """

    columns: bool
    rows: int
    cells: Counter[str]

    def add(self, other: Lost) -> Lost:
        """Add what was left out of other rows."""
        return Lost(self.columns or other.columns, self.rows + other.rows, self.cells + other.cells)

    def compute_share(self, n_rows: int) -> float:
        """Compute the largest share of rows that lost data, see :func:`compute_reject_share`."""
        largest = max([self.rows, *self.cells.values()])
        if self.columns or (n_rows == 0 and largest):
            return 1.0
        return float(largest / n_rows) if largest else 0.0


def count_lost(rejects: pd.DataFrame) -> Lost:
    """Count what rejects left out; each row and each cell is counted once."""
    counted = rejects[~rejects["rule"].isin(NOTHING_LOST)]
    place = [name for name in ("file", "row") if name in counted]
    emptied = counted.loc[counted["action"] == "cell emptied", ["column", *place]].drop_duplicates()
    return Lost(
        columns=bool((counted["action"] == "column left out").any()),
        rows=len(counted.loc[counted["action"] == "row left out", place].drop_duplicates()),
        cells=Counter({str(column): n for column, n in emptied["column"].value_counts().items()}),
    )


def compute_reject_share(rejects: pd.DataFrame, n_rows: int) -> float:
    """Compute the largest share of rows that lost data.

    Parameters
    ----------
    rejects : DataFrame
        Rejects of one table.
    n_rows : int
        Rows of that table, including those left out.

    Returns
    -------
    float
        The largest of: rows left out as a share of all rows; for each column, rows with an emptied cell as a share of
        all rows; 1 if a whole column of the contract was left out. Rules in :data:`NOTHING_LOST` are not counted.

    Examples
    --------
    >>> lost = {"row": [3, 7], "column": ["bmi", "odi"], "rule": ["range", "range"], "action": ["cell emptied"] * 2}
    >>> compute_reject_share(pd.DataFrame(lost), 50)
    0.02
    """
    return count_lost(rejects).compute_share(n_rows)


def name_nearest(name: str, found: Iterable[str]) -> str:
    """Describe which of the columns in the data have names similar to a given name.

    Other names are not shown: in a file without a header they would be a patient's values.

    Examples
    --------
    >>> name_nearest("pain_nrs", ["pain_nsr", "Jane Doe"])
    "nearest in the data: 'pain_nsr'"
    """
    columns = list(found)
    from difflib import get_close_matches

    similar = get_close_matches(name, columns, n=3, cutoff=0.6)
    if similar:
        return "nearest in the data: " + ", ".join(f"'{column}'" for column in similar)
    return f"none of the {len(columns)} columns in the data has a similar name"
