"""Read the fields of a mapping for a batch: by the distinct texts of a column where these decide, else row by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from paincast.cohort.coercion import count_marks, to_text
from paincast.cohort.doubts import Tally, count_values
from paincast.cohort.numerals import NumberReading, NumberStyle, settle_reading
from paincast.cohort.registry.conversion.fields import apply_field, read_procedure_days
from paincast.cohort.registry.conversion.rows import SourceRows, apply_condition, read_text
from paincast.cohort.registry.mapping_types import DATE_READINGS, Condition, Field, RegistryMapping
from paincast.cohort.registry.streaming.decisions import Key, Statistics
from paincast.cohort.registry.streaming.plain import is_by_word
from paincast.cohort.registry.streaming.texts import BoolArray, Coded, Codes, Rows
from paincast.cohort.rejects import BrokenRule
from paincast.cohort.violations import BEFORE, TYPES, coerce, find_violations, make_findings, to_array
from paincast.schema import Column

_RULES = ("boolean", "not a number", "not a whole number", BEFORE, "category", "range")
"""Rules on cells in the order in which :mod:`paincast.cohort.violations` applies them to a column."""


class Meaning(NamedTuple):
    """What distinct texts mean in a column of the contract.

    Parameters
    ----------
    built : Series
        As the mapping makes them.
    typed : pyarrow.Array
        In the type of the contract.
    findings, failed, violations : list of BrokenRule
        Texts that the mapping cannot read, that have another type, and that break a rule of the column.
    """

    built: pd.Series
    typed: pa.Array
    findings: list[BrokenRule]
    failed: list[BrokenRule]
    violations: list[BrokenRule]


class Part(NamedTuple):
    """A column of the contract for some rows: meanings, and which of them each row has."""

    meaning: Meaning
    codes: Codes

    def select(self, rows: BoolArray) -> Part:
        """Return the rows where ``rows`` is true."""
        return self if rows.all() else Part(self.meaning, self.codes[rows])

    def spell_out(self) -> pa.Array:
        """Return the value of each row."""
        return self.meaning.typed.take(pa.array(self.codes))

    def build(self, index: pd.Index) -> pd.Series:
        """Return the value of each row as the mapping makes it."""
        return self.meaning.built.take(self.codes).set_axis(index)

    @property
    def is_built(self) -> BoolArray:
        """Whether the mapping makes a value of each row's text."""
        flags: BoolArray = self.meaning.built.notna().to_numpy(dtype=bool)
        return flags[self.codes]

    def find(self, findings: Iterable[BrokenRule]) -> list[BrokenRule]:
        """Return the rules that rows break, of those that their texts break."""
        return find_rows(findings, self.codes)

    def tally(self, column: Column) -> Tally:
        """Make the tally of the numbers."""
        values = self.meaning.typed.to_numpy(zero_copy_only=False).astype(np.float64)
        return count_values(values, column, np.bincount(self.codes, minlength=len(values)))


class Context(NamedTuple):
    """Rows of a batch, and what they are read with: days of the procedures and values before them, by place."""

    rows: Rows
    procedure_date: pd.Series | None = None
    baseline: pd.DataFrame | None = None


