"""Find and read the files that a mapping names."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import pandas as pd

from paincast.cohort.coercion import detect_number_style
from paincast.cohort.identifiers import may_number_patients, names_patients
from paincast.cohort.long import omop
from paincast.cohort.long.fhir import tables as fhir
from paincast.cohort.long.fhir.reading import read_fhir
from paincast.cohort.long.reading import read_long_rows
from paincast.cohort.long.types import LongTable, join_long_rows
from paincast.cohort.numerals import NumberStyle
from paincast.cohort.reading.batches import Batch
from paincast.cohort.reading.files import TextTable, hash_files, open_table, read_text_table, to_texts
from paincast.cohort.reading.several import is_pattern, list_sources, split_sheet
from paincast.cohort.reading.types import ColumnNotes, Dialect
from paincast.cohort.registry.conversion.ledger import Ledger
from paincast.cohort.registry.conversion.redcap import select_columns
from paincast.cohort.registry.dialects import list_choices
from paincast.cohort.registry.mapping_long import list_names
from paincast.cohort.registry.mapping_readers import list_columns_used, list_readers
from paincast.cohort.registry.mapping_types import Field, RegistryMapping
from paincast.cohort.rejects import WHOLE_COLUMN, Extent, empty_rejects, join_rejects, locate_rows, name_nearest
from paincast.errors import DataError
from paincast.files.inputs import refuse_changed_file, require_regular_file

LONG_BATCH_ROWS = 50_000


class FileFacts(NamedTuple):
    """What is told of a file: its rows, its hash, the columns that are not used, and how it was read."""

    n_rows: int
    sha256: str
    columns_not_used: tuple[str, ...]
    read_as: Mapping[str, str] = MappingProxyType({})
    remarks: tuple[str, ...] = ()


class Sources(NamedTuple):
    """What was read of a registry.

    Parameters
    ----------
    sheets : dict of DataFrame of str
        Per table: the columns used, empty where there is no value, indexed by position.
    facts : dict of FileFacts
        Per file.
    long_rows : DataFrame
        Rows of the long tables, of :class:`paincast.cohort.long.types.LongRows`.
    style : NumberStyle
        How the numbers are written: as declared, else as they show.
    main_rejects : DataFrame
        Rejects of the main table, for what its header told.
    labels : dict of dict of ColumnNotes
        Per table and column: labels of columns and of codes.
    extents : tuple of Extent
        Where the positions of each file begin.
    before : dict of int
        Per table: the last position before its own.
    """

    sheets: Mapping[str, pd.DataFrame]
    facts: Mapping[str, FileFacts]
    long_rows: pd.DataFrame
    style: NumberStyle
    main_rejects: pd.DataFrame
    labels: Mapping[str, Mapping[str, ColumnNotes]] = MappingProxyType({})
    extents: tuple[Extent, ...] = ()
    before: Mapping[str, int] = MappingProxyType({})


def read_sources(mapping: RegistryMapping, files: Sequence[str | Path], ledger: Ledger) -> Sources:
    """Read the files of a mapping.

    Raises
    ------
    DataError
        If a file is missing or unreadable, or lacks a column that the mapping names.
    """
    if mapping.model == "fhir":
        return _read_fhir(mapping, [Path(file) for file in files], ledger)
    paths = match_files(mapping, [Path(file) for file in files])
    long_files = {table.file for table in mapping.long}
    used = list_used(mapping)
    read = {
        name: _read_sheet(mapping, path, name, used[name])
        for name, path in paths.items()
        if name not in long_files or used[name]
    }
    require_columns(mapping, {name: ([*map(str, sheet.rows)], sheet.columns) for name, sheet in read.items()})
    read, extents = _number_on(mapping, read)
    ledger.rejects += [sheet.rejects for sheet in read.values()]
    parts, facts = [], {}
    for table in mapping.long:
        if table.file in paths:
            rows, fact = _read_long(mapping, table, paths[table.file], ledger)
            parts.append(rows)
            facts[table.file] = fact
    long_rows, main = join_long_rows(parts), read[mapping.file]
    sheets = {name: sheet.rows for name, sheet in read.items()}
    style = _find_style(mapping, sheets, long_rows, main.dialect.separator)
    return Sources(
        sheets=sheets,
        facts={**{name: _describe(sheet, used[name], style) for name, sheet in read.items()}, **facts},
        long_rows=long_rows,
        style=style,
        main_rejects=main.rejects,
        labels={name: sheet.labels for name, sheet in read.items()},
        extents=extents,
        before={name: int(sheet.extents[0].before) for name, sheet in read.items()},
    )


def _number_on(
    mapping: RegistryMapping, read: Mapping[str, TextTable]
) -> tuple[dict[str, TextTable], tuple[Extent, ...]]:
    """Let the positions of rows count on from file to file, from the main file on."""
    numbered: dict[str, TextTable] = {}
    before = 0
    for name in sorted(read, key=lambda name: name != mapping.file):
        sheet = read[name]
        at = sheet.rejects["row"]
        numbered[name] = replace(
            sheet,
            rows=sheet.rows.set_axis(sheet.rows.index + before, axis="index"),
            rejects=sheet.rejects.assign(row=at.where(at == WHOLE_COLUMN, at + before)),
            extents=tuple(extent._replace(before=extent.before + before) for extent in sheet.extents),
        )
        before = max([before, *numbered[name].rows.index[-1:], *numbered[name].rejects["row"]])
    return {name: numbered[name] for name in read}, tuple(
        extent for sheet in numbered.values() for extent in sheet.extents
    )


def _read_fhir(mapping: RegistryMapping, files: Sequence[Path], ledger: Ledger) -> Sources:
    used = list_used(mapping)
    columns = {table: used.get(table, set()) for table in (fhir.PROCEDURES, fhir.PATIENTS)}
    read = read_fhir(files, columns, list_names(mapping))
    ledger.rejects.append(read.rejects)
    for kind, n in sorted(read.others.items()):
        ledger.leave_out(n, "", f"resources of {f'type {kind}' if kind else 'other types'} are not read")
    ledger.leave_out(read.n_other_names, "", "the mapping names no value of the resource")
    ledger.leave_out(read.n_without_value, "", "no value was recorded in the resource")
    digest = hashlib.sha256("".join(sha256 for _, sha256 in read.files.values()).encode()).hexdigest()
    facts = {name: FileFacts(n, sha256, ()) for name, (n, sha256) in read.files.items()}
    facts |= {name: FileFacts(len(sheet), digest, ()) for name, sheet in read.sheets.items()}
    return Sources(read.sheets, facts, read.long_rows, NumberStyle("point"), empty_rejects())


def _find_style(
    mapping: RegistryMapping, sheets: Mapping[str, pd.DataFrame], long_rows: pd.DataFrame, separator: str | None
) -> NumberStyle:
    if mapping.dialect.decimal is not None:
        return NumberStyle(mapping.dialect.decimal)
    texts = [sheet[name] for sheet in sheets.values() for name in sheet]
    return detect_number_style([*texts, long_rows["value"]], separator=separator)


def match_files(mapping: RegistryMapping, given: Sequence[Path]) -> dict[str, Path]:
    """Match the files given to the files of the mapping: by name, otherwise in the mapping's order."""
    if mapping.model == "omop":
        return _match_tables(mapping, given)
    books: dict[str, list[str]] = {}
    for name in mapping.files:
        books.setdefault(str(split_sheet(name)[0]), []).append(name)
    paths = _join_listed(books, given)
    if len(paths) != len(books):
        raise DataError(
            f"the mapping '{mapping.name}' reads {len(books)} file(s), {', '.join(books)}; {len(given)} given",
            code="PC-REGISTRY-01",
        )
    matched = {path.name: path for path in paths if path.name in books}
    others = iter([path for path in paths if path.name not in matched])
    found = {book: matched[book] if book in matched else next(others) for book in books}
    return {name: _add_sheet(found[book], split_sheet(name)[1]) for book, names in books.items() for name in names}


