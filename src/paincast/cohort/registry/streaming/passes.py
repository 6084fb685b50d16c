"""Read a file as often as its decisions need: usually once, again if all rows together tell what the first did not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from paincast.cohort.doubts import leave_out_unit
from paincast.cohort.numerals import NumberStyle
from paincast.cohort.reading.batches import Batch
from paincast.cohort.reading.files import PatientTable, check_table_file, hash_files, open_table
from paincast.cohort.reading.several import list_sources
from paincast.cohort.registry.conversion.files import (
    FileFacts,
    describe_file,
    is_read_besides,
    list_used,
    require_columns,
)
from paincast.cohort.registry.conversion.ledger import Ledger
from paincast.cohort.registry.conversion.tables import EMPTY_VISIT
from paincast.cohort.registry.mapping_types import RegistryMapping
from paincast.cohort.registry.streaming.building import BatchLedger, build_tables, filter_rows, read_ids
from paincast.cohort.registry.streaming.checks import Checked, Checker, check_tables
from paincast.cohort.registry.streaming.decisions import Decisions, Marks, Statistics, find_repeated
from paincast.cohort.registry.streaming.fields import FieldReader
from paincast.cohort.registry.streaming.sinks import Sink
from paincast.cohort.registry.streaming.texts import BoolArray, Coded, Rows, Vocabulary, encode_texts
from paincast.cohort.rejects import WHOLE_COLUMN, join_rejects, locate_rows, make_rejects
from paincast.files.inputs import refuse_changed_file
from paincast.schema import TABLES

BATCH_ROWS = 1 << 15
MOST_PASSES = 10


class UnsettledError(Exception):
    """The decisions on a file were not settled; it is read as a whole table."""


class Streamed(NamedTuple):
    """What is told of a file that was ingested, and the rows that the mapping left out.

    ``n_before`` episodes have pain before the procedure, ``n_paired`` before and after.
    """

    facts: FileFacts
    ledger: Ledger
    n_before: int
    n_paired: int


class _Source(NamedTuple):
    """The file, and how it is read."""

    mapping: RegistryMapping
    path: Path
    batch_rows: int

    @contextmanager
    def open(self) -> Iterator[PatientTable]:
        """Open the file; it must have the columns that the mapping names."""
        mapping = self.mapping
        with open_table(
            self.path,
            used=list_used(mapping)[mapping.file],
            besides=partial(is_read_besides, mapping),
            table=mapping.file,
            dialect=mapping.dialect,
            batch_rows=self.batch_rows,
        ) as opened:
            yield opened._replace(batches=self._check(opened))

    def _check(self, opened: PatientTable) -> Iterator[Batch]:
        for number, batch in enumerate(opened.batches):
            if number == 0:
                require_columns(self.mapping, {self.mapping.file: (batch.rows.column_names, opened.columns)})
            yield batch


class _Converted(NamedTuple):
    """Tables and rejects of some rows, both with the places of the rows."""

    tables: dict[str, Checked]
    places: npt.NDArray[np.int64]
    rejects: pd.DataFrame


def stream(mapping: RegistryMapping, path: Path, sink: Sink, *, batch_rows: int = BATCH_ROWS) -> Streamed:
    """Ingest a file, or several of one kind, batch by batch.

    Parameters
    ----------
    mapping : RegistryMapping
        One for which :func:`paincast.cohort.registry.streaming.plain.is_plain` holds.
    path : Path
        The file, or a folder or pattern of files.
    sink : Sink
        Takes tables and rejects in the order of the rows.
    batch_rows : int
        Maximum number of rows in a batch.

    Raises
    ------
    DataError
        If a file is missing or unreadable, or lacks a column that the mapping names.
    UnsettledError, MixedMarksError
        If the rows have to be seen together.
    """
    files = [source.file for source in list_sources(path)]
    facts = [check_table_file(file) for file in files]
    decisions: Decisions | None = None
    source = _Source(mapping, path, batch_rows)
    for _ in range(MOST_PASSES):
        sink.start()
        found = _read_once(source, decisions, sink)
        decisions = found.decide_anew()
        if decisions == found.decisions and not found.is_in_vain:
            break
    else:
        raise UnsettledError
    digest = hash_files(files)
    for file, before in zip(files, facts, strict=True):
        refuse_changed_file(file, before)
    opened, used = found.opened, list_used(mapping)[mapping.file]
    remarks = tuple(opened.remarks)
    fact = describe_file(opened.columns, used, found.n_rows, digest, opened.dialect, remarks, decisions.style)
    return Streamed(fact, found.list_left_out(), found.n_before, found.n_paired)


@dataclass
class _Pass:
    """One pass over the file: what it rests on, and what it counts.

    A first pass is in vain once it is known that its guess does not hold: the rest is only looked at for what the next
    pass must know.
    """

    mapping: RegistryMapping
    opened: PatientTable
    statistics: Statistics = field(default_factory=Statistics)
    ledger: BatchLedger = field(default_factory=BatchLedger)
    n_rows: int = 0
    n_before: int = 0
    n_paired: int = 0
    decisions: Decisions = field(default_factory=Decisions)
    reader: FieldReader | None = None
    is_in_vain: bool = False

    def settle_style(self) -> NumberStyle:
        """Settle how numbers are written, by the texts seen so far."""
        declared = self.mapping.dialect.decimal
        style = None if declared is None else NumberStyle(declared)
        return self.statistics.settle_style(style, self.opened.dialect.separator)

    def count_texts(self, rows: Rows) -> None:
        """Look at the texts of all columns for how numbers are written."""
        for name, coded in rows.columns.items():
            self.statistics.marks.setdefault(name, Marks()).count(coded.words, coded.n_remembered)

    def decide(self, decisions: Decisions | None) -> FieldReader:
        """Take decisions as given; by default those of the texts seen so far."""
        self.decisions = decisions or Decisions(style=self.settle_style())
        self.reader = FieldReader(self.mapping, self.decisions.style, self.decisions.readings, self.statistics)
        return self.reader

    def check_guess(self) -> None:
        """Check what a first pass guessed: how numbers are written, and that no id repeats."""
        holds = self.settle_style() == self.decisions.style and not find_repeated(self.statistics.hashes)
        self.is_in_vain = self.is_in_vain or not holds

    def decide_anew(self) -> Decisions:
        """Decide by what was counted; of a pass in vain only what does not come from converted values."""
        decided = self.statistics.decide(self.mapping.contract, self.settle_style())
        return replace(decided, readings={}, doubts={}) if self.is_in_vain else decided

    def convert(self, rows: Rows, ledger: BatchLedger, *, has_repeats: bool) -> _Converted:
        """Convert rows that no other row shares an id with; ``has_repeats`` if they may share one among them."""
        reader = self.reader or self.decide(None)
        built = build_tables(self.mapping, reader, rows, ledger, has_repeats=has_repeats)
        checker = Checker(self.mapping.contract, self.decisions, self.statistics, has_repeats)
        tables = check_tables(built, rows.places, checker, ledger)
        self._count_pairs(tables, has_repeats=has_repeats)
        return self.close(tables, rows.places, ledger)

    def close(self, tables: dict[str, Checked], places: npt.NDArray[np.int64], ledger: BatchLedger) -> _Converted:
        """Put the rejects of rows in order; those of whole columns wait for the end."""
        rejects = join_rejects(ledger.rejects)
        is_whole = rejects["row"] == WHOLE_COLUMN
        self.ledger.rejects.append(rejects[is_whole])
        self.ledger.excluded += ledger.excluded
        self.ledger.n_empty += ledger.n_empty
        return _Converted(tables, places, rejects[~is_whole].sort_values("row", kind="stable"))

    def _count_pairs(self, tables: dict[str, Checked], *, has_repeats: bool) -> None:
        """Count the episodes with pain before, and those with pain before and after."""
        episodes, visits = tables["episodes"], tables["visits"]
        if "pain_nrs" not in episodes.table.column_names:
            return
        before = episodes.table["pain_nrs"].is_valid().to_numpy()
        self.n_before += int(before.sum())
        if "pain_nrs" in visits.table.column_names:
            after = visits.table["pain_nrs"].is_valid().to_numpy()
            if has_repeats:
                followed = visits.table["episode_id"].filter(pa.array(after)).to_pandas()
                is_followed = episodes.table["episode_id"].to_pandas().isin(followed).to_numpy()
            else:
                is_followed = np.isin(episodes.owners, visits.owners[after])
            self.n_paired += int((before & is_followed).sum())

    def list_whole_columns(self) -> pd.DataFrame:
        """List the rejects of whole columns."""
        rejects = []
        for table, columns in self.mapping.contract.tables.items():
            for name, column in columns.items():
                doubt = self.decisions.doubts.get((table, name))
                if doubt and doubt.unit:
                    finding = leave_out_unit(pd.Series(dtype=bool), column)
                    rejects.append(make_rejects(table, [finding], pd.Series(dtype="int64")))
        return join_rejects([*self.ledger.rejects, *rejects])

    def list_left_out(self) -> Ledger:
        """List the rows that the mapping excludes."""
        ledger = Ledger()
        for number, condition in enumerate(self.mapping.keep_rows_where):
            ledger.leave_out(self.ledger.excluded[number], condition.column, condition.because)
        ledger.leave_out(self.ledger.n_empty, "", EMPTY_VISIT)
        return ledger


def _read_once(source: _Source, decisions: Decisions | None, sink: Sink) -> _Pass:
    """Read all rows with given decisions, and hand them on."""
    mapping, vocabulary = source.mapping, Vocabulary()
    waiting: _Converted | None = None
    with source.open() as opened:
        found = _Pass(mapping, opened)
        for number, batch in enumerate(opened.batches, 1):
            ledger = BatchLedger([join_rejects([batch.rejects])])
            found.n_rows += len(batch.places) + _count_left_out(batch)
            if not len(batch.places):
                _hand_on(sink, opened, [found.close({}, batch.places, ledger)])
                continue
            rows = vocabulary.encode(batch)
            found.count_texts(rows)
            if found.reader is None:
                found.decide(decisions)
                if found.decisions.repeated:
                    shared = _gather_shared(source, found.decisions)
                    waiting = found.convert(shared, BatchLedger(), has_repeats=True)
            rows = _take_own(found, rows, ledger)
            if decisions is None and number.bit_count() == 1:  # from time to time: it costs more and more
                found.check_guess()
            if found.is_in_vain:
                continue
            now, waiting = _split(waiting, int(batch.places[-1]))
            _hand_on(sink, opened, [found.convert(rows, ledger, has_repeats=False), *now])
        if not found.is_in_vain:
            sink.finish(locate_rows(found.list_whole_columns(), opened.extents))
    return found


def _count_left_out(batch: Batch) -> int:
    rejects = join_rejects([batch.rejects])
    return int(rejects.loc[(rejects["action"] == "row left out") & (rejects["row"] > WHOLE_COLUMN), "row"].nunique())


def _take_own(found: _Pass, rows: Rows, ledger: BatchLedger) -> Rows:
    """Leave out what the mapping excludes, and rows whose id other rows have."""
    reader = found.reader or found.decide(None)
    rows = filter_rows(found.mapping, reader, rows, ledger)
    hashes, has_id = _hash_ids(found.mapping, reader, rows)
    found.statistics.hashes.append(hashes[has_id])
    return rows.select(~(has_id & _are_repeated(hashes, found.decisions)))


def _gather_shared(source: _Source, decisions: Decisions) -> Rows:
    """Gather the rows whose id other rows have, from the whole file."""
    texts: dict[str, list[pa.Array]] = {}
    places: list[npt.NDArray[np.int64]] = []
    vocabulary = Vocabulary()
    reader = FieldReader(source.mapping, decisions.style, decisions.readings, Statistics())
    with source.open() as opened:
        for batch in opened.batches:
            if not len(batch.places):
                continue
            rows = filter_rows(source.mapping, reader, vocabulary.encode(batch), BatchLedger())
            hashes, has_id = _hash_ids(source.mapping, reader, rows)
            rows = rows.select(has_id & _are_repeated(hashes, decisions))
            places.append(rows.places)
            for name, coded in rows.columns.items():
                texts.setdefault(name, []).append(coded.words.take(pa.array(coded.codes)))
    columns = {name: encode_texts(pa.chunked_array(arrays, pa.string())) for name, arrays in texts.items()}
    return Rows({name: Coded(*column, None) for name, column in columns.items()}, np.concatenate(places))


def _hash_ids(mapping: RegistryMapping, reader: FieldReader, rows: Rows) -> tuple[npt.NDArray[np.uint64], BoolArray]:
    """Return the hash of each row's id, and whether it has one."""
    ids = read_ids(mapping, reader, rows)
    words = ids.meaning.built.fillna("").to_numpy(dtype=object)
    return pd.util.hash_array(words, categorize=False)[ids.codes], ids.is_built


