"""Build the raw tables of a set of rows, as :mod:`paincast.cohort.registry.conversion.tables` does of whole files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from paincast.cohort.coercion import to_numbers
from paincast.cohort.registry.conversion.tables import complete_dates, find_second_procedures
from paincast.cohort.registry.mapping_types import CHANGE, Block, Field, RegistryMapping
from paincast.cohort.registry.streaming.fields import Context, FieldReader, Part, stack_parts
from paincast.cohort.registry.streaming.texts import BoolArray, Codes, Rows
from paincast.cohort.rejects import BrokenRule, any_broken, make_rejects


@dataclass
class BatchLedger:
    """What is left out of some rows: rejects, and by the number of a condition the rows that it excludes.

    ``n_empty`` visits have no value.
    """

    rejects: list[pd.DataFrame] = field(default_factory=list)
    excluded: Counter[int] = field(default_factory=Counter)
    n_empty: int = 0

    def reject(self, table: str, findings: Sequence[BrokenRule], places: np.ndarray) -> None:
        """Add the rows that break a rule."""
        if findings:
            self.rejects.append(make_rejects(table, findings, pd.Series(places)))


class Built(NamedTuple):
    """A table: its columns, and for each of its rows the number of the source's row and of the block."""

    parts: Mapping[str, Part]
    owners: Codes
    blocks: Codes


class _Known(NamedTuple):
    numbers: pd.DataFrame | None
    days: pd.Series | None


def filter_rows(mapping: RegistryMapping, reader: FieldReader, rows: Rows, ledger: BatchLedger) -> Rows:
    """Leave out the rows that the mapping excludes."""
    for number, condition in enumerate(mapping.keep_rows_where):
        meant, unlisted = reader.match(condition, rows)
        ledger.reject(mapping.file, [unlisted], rows.places)
        ledger.excluded[number] += int((~meant & ~unlisted.broken.to_numpy(dtype=bool)).sum())
        rows = rows.select(meant)
    return rows


def read_ids(mapping: RegistryMapping, reader: FieldReader, rows: Rows) -> Part:
    """Read the ids of the episodes."""
    return reader.read(("episodes", 0, "episode_id"), mapping.episodes["episode_id"], Context(rows))


def build_tables(
    mapping: RegistryMapping, reader: FieldReader, rows: Rows, ledger: BatchLedger, *, has_repeats: bool
) -> dict[str, Built]:
    """Build the raw tables of rows that no other row of the file shares an id with."""
    index = pd.Index(rows.places)
    ids = read_ids(mapping, reader, rows)
    dates = None
    if mapping.procedure_date is not None:
        dates, findings = reader.read_days(mapping.procedure_date, rows)
        ledger.reject("episodes", findings, rows.places)
        dates = complete_dates(dates, ids.build(index)) if has_repeats else dates
    parts = {
        name: ids if name == "episode_id" else reader.read(("episodes", 0, name), reads, Context(rows, dates))
        for name, reads in mapping.episodes.items()
    }
    kept, _ = _reject(parts, "episodes", rows, ledger)
    parts = {name: part.select(kept) for name, part in parts.items()}
    owners = np.flatnonzero(kept)
    if has_repeats and dates is not None:
        second = find_second_procedures(parts["episode_id"].build(index[owners]), dates.iloc[owners])
        ledger.reject("episodes", [second], rows.places[owners])
        is_first = ~second.broken.to_numpy(dtype=bool)
        parts, owners = {name: part.select(is_first) for name, part in parts.items()}, owners[is_first]
    known = _index_by_episode(mapping, parts, index[owners], dates)
    tables = {"episodes": Built(parts, owners, np.zeros(len(owners), dtype=np.int64))}
    for table, blocks in (("visits", mapping.visits), ("events", mapping.events)):
        built = [
            _build_block(table, number, block, _Linked(mapping, reader, rows, ids, known), ledger)
            for number, block in enumerate(blocks)
        ]
        tables[table] = _stack(mapping, table, built)
    return tables