def _join_listed(books: Iterable[str], given: Sequence[Path]) -> list[Path]:
    """Replace the files of a pattern, where a shell has listed them all, by the pattern in their folder."""
    paths = list(given)
    for pattern in filter(is_pattern, books):
        for folder in {path.parent for path in paths}:
            listed = set(folder.glob(Path(pattern).name))
            if len(listed) > 1 and listed <= set(paths):
                paths = [*[path for path in paths if path not in listed], folder / Path(pattern).name]
    return paths


def _add_sheet(path: Path, sheet: str | None) -> Path:
    return path if sheet is None else path.with_name(f"{split_sheet(path.name)[0]}!{sheet}")


def _match_tables(mapping: RegistryMapping, given: Sequence[Path]) -> dict[str, Path]:
    found, used = omop.find_tables(given), list_used(mapping)
    optional = {table.file for table in mapping.long if table.is_optional and not used[table.file]}
    missing = [name for name in mapping.files if name not in optional and name not in found]
    if optional and not {table.file for table in mapping.long} & set(found):
        missing.append(" or ".join(sorted(optional)))
    if missing:
        raise DataError(
            f"the mapping '{mapping.name}' reads tables of OMOP that were not given: {', '.join(missing)}; give the "
            "folder with their files, named as the tables",
            code="PC-REGISTRY-19",
        )
    return {name: found[name] for name in mapping.files if name in found}


