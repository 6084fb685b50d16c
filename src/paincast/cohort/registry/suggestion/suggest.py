"""Draft a mapping from a registry's file, and say what each of its columns was understood to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from paincast.cohort.coercion import detect_number_style
from paincast.cohort.identifiers import find_repeating_ids, find_twin_ids
from paincast.cohort.reading.files import TextTable, hash_files, open_table, read_text_table
from paincast.cohort.reading.several import list_sources, split_sheet
from paincast.cohort.registry.dialects import write_dialect
from paincast.cohort.registry.suggestion.assembly import Source, assemble
from paincast.cohort.registry.suggestion.drafting import MappingDraft, quote, write_yaml
from paincast.cohort.registry.suggestion.language.words import read_words
from paincast.cohort.registry.suggestion.names.targets import gather_targets
from paincast.cohort.registry.suggestion.notes import Note, collect_notes, read_notes
from paincast.cohort.registry.suggestion.roles import (
    ask_first_visit,
    ask_recall,
    drop_question_numbers,
    read_numbered_follow_ups,
)
from paincast.cohort.registry.suggestion.values.profiles import profile_columns
from paincast.cohort.rejects import empty_rejects
from paincast.contract import Contract, find_contract
from paincast.errors import DataError

NO_ROWS = "PC-READING-05"
"""Code of the error for a file without rows."""
Dictionary = str | Path | Mapping[str, Note] | None


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """A draft of a mapping.

    Parameters
    ----------
    text : str
        YAML text.
    draft : MappingDraft
        The same as data.
    understood : DataFrame with columns column, becomes, month, unit, certainty, why
        A row for each column of the file.
    """

    text: str
    draft: MappingDraft
    understood: pd.DataFrame


def suggest_mapping(file: str | Path, *, dictionary: Dictionary = None, contract: Contract | None = None) -> str:
    """Draft a mapping of a file, to be edited: the text of :func:`suggest`."""
    return suggest(file, dictionary=dictionary, contract=contract).text


def suggest(file: str | Path, *, dictionary: Dictionary = None, contract: Contract | None = None) -> Suggestion:
    """Draft a mapping of a file, to be edited.

    Columns are recognized by the words of their names and labels in eight languages, and held against their values.
    Codes are listed only if there are few of them, they are short and each occurs in at least three rows. Free text,
    ids and rare values are never shown. Every doubt is marked ``TODO`` with its candidates;
    :func:`paincast.cohort.registry.mapping.load_mapping` refuses the file until it is filled in.

    Parameters
    ----------
    file : str or Path
        A file with a row for each episode, with follow-ups in columns such as ``nrs_3m``; or with a row for each visit.
        The names alone, without any row, are enough for a first draft.
    dictionary : str, Path or mapping of str to Note, optional
        Data dictionary of REDCap, or a table of names and labels.
    contract : Contract, optional
        By default the one beside the file, or the built-in one.

    Returns
    -------
    Suggestion

    Raises
    ------
    DataError
        If the file or the dictionary cannot be read.
    """
    contract = find_contract(file) if contract is None else contract
    table = _read_table(file)
    style = detect_number_style((table.rows[name] for name in table.rows), separator=table.dialect.separator)
    notes = collect_notes(table.labels, dictionary)
    readings = drop_question_numbers({name: read_words(name) for name in map(str, table.rows)}, notes)
    source = Source(
        rows=table.rows,
        readings=ask_recall(ask_first_visit(read_numbered_follow_ups(readings))),
        profiles=profile_columns(table.rows, style.decimal),
        notes=notes,
        targets=gather_targets(contract),
        contract=contract,
        repeating_ids=tuple(
            name for name in find_repeating_ids(table.rows) if "national_id" not in readings[name].items
        ),
        twin_ids=tuple(find_twin_ids(table.rejects)),
    )
    read = ("read:", f"  file: {quote(split_sheet(file)[0].name)}", *write_dialect(table))
    draft, understood = assemble(source, title=Path(file).stem, read=read, faults=_write_rejects(table.rejects))
    return Suggestion(text=write_yaml(draft), draft=draft, understood=understood)


def recognize_fields(dictionary: str | Path) -> dict[str, str]:
    """Recognize the fields of a data dictionary that columns of the contract can hold, without any values.

    Returns
    -------
    dict of str to str
        Column of the contract, or the first candidate, by field.

    Raises
    ------
    DataError
        If the dictionary cannot be read.
    """
    notes = read_notes(dictionary)
    rows = pd.DataFrame({name: pd.Series(dtype="str") for name in notes})
    source = Source(
        rows=rows,
        readings=drop_question_numbers({name: read_words(name) for name in notes}, notes),
        profiles=profile_columns(rows, None),
        notes=notes,
        targets=gather_targets(),
    )
    _, understood = assemble(source, title="", read=(), faults=())
    recognized = understood[understood["becomes"] != ""]
    return dict(zip(recognized["column"], recognized["becomes"], strict=True))


def _read_table(file: str | Path) -> TextTable:
    """Read a file; of one that holds a header alone, its names."""
    try:
        return read_text_table(file)
    except DataError as error:
        if error.code != NO_ROWS:
            raise
    with open_table(file) as opened:
        rows = pd.DataFrame([[""] * len(opened.columns)], columns=opened.columns)
        rows = rows.astype("str")
        return TextTable(
            rows=rows,
            columns=opened.columns,
            rejects=empty_rejects(),
            n_rows=0,
            sha256=hash_files([source.file for source in list_sources(file)]),
            dialect=opened.dialect,
            labels=opened.labels,
            remarks=tuple(opened.remarks),
            extents=tuple(opened.extents),
        )


def _write_rejects(rejects: pd.DataFrame) -> list[str]:
    """List the rows and columns that could not be read, by rule and position."""
    kinds = rejects.groupby(["rule", "column"], sort=False)["row"].agg(["size", "first"]).reset_index()
    if kinds.empty:
        return []
    lines = [
        f"#   {kind['rule']}: {kind['size']} x" + (f" '{kind['column']}'" if kind["column"] else "")
        + (f", first at row {kind['first']}" if kind["first"] else "")
        for kind in kinds.to_dict("records")
    ]  # fmt: skip
    return ["", "# Rows that could not be read (1 is the first row below the header):", *lines]
