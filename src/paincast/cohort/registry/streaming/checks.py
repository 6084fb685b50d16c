"""Check the tables of a set of rows against the contract, as :mod:`paincast.cohort.validate` does of whole tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from paincast.cohort.doubts import count_by_site, doubt_scale, find_small, may_have_two_scales
from paincast.cohort.registry.streaming.building import BatchLedger, Built
from paincast.cohort.registry.streaming.decisions import Decisions, Doubt, Statistics
from paincast.cohort.registry.streaming.texts import BoolArray, Codes
from paincast.cohort.rejects import BrokenRule, any_broken
from paincast.cohort.shared_keys import UNIQUE_BY, find_duplicates, merge_rows
from paincast.cohort.validate import find_orphans
from paincast.cohort.violations import TYPES, make_findings
from paincast.contract import Contract
from paincast.schema import Column

_PANDAS_TYPES = {"number": "float64", "integer": "float64", "boolean": "boolean"}


class Checker(NamedTuple):
    """What tables are checked with: the contract, the decisions on the whole file, and what is counted for them."""

    contract: Contract
    decisions: Decisions
    statistics: Statistics
    has_repeats: bool


class Checked(NamedTuple):
    """A checked table: the rows that are kept, block after block, and what they come from."""

    table: pa.Table
    owners: Codes
    blocks: Codes

    def take_block(self, block: int) -> Checked:
        """Return the rows of a block."""
        start, end = map(int, np.searchsorted(self.blocks, [block, block + 1]))
        return Checked(self.table.slice(start, end - start), self.owners[start:end], self.blocks[start:end])


class _Values(NamedTuple):
    """Values of the columns that the mapping has, and the rules that rows break."""

    arrays: dict[str, pa.Array]
    findings: list[BrokenRule]


def check_tables(
    tables: Mapping[str, Built], places: np.ndarray, checker: Checker, ledger: BatchLedger
) -> dict[str, Checked]:
    """Check the tables; what breaks a rule is emptied or left out, and reported."""
    checked: dict[str, Checked] = {}
    doubted_ids: dict[str, set[str]] = {}
    for table, built in tables.items():
        columns = checker.contract.tables[table]
        values = _check_values(table, built, columns, checker, doubted_ids)
        arrays, findings = _merge_shared(table, built.owners, values, checker)
        if table == "episodes":
            doubted_ids = _list_doubted(arrays, findings)
        elif len(built.owners):
            findings = [*findings, _find_orphans(arrays["episode_id"], built.owners, checked["episodes"], checker)]
        ledger.reject(table, findings, places[built.owners])
        kept = ~any_broken(findings, "row left out", len(built.owners))
        written = pa.table(dict(arrays)) if arrays else pa.table({})
        checked[table] = Checked(
            written if kept.all() else written.filter(pa.array(kept)), built.owners[kept], built.blocks[kept]
        )
    return checked


def _check_values(
    table: str, built: Built, columns: Mapping[str, Column], checker: Checker, doubted_ids: Mapping[str, set[str]]
) -> _Values:
    arrays: dict[str, pa.Array] = {}
    findings: list[BrokenRule] = []
    violations: dict[str, list[BrokenRule]] = {}
    for name, column in columns.items():
        if name not in built.parts:
            continue
        part = built.parts[name]
        findings += part.find(part.meaning.failed)
        if column.type == "number":
            checker.statistics.add_tally(table, name, part.tally(column))
        if _find_doubt(checker, table, name).unit:
            arrays[name] = pa.nulls(len(part.codes), TYPES[column.type])
        else:
            arrays[name] = part.spell_out()
            violations[name] = part.find(part.meaning.violations)
        if table == "episodes":
            checker.statistics.add_values(name, arrays[name])
    findings += _find_wrong_scales(table, arrays, columns, checker, doubted_ids)
    broken: list[BrokenRule] = []
    for name, array in arrays.items():
        if columns[name].required and array.null_count:
            known = [finding.broken.to_numpy(dtype=bool) for finding in findings if finding.column == name]
            absent = np.logical_or.reduce([np.zeros(len(array), dtype=bool), *known])
            broken += make_findings(columns[name], {"required": _is_null(array) & ~absent})
        broken += violations.get(name, [])
    return _Values(arrays, [*findings, *broken])


def _find_doubt(checker: Checker, table: str, name: str) -> Doubt:
    return checker.decisions.doubts.get((table, name), Doubt())


def _find_wrong_scales(
    table: str,
    arrays: Mapping[str, pa.Array],
    columns: Mapping[str, Column],
    checker: Checker,
    doubted_ids: Mapping[str, set[str]],
) -> list[BrokenRule]:
    findings: list[BrokenRule] = []
    sites: pd.Series | None = None
    for name, array in arrays.items():
        column = columns[name]
        if column.type != "number" or not may_have_two_scales(column, table):
            continue
        doubt = _find_doubt(checker, table, name)
        if table == "episodes" and "site_id" in arrays:
            sites = arrays["site_id"].to_pandas() if sites is None else sites
            if sites.notna().any():
                checker.statistics.add_sites(name, count_by_site(_to_series(array), sites, column))
        if not doubt.two_scales and not doubt.sites and not doubted_ids.get(name):
            continue
        doubted = find_small(_to_series(array), column)
        if not doubt.two_scales:
            also = arrays["episode_id"].to_pandas().isin(doubted_ids.get(name, set()))
            if doubt.sites and sites is not None:
                also |= sites.isin(doubt.sites)
            doubted &= also
        findings += doubt_scale(doubted, column)
    return findings


def _to_series(numbers: pa.Array) -> pd.Series:
    return pd.Series(numbers.to_numpy(zero_copy_only=False), dtype="float64")


def _is_null(array: pa.Array) -> BoolArray:
    flags: BoolArray = array.is_null().to_numpy(zero_copy_only=False)
    return flags


def _merge_shared(
    table: str, owners: Codes, values: _Values, checker: Checker
) -> tuple[dict[str, pa.Array], list[BrokenRule]]:
    """Empty what breaks a rule, leave out duplicates and merge rows that complement each other."""
    arrays, findings = values
    shared = _find_shared(table, arrays, owners, checker)
    if not len(shared):
        return _empty_broken(arrays, findings), findings
    frame = _to_frame(arrays, shared, checker.contract.tables[table])
    duplicates, group = find_duplicates(frame, table, merges=True, varying=checker.decisions.varying)
    of_shared = [finding._replace(broken=finding.broken[shared].reset_index(drop=True)) for finding in findings]
    for finding in of_shared:
        frame[finding.column] = frame[finding.column].mask(finding.broken)
    merged, settled = merge_rows(frame, group, [*of_shared, *duplicates], table)
    arrays = _empty_broken(arrays, findings)
    mask = np.zeros(len(owners), dtype=bool)
    mask[shared] = True
    for name, array in arrays.items():
        replacements = pa.array(merged[name], array.type, from_pandas=True)
        if isinstance(replacements, pa.ChunkedArray):
            replacements = replacements.combine_chunks()
        arrays[name] = pc.replace_with_mask(array, pa.array(mask), replacements)
    widened = []
    for finding, before in zip(settled, [*findings, *[None] * (len(settled) - len(findings))], strict=True):
        broken = np.zeros(len(owners), dtype=bool) if before is None else before.broken.to_numpy(dtype=bool).copy()
        broken[shared] = np.asarray(finding.broken, dtype=bool)
        widened.append(finding._replace(broken=pd.Series(broken)))
    return arrays, widened


def _find_shared(table: str, arrays: Mapping[str, pa.Array], owners: Codes, checker: Checker) -> Codes:
    """Find the rows that share a key with another."""
    keys = UNIQUE_BY[table]
    if not arrays or not keys or (table == "episodes" and not checker.has_repeats):
        return np.zeros(0, dtype=np.int64)
    if checker.has_repeats:
        frame = pa.table({key: arrays[key] for key in keys}).to_pandas()
    else:
        # A row of the source that shares no id has the only rows of its episode.
        frame = pd.DataFrame({key: arrays[key].to_numpy(zero_copy_only=False) for key in keys if key != "episode_id"})
        frame["episode_id"] = owners
        months, _ = pd.factorize(frame["month"])
        key = pd.Series(owners * (months.max(initial=0) + 1) + months)
        if key.is_unique:
            return np.zeros(0, dtype=np.int64)
    complete = frame[list(keys)].notna().all(axis="columns")
    return np.flatnonzero(complete & frame.duplicated(list(keys), keep=False))


def _to_frame(arrays: Mapping[str, pa.Array], rows: Codes, columns: Mapping[str, Column]) -> pd.DataFrame:
    taken = {name: array.take(pa.array(rows)).to_pandas() for name, array in arrays.items()}
    return pd.DataFrame(
        {name: values.astype(_PANDAS_TYPES.get(columns[name].type, "str")) for name, values in taken.items()}
    )


def _empty_broken(arrays: Mapping[str, pa.Array], findings: Sequence[BrokenRule]) -> dict[str, pa.Array]:
    emptied = dict(arrays)
    for finding in findings:
        array = emptied[finding.column]
        mask = pa.array(finding.broken.to_numpy(dtype=bool))
        emptied[finding.column] = pc.if_else(mask, pa.scalar(None, array.type), array)
    return emptied


def _list_doubted(arrays: Mapping[str, pa.Array], findings: Sequence[BrokenRule]) -> dict[str, set[str]]:
    """List by column the episodes whose value before the procedure may be on another scale."""
    doubts = [finding for finding in findings if finding.rule == "unit"]
    return {
        finding.column: set(
            arrays["episode_id"].filter(pa.array(finding.broken.to_numpy(dtype=bool))).drop_null().to_pylist()
        )
        for finding in doubts
    }


def _find_orphans(ids: pa.Array, owners: Codes, episodes: Checked, checker: Checker) -> BrokenRule:
    """Find rows whose episode was left out."""
    if checker.has_repeats:
        known = pc.is_in(ids, episodes.table["episode_id"].combine_chunks()).to_numpy(zero_copy_only=False)
    else:
        known = np.isin(owners, episodes.owners)
    return find_orphans(pd.Series(~_is_null(ids) & ~known))