def list_used(mapping: RegistryMapping) -> dict[str, set[str]]:
    """List by file the columns that the mapping reads."""
    used: dict[str, set[str]] = {name: set() for name in mapping.files}
    for file, column in list_columns_used(mapping):
        used[file].add(column)
    return used


def _read_sheet(mapping: RegistryMapping, path: Path, name: str, used: set[str]) -> TextTable:
    return read_text_table(
        path,
        used=used,
        besides=partial(is_read_besides, mapping),
        any_case=mapping.model is not None,
        table=name,
        dialect=mapping.dialect,
    )


def is_read_besides(mapping: RegistryMapping, name: str) -> bool:
    """Check whether a column is read that the mapping does not name."""
    boxes = [box for _, reader in list_readers(mapping) if isinstance(reader, Field) for box in reader.checked]
    return names_patients(name) or may_number_patients(name) or select_columns(mapping.redcap, boxes, name)


def _describe(sheet: TextTable, used: set[str], style: NumberStyle) -> FileFacts:
    return describe_file(sheet.columns, used, sheet.n_rows, sheet.sha256, sheet.dialect, sheet.remarks, style)


def describe_file(
    columns: Sequence[str],
    used: Collection[str],
    n_rows: int,
    sha256: str,
    dialect: Dialect,
    remarks: tuple[str, ...],
    style: NumberStyle,
) -> FileFacts:
    """Describe a file that was read."""
    unused = tuple(column for column in columns if column not in used)
    return FileFacts(n_rows, sha256, unused, list_choices(dialect._replace(decimal=style.decimal)), remarks)


def require_columns(mapping: RegistryMapping, read: Mapping[str, tuple[Collection[str], Sequence[str]]]) -> None:
    """Refuse files that lack a column that the mapping names.

    Parameters
    ----------
    mapping : RegistryMapping
        Names columns.
    read : mapping of str to tuple
        By file, the columns that were read and those that it has.

    Raises
    ------
    DataError
        If a column is missing.
    """
    missing: dict[str, str] = {}
    for file, column in list_columns_used(mapping):
        rows, columns = read[file]
        if column not in rows:
            missing[f"'{column}' in {file}"] = name_nearest(column, columns)
    _refuse_missing(mapping, missing)


def _refuse_missing(mapping: RegistryMapping, missing: Mapping[str, str]) -> None:
    if missing:
        hints = "; ".join(f"{location} ({hint})" for location, hint in missing.items())
        raise DataError(
            f"columns that the mapping '{mapping.name}' names are missing: {hints}; correct the mapping",
            code="PC-REGISTRY-02",
        )


def _read_long(
    mapping: RegistryMapping, table: LongTable, path: Path, ledger: Ledger
) -> tuple[pd.DataFrame, FileFacts]:
    """Read the rows of a long table that the mapping names, batch by batch."""
    files = [source.file for source in list_sources(path)]
    facts = [require_regular_file(file) for file in files]
    used = set(table.columns)
    rejects: list[pd.DataFrame | None] = []
    with open_table(
        path,
        used=used,
        any_case=mapping.model is not None,
        table=table.file,
        dialect=mapping.dialect,
        batch_rows=LONG_BATCH_ROWS,
    ) as opened:
        missing = [column for column in table.columns if column not in opened.columns]
        _refuse_missing(
            mapping, {f"'{column}' in {table.file}": name_nearest(column, opened.columns) for column in missing}
        )
        read = read_long_rows(_texts_of(opened.batches, rejects), table, list_names(mapping))
    digest = hash_files(files)
    for file, before in zip(files, facts, strict=True):
        refuse_changed_file(file, before)
    ledger.rejects.append(locate_rows(join_rejects([*rejects, read.rejects]), opened.extents))
    ledger.leave_out(read.n_other_names, table.name, f"the mapping does not name it in {table.file}")
    ledger.leave_out(read.n_without_value, table.value[0], f"no value was recorded in {table.file}")
    unused = tuple(column for column in opened.columns if column not in used)
    return read.rows, FileFacts(read.n_rows, digest, unused, list_choices(opened.dialect), tuple(opened.remarks))


def _texts_of(batches: Iterator[Batch], rejects: list[pd.DataFrame | None]) -> Iterator[pd.DataFrame]:
    for batch in batches:
        rejects.append(batch.rejects)
        yield to_texts(batch)