class _Linked(NamedTuple):
    mapping: RegistryMapping
    reader: FieldReader
    rows: Rows
    ids: Part
    known: _Known


def _reject(parts: Mapping[str, Part], table: str, rows: Rows, ledger: BatchLedger) -> tuple[BoolArray, BoolArray]:
    """Report the cells that the mapping cannot read; flag the rows that stay, and those with an emptied cell."""
    findings = [finding for part in parts.values() for finding in part.find(part.meaning.findings)]
    ledger.reject(table, findings, rows.places)
    n = len(rows.places)
    return ~any_broken(findings, "row left out", n), any_broken(findings, "cell emptied", n)


def _index_by_episode(
    mapping: RegistryMapping, parts: Mapping[str, Part], index: pd.Index, dates: pd.Series | None
) -> _Known:
    """Index by episode what blocks need: days of procedures, and numbers from which changes are counted."""
    fields = [reads for block in (*mapping.visits, *mapping.events) for reads in block.fields.values()]
    names = [name for name in mapping.episodes if mapping.contract.episodes[name].type == "number"]
    changed = {reads.target.name for reads in fields if reads.reads == CHANGE}
    if not changed and not any(map(_needs_days, fields)):
        return _Known(None, None)
    ids = parts["episode_id"].build(index)
    before = pd.DataFrame(
        {name: to_numbers(parts[name].build(index))[0] for name in names if name in changed}, index=index
    )
    days = None if dates is None else dates.loc[index].groupby(ids, sort=False).first()
    return _Known(before.groupby(ids, sort=False).first(), days)


def _needs_days(reads: Field) -> bool:
    return reads.column is not None and reads.reads not in ("value", CHANGE)


def _build_block(table: str, number: int, block: Block, linked: _Linked, ledger: BatchLedger) -> Built:
    rows, ids = linked.rows, linked.ids
    owners = np.arange(len(rows.places), dtype=np.int64)
    if block.when:
        meant, unlisted = linked.reader.match(block.when, rows)
        ledger.reject(table, [unlisted], rows.places)
        rows, ids, owners = rows.select(meant), ids.select(meant), owners[meant]
    context = _make_context(rows, ids, linked.known)
    parts = {"episode_id": ids}
    parts |= {name: linked.reader.read((table, number, name), reads, context) for name, reads in block.fields.items()}
    kept, is_faulty = _reject(parts, table, rows, ledger)
    if table == "visits":
        is_empty = np.ones(len(owners), dtype=bool)
        for name, part in parts.items():
            if name not in ("episode_id", "month"):
                is_empty &= ~part.is_built
        ledger.n_empty += int((kept & is_empty & ~is_faulty).sum())
        kept &= ~is_empty
    n = int(kept.sum())
    return Built(
        {name: part.select(kept) for name, part in parts.items()}, owners[kept], np.full(n, number, dtype=np.int64)
    )


def _make_context(rows: Rows, ids: Part, known: _Known) -> Context:
    if known.numbers is None:
        return Context(rows)
    index = pd.Index(rows.places)
    names = ids.build(index)
    days = None if known.days is None else known.days.reindex(names).set_axis(index)
    return Context(rows, days, known.numbers.reindex(names).set_axis(index))


def _stack(mapping: RegistryMapping, table: str, built: Sequence[Built]) -> Built:
    if not built:
        nothing = np.zeros(0, dtype=np.int64)
        return Built({}, nothing, nothing)
    columns = mapping.contract.tables[table]
    sizes = [len(part.owners) for part in built]
    names = [name for name in columns if any(name in part.parts for part in built)]
    return Built(
        {name: stack_parts([part.parts.get(name) for part in built], sizes, columns[name]) for name in names},
        np.concatenate([part.owners for part in built]),
        np.concatenate([part.blocks for part in built]),
    )