def _are_repeated(hashes: npt.NDArray[np.uint64], decisions: Decisions) -> BoolArray:
    repeated = np.array(decisions.repeated, dtype=np.uint64)
    if not len(repeated):
        return np.zeros(len(hashes), dtype=bool)
    found: BoolArray = repeated[np.searchsorted(repeated, hashes).clip(max=len(repeated) - 1)] == hashes
    return found


def _split(waiting: _Converted | None, last: int) -> tuple[list[_Converted], _Converted | None]:
    """Split what waits for its place among the rows up to a place, and the rest."""
    if waiting is None:
        return [], None
    now, later = {}, {}
    for table, checked in waiting.tables.items():
        is_due = waiting.places[checked.owners] <= last
        now[table], later[table] = (
            Checked(checked.table.filter(pa.array(rows)), checked.owners[rows], checked.blocks[rows])
            for rows in (is_due, ~is_due)
        )
    is_due = (waiting.rejects["row"] <= last).to_numpy()
    return (
        [_Converted(now, waiting.places, waiting.rejects[is_due])],
        _Converted(later, waiting.places, waiting.rejects[~is_due]),
    )


def _hand_on(sink: Sink, opened: PatientTable, converted: Sequence[_Converted]) -> None:
    """Write tables and rejects in the order of the source's rows."""
    rejects = join_rejects(part.rejects for part in converted).sort_values("row", kind="stable", ignore_index=True)
    sink.reject(locate_rows(rejects, opened.extents))
    for table in TABLES:
        checked = [(part.tables[table], part.places) for part in converted if table in part.tables]
        for block in range(max((int(part.blocks[-1]) + 1 for part, _ in checked if len(part.blocks)), default=0)):
            taken = [(part.take_block(block), places) for part, places in checked]
            rows = pa.concat_tables([part.table for part, _ in taken])
            if len(taken) > 1:
                at = np.concatenate([places[part.owners] for part, places in taken])
                rows = rows.take(pa.array(np.argsort(at, kind="stable")))
            if rows.num_rows:
                sink.write(table, block, rows)
