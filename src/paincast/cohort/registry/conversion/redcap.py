"""Rows of a REDCap export: events, repeating instruments and instances of a record, and boxes of checkbox fields."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from paincast.cohort.coercion import to_code, to_codes
from paincast.cohort.registry.mapping_types import SAME, RecordRows, Redcap
from paincast.cohort.rejects import BrokenRule
from paincast.errors import DataError

REDCAP_COLUMNS = {
    "event": ("redcap_event_name", "Event Name"),
    "instrument": ("redcap_repeat_instrument", "Repeat Instrument"),
    "instance": ("redcap_repeat_instance", "Repeat Instance"),
}
"""Columns that tell the rows of a record apart, in raw exports and in exports of labels."""

_TICKS = {"1": True, "0": False, "Checked": True, "Unchecked": False}
_BOX = re.compile(r"(.+?)___.+|(.+) \(choice=.*\)")


@dataclass(frozen=True, kw_only=True)
class Records:
    """The rows of a REDCap export, by what tells the rows of a record apart.

    Parameters
    ----------
    record, event, instrument, instance : Series of str
        Of each row of the export, empty where there is none.
    """

    record: pd.Series
    event: pd.Series
    instrument: pd.Series
    instance: pd.Series

    def match(self, which: RecordRows) -> pd.Series:
        """Flag the rows that are meant; an instance ``same`` matches every row."""
        matches = self.instrument == which.instrument.casefold()
        if which.events:
            matches &= self.event.isin([event.casefold() for event in which.events])
        if which.instance not in (None, SAME):
            matches &= self.instance == which.instance
        return matches

    def look_up(self, values: pd.Series, which: RecordRows, index: pd.Index) -> tuple[pd.Series, pd.Series]:
        """Look up the value that the rows meant hold for the records of other rows.

        Parameters
        ----------
        values : Series
            Of every row of the export; missing where there is no value.
        which : RecordRows
            The rows that hold the value.
        index : Index
            Rows to look up for.

        Returns
        -------
        found : Series
            The value of the record of each row.
        several : Series of bool
            Where the record holds several values that differ; then none is found.
        """
        keys = self.record + "|" + self.instance if which.instance == SAME else self.record
        given = values[self.match(which) & values.notna()]
        by_key = given.groupby(keys.loc[given.index])
        wanted = keys.loc[index]
        several = wanted.map(by_key.nunique() > 1).eq(True)
        return wanted.map(by_key.first()).astype(values.dtype).mask(several), several


def select_columns(redcap: Redcap | None, checked: Iterable[str], name: str) -> bool:
    """Check whether a REDCap export is read with this column besides those that the mapping names."""
    stems = {find_stem(box) for box in checked} - {None}
    names = [name for names in REDCAP_COLUMNS.values() for name in names]
    return (redcap is not None and name in names) or find_stem(name) in stems


def find_stem(box: str) -> str | None:
    """Find the checkbox field that a column is a box of; None for any other column.

    Examples
    --------
    >>> find_stem("comorb___1"), find_stem("Comorbidity (choice=Asthma)"), find_stem("age")
    ('comorb', 'Comorbidity', None)
    """
    match = _BOX.fullmatch(box)
    return (match[1] or match[2]) if match else None


def read_records(sheet: pd.DataFrame, redcap: Redcap, used: Sequence[RecordRows], file: str) -> Records:
    """Read what tells the rows of a record apart.

    Raises
    ------
    DataError
        If the mapping names events, instruments or instances, and the file has no such column.
    """
    needed = {
        "event": any(which.events for which in used),
        "instrument": any(which.instrument for which in used),
        "instance": any(which.instance for which in used),
    }
    columns = {"record": to_codes(sheet[redcap.record])}
    for key, names in REDCAP_COLUMNS.items():
        found = [name for name in names if name in sheet]
        if needed[key] and not found:
            raise DataError(
                f"the mapping names an {key}, but {file} has no column '{names[0]}' (or '{names[1]}'); export it "
                "again with all events and repeating instruments, or correct the mapping",
                code="PC-REGISTRY-18",
            )
        columns[key] = (
            to_codes(sheet[found[0]]).str.casefold() if found else pd.Series("", index=sheet.index, dtype="str")
        )
    return Records(**columns)


def find_unread_rows(records: Records, used: Sequence[RecordRows], ignored: Sequence[RecordRows]) -> BrokenRule:
    """Find rows of events and instruments that the mapping neither reads nor ignores."""
    known = pd.Series(False, index=records.record.index)
    for which in (*used, *ignored):
        known |= records.match(which._replace(instance=None))
    events = sorted({event for which in (*used, *ignored) for event in which.events})
    instruments = sorted({which.instrument for which in (*used, *ignored) if which.instrument})
    allowed = "an event or instrument that the mapping reads or ignores: " + ", ".join([*events, *instruments])
    column = REDCAP_COLUMNS["event" if records.event.any() else "instrument"][0]
    return BrokenRule(broken=~known, column=column, rule="category", allowed=allowed, action="row left out")


def combine_boxes(
    boxes: Mapping[str, pd.Series], checked: Sequence[str], none_box: str | None, nothing_checked: str | None
) -> tuple[pd.Series, dict[str, tuple[pd.Series, str]]]:
    """Combine the boxes of a checkbox field into true, false or missing.

    Parameters
    ----------
    boxes : mapping of str to Series of str
        Every box of the field, missing where it was not asked.
    checked : sequence of str
        Boxes any of which means true.
    none_box : str, optional
        The box for none of these.
    nothing_checked : {"false", "missing"}, optional
        What a field means in which no box is ticked.

    Returns
    -------
    values : Series of str
        ``true``, ``false`` or missing.
    broken : dict of str to (Series of bool, str)
        Rows that break a rule, and what is allowed.

    Examples
    --------
    >>> ticked = {"c___1": pd.Series(["1", "0", "0"]), "c___9": pd.Series(["0", "1", "0"])}
    >>> combine_boxes(ticked, ["c___1"], "c___9", None)[0].tolist()
    ['true', 'false', nan]
    """
    ticks = pd.DataFrame({name: text.map(to_code, na_action="ignore").map(_TICKS) for name, text in boxes.items()})
    given = pd.DataFrame({name: text.notna() for name, text in boxes.items()})
    unknown = (given & ticks.isna()).any(axis="columns")
    is_ticked = ticks.eq(True)
    any_of = is_ticked[list(checked)].any(axis="columns")
    some = is_ticked.any(axis="columns")
    values = pd.Series("false", index=ticks.index, dtype="str").where(some)
    if nothing_checked == "false":
        values = values.mask(~some & given.any(axis="columns"), "false")
    values = values.mask(any_of, "true")
    contradicts = pd.Series(False, index=ticks.index)
    if none_box is not None:
        contradicts = is_ticked[none_box] & is_ticked.drop(columns=none_box).any(axis="columns")
    broken = {
        "category": (unknown, "1 or 0, Checked or Unchecked"),
        "contradiction": (contradicts, "either the box for none of these, or others"),
    }
    return values.mask(unknown | contradicts), broken
