"""Load the mapping that turns a registry's files into episodes, visits and events. An unknown key is an error."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from paincast.cohort.coercion import to_code
from paincast.cohort.dates import check_date_format
from paincast.cohort.numerals import read_number
from paincast.cohort.reading.types import SEPARATORS
from paincast.cohort.registry.mapping_types import (
    CHANGE,
    DATE_READINGS,
    MISSING,
    MONTHS_BEFORE,
    OTHERS,
    PERCENT,
    READINGS,
    SINCE,
    YEAR,
    YEARS_BEFORE,
    Block,
    Condition,
    Field,
    Join,
    RegistryMapping,
)
from paincast.files.strict_yaml import Node, read_yaml
from paincast.cohort.registry.units import unit_factors
from paincast.errors import SettingsError, suggest_name
from paincast.files import hash_file
from paincast.schema import EPISODES, EVENTS, VISITS, Column
from paincast.settings import find_configs

ENCODINGS = ("utf-8", "latin-1", "windows-1252", "utf-16")

_TOP = (
    "title", "source", "read", "keep_rows_where", "baseline_rows", "procedure_date", "episodes", "visits", "events",
    "cannot_tell",
)  # fmt: skip
_FIELD = (
    "column", "columns", "file", "always", "row_number", "prefix", "unit", "codes", "missing", "true_if_contains",
    "reads", "date_format",
)  # fmt: skip


def list_mappings() -> list[str]:
    """Give the names of the mappings that come with the package."""
    return sorted(file.stem for file in (find_configs() / "mapping").glob("*.yaml"))


def load_mapping(name_or_path: str | Path) -> RegistryMapping:
    """Load a mapping strictly.

    Parameters
    ----------
    name_or_path : str or Path
        Name of a mapping that comes with the package, or a YAML file.

    Returns
    -------
    RegistryMapping
        Checked against the contract: columns, categories, units and codes exist.

    Raises
    ------
    SettingsError
        If there is no mapping of that name, a key is misspelt, or a value has a wrong type, is not allowed or is still
        ``TODO``.

    Examples
    --------
    >>> load_mapping("caudal_esi_2018").files
    ('trial44.csv',)
    """
    path = _find_mapping(name_or_path)
    root = read_yaml(path)
    top = root.section(_TOP, required=("read", "episodes"))
    read_options = _read_read(top["read"])
    source = _read_source(top["source"]) if "source" in top else {"citation": "", "licence": "", "hashes": {}}
    mapping = RegistryMapping(
        name=path.stem,
        path=path,
        digest=hash_file(path),
        title=top["title"].text() if "title" in top else path.stem,
        **source,
        **read_options,
        keep_rows_where=tuple(_read_condition(node, ("because",)) for node in _entries(top, "keep_rows_where")),
        baseline_rows=_read_condition(top["baseline_rows"]) if "baseline_rows" in top else None,
        procedure_date=_read_date(top["procedure_date"]) if "procedure_date" in top else None,
        episodes=_read_fields(top["episodes"].children(), EPISODES),
        visits=tuple(_read_block(node, VISITS) for node in _entries(top, "visits")),
        events=tuple(_read_block(node, EVENTS) for node in _entries(top, "events")),
        cannot_tell=top["cannot_tell"].texts() if "cannot_tell" in top else (),
    )
    _check_whole(mapping, root, top)
    return mapping


def _find_mapping(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml") or path.exists():
        return path
    known = list_mappings()
    if str(name_or_path) not in known:
        raise SettingsError(
            f"there is no mapping named '{name_or_path}'; {suggest_name(str(name_or_path), known)}",
            code="PC-REGISTRY-05",
        )
    return find_configs() / "mapping" / f"{name_or_path}.yaml"


def _entries(top: Mapping[str, Node], key: str) -> list[Node]:
    return top[key].entries() if key in top else []


def _read_source(node: Node) -> dict[str, Any]:
    keys = node.section(("citation", "licence", "files"), required=("citation", "licence"))
    files = keys["files"].children() if "files" in keys else {}
    pinned = {name: child.section(("url", "sha256"), required=("url", "sha256")) for name, child in files.items()}
    return {
        "citation": keys["citation"].text(),
        "licence": keys["licence"].text(),
        "hashes": {name: pin["sha256"].text() for name, pin in pinned.items()},
    }


def _read_read(node: Node) -> dict[str, Any]:
    keys = node.section(("file", "separator", "encoding", "decimal", "missing", "join"), required=("file",))
    return {
        "file": keys["file"].text(),
        "separator": SEPARATORS[keys["separator"].choice(SEPARATORS)] if "separator" in keys else None,
        "encoding": keys["encoding"].choice(ENCODINGS) if "encoding" in keys else "utf-8",
        "decimal": keys["decimal"].choice(("point", "comma")) if "decimal" in keys else None,
        "missing": frozenset(map(to_code, keys["missing"].texts())) if "missing" in keys else frozenset(),
        "joins": tuple(_read_join(entry) for entry in _entries(keys, "join")),
    }


def _read_join(node: Node) -> Join:
    keys = node.section(("file", "by", "called"), required=("file", "by"))
    by = keys["by"].text()
    return Join(file=keys["file"].text(), by=by, called=keys["called"].text() if "called" in keys else by)


def _read_condition(node: Node, also_required: tuple[str, ...] = ()) -> Condition:
    keys = node.section(("column", "file", "is", "is_not", "contains", "because"), required=("column", *also_required))
    if ("is" in keys) == ("contains" in keys):
        raise node.refuse("needs either 'is: [codes]' or 'contains: [words]'")
    return Condition(
        column=keys["column"].text(),
        file=keys["file"].text() if "file" in keys else None,
        is_=frozenset(map(to_code, keys["is"].texts())) if "is" in keys else frozenset(),
        is_not=_read_others(keys["is_not"]) if "is_not" in keys else frozenset(),
        contains=keys["contains"].texts() if "contains" in keys else (),
        because=keys["because"].text() if "because" in keys else "",
    )


def _read_others(node: Node) -> frozenset[str] | None:
    if isinstance(node.content.value, str):
        node.choice((OTHERS,))
        return None
    return frozenset(map(to_code, node.texts()))


def _read_date(node: Node) -> Field:
    keys = node.section(("column", "file", "date_format"), required=("column",))
    return Field(
        target=EPISODES["procedure_year"],
        column=keys["column"].text(),
        file=keys["file"].text() if "file" in keys else None,
        reads=YEAR,
        date_format=_read_date_format(keys["date_format"], needs_day=True) if "date_format" in keys else None,
    )


def _read_date_format(node: Node, *, needs_day: bool) -> str:
    fault = check_date_format(node.text(), needs_day=needs_day)
    if fault:
        raise node.refuse(fault)
    return node.text()


def _read_block(node: Node, columns: Mapping[str, Column]) -> Block:
    keys = node.section(("file", "when", *columns))
    fields = {name: child for name, child in keys.items() if name in columns}
    for name, column in columns.items():
        if column.required and name != "episode_id" and name not in fields:
            raise node.refuse(f"the key '{name}' is missing")
    if "file" in keys and "episode_id" not in fields:
        raise node.refuse("a block with its own file needs 'episode_id', to link its rows to episodes")
    return Block(
        fields=_read_fields(fields, columns),
        file=keys["file"].text() if "file" in keys else None,
        when=_read_condition(keys["when"]) if "when" in keys else None,
    )


def _read_fields(nodes: Mapping[str, Node], columns: Mapping[str, Column]) -> dict[str, Field]:
    fields = {}
    for name, node in nodes.items():
        if name not in columns:
            raise node.refuse(f"unknown column '{name}'; {suggest_name(name, columns)}")
        fields[name] = _read_field(node, columns[name])
    return fields


def _read_field(node: Node, target: Column) -> Field:
    keys = node.section(_FIELD)
    if sum(key in keys for key in ("column", "columns", "always", "row_number")) != 1:
        raise node.refuse("needs exactly one of 'column', 'columns', 'always' and 'row_number'")
    _check_together(node, keys, target)
    reads = keys["reads"].choice(READINGS) if "reads" in keys else "value"
    return Field(
        target=target,
        column=keys["column"].text() if "column" in keys else None,
        columns=keys["columns"].texts() if "columns" in keys else (),
        file=keys["file"].text() if "file" in keys else None,
        always=_read_value(keys["always"], target) if "always" in keys else None,
        row_number="row_number" in keys and keys["row_number"].flag(),
        prefix=keys["prefix"].text() if "prefix" in keys else "",
        factor=_read_unit(keys["unit"], target, reads) if "unit" in keys else 1.0,
        codes=_read_codes(keys["codes"], target) if "codes" in keys else None,
        missing=frozenset(map(to_code, keys["missing"].texts())) if "missing" in keys else frozenset(),
        true_if_contains=keys["true_if_contains"].texts() if "true_if_contains" in keys else (),
        reads=reads,
        date_format=_read_date_format(keys["date_format"], needs_day=reads != YEAR) if "date_format" in keys else None,
    )


def _check_together(node: Node, given: Mapping[str, Node], target: Column) -> None:
    number = target.type in ("number", "integer")
    applies = {
        "prefix": target.type == "text",
        "row_number": target.type == "text",
        "columns": target.type == "text",
        "unit": number and "codes" not in given,
        "true_if_contains": target.type == "boolean" and "codes" not in given,
        "reads": number and "codes" not in given,
        "date_format": "reads" in given and given["reads"].text() in DATE_READINGS,
    }
    for key, fits in applies.items():
        if key in given and not fits:
            raise given[key].refuse(f"'{key}' does not apply here ({target.name} is {target.allowed})")
    if "columns" in given and set(given) - {"columns", "file", "prefix"}:
        raise node.refuse("'columns' can only be combined with 'file' and 'prefix'")
    if not {"column", "columns"} & {*given} and set(given) - {"always", "row_number", "prefix"}:
        raise node.refuse("a constant or a row number can only be combined with 'prefix'")


def _read_unit(node: Node, target: Column, reads: str) -> float:
    if reads in DATE_READINGS:
        raise node.refuse("'unit' does not apply to a date")
    factors = unit_factors(replace(target, unit="%") if reads == PERCENT else target)
    return factors[node.text()] if node.text() in factors else factors[node.choice(factors)]


def _read_codes(node: Node, target: Column) -> dict[str, str | None]:
    codes: dict[str, str | None] = {}
    for code, meaning in node.children().items():
        if to_code(code) in codes:
            raise meaning.refuse(f"the code '{code}' appears twice; keep one")
        codes[to_code(code)] = None if meaning.text() == MISSING else _read_value(meaning, target)
    return codes


def _read_value(node: Node, target: Column) -> str:
    value = node.text()
    if target.type == "category":
        return node.choice(target.categories)
    if target.type == "boolean":
        return node.choice(("true", "false"))
    if target.type == "text":
        return value
    number = read_number(value, None)
    if math.isnan(number):
        raise node.refuse(f"'{value}' is not a number; allowed: {target.allowed}")
    if not (target.low is None or target.low <= number) or not (target.high is None or number <= target.high):
        raise node.refuse(f"{value} is out of range; allowed: {target.allowed}")
    return value


def _check_whole(mapping: RegistryMapping, root: Node, top: Mapping[str, Node]) -> None:
    for name, column in EPISODES.items():
        if column.required and name not in mapping.episodes:
            raise top["episodes"].refuse(f"the key '{name}' is missing; every episode needs it")
    if mapping.baseline_rows and mapping.episodes["episode_id"].row_number:
        raise top["baseline_rows"].refuse("rows of several visits need an id; 'row_number' cannot link them")
    joined = {mapping.file, *(join.file for join in mapping.joins)}
    for location, field, _ in _all_fields(mapping):
        _check_reading(location, field, mapping, root)
    for location, file, block_file in _all_files(mapping):
        if file is not None and file not in joined | {block_file}:
            raise root.refuse(f"{location}: no file '{file}' is named under 'read'; {suggest_name(file, joined)}")


def _all_files(mapping: RegistryMapping) -> list[tuple[str, str | None, str | None]]:
    files = [(location, field.file, block_file) for location, field, block_file in _all_fields(mapping)]
    files += [("keep_rows_where", condition.file, None) for condition in mapping.keep_rows_where]
    files += [("baseline_rows", mapping.baseline_rows.file, None)] if mapping.baseline_rows else []
    files += [("procedure_date", mapping.procedure_date.file, None)] if mapping.procedure_date else []
    blocks = [block for block in (*mapping.visits, *mapping.events) if block.when]
    return files + [("when", block.when.file, block.file) for block in blocks if block.when]


def _check_reading(location: str, field: Field, mapping: RegistryMapping, root: Node) -> None:
    target, in_visit = field.target, not location.startswith("episodes")
    fits = {
        CHANGE: in_visit and target.name in EPISODES,
        PERCENT: in_visit and target.name in EPISODES,
        SINCE: in_visit and target.name == "month",
        MONTHS_BEFORE: not in_visit and target.unit == "months",
        YEARS_BEFORE: not in_visit and target.unit == "years",
        YEAR: target.name == "procedure_year",
    }
    if not fits.get(field.reads, True):
        raise root.refuse(f"{location}: '{field.reads}' does not apply to {target.name}")
    if field.reads in (SINCE, MONTHS_BEFORE, YEARS_BEFORE) and mapping.procedure_date is None:
        raise root.refuse(f"{location}: '{field.reads}' needs the top-level key 'procedure_date'")


def _all_fields(mapping: RegistryMapping) -> list[tuple[str, Field, str | None]]:
    fields: list[tuple[str, Field, str | None]] = [
        (f"episodes.{name}", field, None) for name, field in mapping.episodes.items()
    ]
    for table, blocks in (("visits", mapping.visits), ("events", mapping.events)):
        for i, block in enumerate(blocks, 1):
            fields += [(f"{table}[{i}].{name}", field, block.file) for name, field in block.fields.items()]
    return fields