class FieldReader:
    """Read fields and conditions of batches; the meanings of remembered texts are kept."""

    def __init__(
        self,
        mapping: RegistryMapping,
        style: NumberStyle,
        readings: Mapping[Key, NumberReading],
        statistics: Statistics,
    ) -> None:
        self.mapping, self.style, self.readings, self.statistics = mapping, style, readings, statistics
        self.kept: dict[Key, tuple[int, bool, Meaning]] = {}

    def read(self, key: Key, field: Field, context: Context) -> Part:
        """Read a column of the contract."""
        rows = context.rows
        if field.always is not None:
            coded = Coded(np.zeros(len(rows.places), dtype=np.int64), pa.array([""]), 1)
            return Part(self._read_words(key, field, coded), coded.codes)
        if is_by_word(field):
            coded = rows.columns[str(field.column)]
            return Part(self._read_words(key, field, coded), coded.codes)
        texts = self._spell_out(context, _columns_of(field))
        codes = np.arange(len(rows.places), dtype=np.int64)
        self._count_marks(key, field, texts, codes)
        return Part(make_meaning(field, replace(texts, reading=self._reading(key))), codes)

    def read_days(self, field: Field, rows: Rows) -> tuple[pd.Series, list[BrokenRule]]:
        """Read the days of the procedures, by place."""
        coded = rows.columns[str(field.column)]
        days, findings = read_procedure_days(field, self._make_source({str(field.column): coded.words}))
        spread = pd.Series(days.to_numpy()[coded.codes], index=pd.Index(rows.places))
        return spread, find_rows(findings, coded.codes)

    def match(self, condition: Condition, rows: Rows) -> tuple[BoolArray, BrokenRule]:
        """Select the rows that match a condition; see :func:`apply_condition`."""
        coded = rows.columns[condition.column]
        meant, unlisted = apply_condition(condition, self._make_source({condition.column: coded.words}))
        broken = unlisted.broken.to_numpy(dtype=bool)[coded.codes]
        return meant.to_numpy(dtype=bool)[coded.codes], unlisted._replace(broken=pd.Series(broken))

    def _read_words(self, key: Key, field: Field, coded: Coded) -> Meaning:
        n_kept, has_marks, meaning = self.kept.get(key, (None, True, None))
        is_known = meaning is not None and n_kept == coded.n_remembered
        if is_known and meaning is not None and not has_marks:
            return meaning
        words = self._make_source({str(field.column): coded.words})
        has_marks = self._count_marks(key, field, words, coded.codes)
        if not is_known or meaning is None:
            meaning = make_meaning(field, replace(words, reading=self._reading(key)))
        if coded.n_remembered is not None:
            self.kept[key] = (coded.n_remembered, has_marks, meaning)
        return meaning

    def _reading(self, key: Key) -> NumberReading:
        usual = settle_reading(0, 0, self.style.decimal, self.style.is_mixed)
        return self.readings.get(key, usual)

    def _count_marks(self, key: Key, field: Field, texts: SourceRows, codes: Codes) -> bool:
        """Count the numbers that only one decimal mark explains; return whether there are any."""
        is_number = field.target.type in ("number", "integer") and field.codes is None
        if not is_number or field.column is None or field.reads in DATE_READINGS:
            return False
        both = key in self.readings
        if not both and self.style.decimal != "comma" and _holds_no_comma(texts.frames[texts.main][field.column]):
            return False
        text = to_text(read_text(field, field.column, texts)[0])
        if not any(count_marks(text, self.style.decimal, both=both)):
            return False
        n_comma, n_point = count_marks(text.take(codes), self.style.decimal, both=both)
        self.statistics.readings.setdefault(key, Counter()).update(comma=n_comma, point=n_point)
        return True

    def _spell_out(self, context: Context, names: Sequence[str]) -> SourceRows:
        rows = context.rows
        index = pd.Index(rows.places)
        texts = {name: rows.columns[name].spell_out().set_axis(index) for name in names}
        source = self._make_source({})
        return replace(
            source,
            frames={source.main: pd.DataFrame(texts, index=index)},
            procedure_date=context.procedure_date,
            baseline=context.baseline,
        )

    def _make_source(self, words: Mapping[str, pa.Array]) -> SourceRows:
        frame = pd.DataFrame({name: pd.Series(array.to_pandas(), dtype="str") for name, array in words.items()})
        main, style = self.mapping.file, self.style
        return SourceRows(
            frames={main: frame}, main=main, missing=self.mapping.missing, decimal=style.decimal, strict=style.is_mixed
        )


def _holds_no_comma(text: pd.Series) -> bool:
    """Check for a comma, or a character beyond ASCII that may be one."""
    array = pa.array(text, pa.string())
    has_comma = pc.or_(pc.match_substring(array, ","), pc.not_equal(pc.binary_length(array), pc.utf8_length(array)))
    return not pc.any(has_comma).as_py()


def make_meaning(field: Field, source: SourceRows) -> Meaning:
    """Read a column of the contract, and check each value."""
    built, findings = apply_field(field, source)
    column = field.target
    typed_values, broken = coerce(built.reset_index(drop=True), column, NumberStyle())
    typed = to_array(typed_values, TYPES[column.type])
    return Meaning(built, typed, findings, make_findings(column, broken), find_violations(typed, column))


def find_rows(findings: Iterable[BrokenRule], codes: Codes) -> list[BrokenRule]:
    """Return the rules that rows break, of those that their texts break."""
    spread = [(finding, finding.broken.to_numpy(dtype=bool)[codes]) for finding in findings]
    return [finding._replace(broken=pd.Series(broken)) for finding, broken in spread if broken.any()]


def stack_parts(parts: Sequence[Part | None], sizes: Sequence[int], column: Column) -> Part:
    """Stack a column of several blocks; a block without it has no value."""
    nothing = Meaning(pd.Series([None]), pa.nulls(1, TYPES[column.type]), [], [], [])
    filled = [part or Part(nothing, np.zeros(size, dtype=np.int64)) for part, size in zip(parts, sizes, strict=True)]
    if len(filled) == 1:
        return filled[0]
    meanings = [part.meaning for part in filled]
    n_words = [len(meaning.typed) for meaning in meanings]
    starts = np.cumsum([0, *n_words])
    return Part(
        Meaning(
            pd.Series(dtype="str"),
            pa.concat_arrays([meaning.typed for meaning in meanings]),
            [],
            _stack_findings([meaning.failed for meaning in meanings], n_words),
            _stack_findings([meaning.violations for meaning in meanings], n_words),
        ),
        np.concatenate([part.codes + start for part, start in zip(filled, starts, strict=False)]),
    )


def _stack_findings(findings: Sequence[Sequence[BrokenRule]], n_words: Sequence[int]) -> list[BrokenRule]:
    by_rule = [{finding.rule: finding for finding in part} for part in findings]
    stacked = []
    for rule in _RULES:
        found = [part[rule] for part in by_rule if rule in part]
        if found:
            flags = [
                part[rule].broken.to_numpy(dtype=bool) if rule in part else np.zeros(n, dtype=bool)
                for part, n in zip(by_rule, n_words, strict=True)
            ]
            stacked.append(found[0]._replace(broken=pd.Series(np.concatenate(flags))))
    return stacked


def _columns_of(field: Field) -> list[str]:
    """List the columns that a field needs in the same row."""
    conditions = [candidate.where.column for entries in field.conditional_codes.values() for candidate in entries]
    names = [field.column, field.unit_column, *field.columns, *field.count_true, *conditions]
    return list(dict.fromkeys(name for name in names if name))
