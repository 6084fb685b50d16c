"""A table of what each column of a file was understood to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from paincast.cohort.registry.suggestion.choosing import Choice, Slot
from paincast.cohort.registry.suggestion.drafting import FieldDraft, MappingDraft
from paincast.files.strict_yaml import UNFINISHED

COLUMNS = ("column", "becomes", "month", "unit", "certainty", "why")
MOST_OF_ONE_USE = 5
"""More columns of one use are shown in one row."""
MOST_NAMES = 40
"""More names that are not read for one reason are not all shown."""


def make_understood(
    names: Sequence[str], draft: MappingDraft, choices: Mapping[Slot, Choice], why_not: Mapping[str, str]
) -> pd.DataFrame:
    """Make the table.

    Returns
    -------
    DataFrame with columns column, becomes, month, unit, certainty, why
        A row for each column of the file and each use of it, in the order of the file; ``becomes`` is empty where it
        is not read.
    """
    evidence = {
        candidate.match.source: (candidate.certainty, candidate.match.why)
        for choice in choices.values()
        for candidate in choice.candidates
    }
    uses: dict[str, list[dict[str, str]]] = {name: [] for name in names}
    for entry, month in _list_entries(draft):
        for name in _columns_of(entry, choices, month):
            certainty, why = evidence.get(name, ("likely", "name"))
            is_open = entry.is_open
            uses[name].append(
                {
                    "column": name,
                    "becomes": entry.name,
                    "month": month,
                    "unit": str(entry.settings.get("unit", "")),
                    "certainty": "TODO" if is_open else certainty,
                    "why": entry.comment.removeprefix("guess; ").removeprefix("guess") or why,
                }
            )
    rows = [row for name in names for row in uses[name] or [_unread(name, why_not.get(name, ""))]]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _unread(name: str, why: str) -> dict[str, str]:
    return dict.fromkeys(COLUMNS, "") | {"column": name, "why": why}


def _list_entries(draft: MappingDraft) -> list[tuple[FieldDraft, str]]:
    entries = [(entry, "") for entry in (draft.procedure_date, draft.baseline_rows) if entry]
    entries += [(entry, "before") for entry in draft.episodes]
    for block in draft.visits:
        month = str(block.month.settings.get("always", "each visit"))
        entries += [(block.month, ""), *[(entry, month) for entry in block.fields]]
    return entries


def _columns_of(entry: FieldDraft, choices: Mapping[Slot, Choice], month: str) -> list[str]:
    column = entry.settings.get("column") or entry.settings.get("checked")
    columns = entry.settings.get("columns") or entry.settings.get("count_true")
    if isinstance(columns, list):
        return [str(name) for name in columns if name != UNFINISHED]
    if column == UNFINISHED:
        is_before = month == "before"
        return [
            candidate.match.source
            for slot, choice in choices.items()
            if slot[1] == entry.name and (slot[0] == "episodes") == is_before and choice.is_open
            for candidate in choice.candidates
        ]
    beside = [str(entry.settings["unit_column"])] if "unit_column" in entry.settings else []
    return [str(column), *beside] if column is not None else []


def format_understood(understood: pd.DataFrame) -> str:
    """Write the table for a terminal: what is read first, then what is not."""
    read = _shorten(understood[understood["becomes"] != ""])
    widths = {name: max([len(name), *read[name].astype("str").str.len()]) for name in COLUMNS[:-1]}
    lines = [" ".join(name.ljust(widths[name]) for name in COLUMNS[:-1]) + " why"]
    for row in read.to_dict("records"):
        lines.append(" ".join(str(row[name]).ljust(widths[name]) for name in COLUMNS[:-1]) + f" {row['why']}")
    unread = understood[understood["becomes"] == ""]
    reasons = unread.groupby(unread["why"].replace("", "no column of the contract has such a name"), sort=False)[
        "column"
    ]
    lines += [f"not read, {why}: {', '.join(_shorten_names(list(names)))}" for why, names in reasons]
    return "\n".join(line.rstrip() for line in lines)


def _shorten(read: pd.DataFrame) -> pd.DataFrame:
    """Show many columns of one use, such as the regions of a body map, in one row."""
    size = read.groupby(["becomes", "month"])["column"].transform("size")
    many = read[size > MOST_OF_ONE_USE]
    if many.empty:
        return read
    groups = many.groupby(["becomes", "month"], sort=False)
    names = groups["column"].transform(lambda column: f"{column.iloc[0]} ... {column.iloc[-1]} ({len(column)} columns)")
    return read.assign(column=names.reindex(read.index).fillna(read["column"])).drop_duplicates(["column", "becomes"])


def _shorten_names(names: list[str]) -> list[str]:
    if len(names) <= MOST_NAMES:
        return names
    return [*names[: MOST_NAMES - 1], f"... ({len(names)} columns)"]
