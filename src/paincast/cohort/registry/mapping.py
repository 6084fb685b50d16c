"""A mapping says how a registry's files become episodes, visits and events. It is read strictly: no key is ignored."""

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
from paincast.cohort.registry.strict_yaml import Node, read_yaml
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
        If there is none of that name, a key is misspelt, a value has a wrong type or is not allowed, or is still to do.

    Examples
    --------
    >>> load_mapping("caudal_esi_2018").files
    ('trial44.csv',)
    """
    path = _find_mapping(name_or_path)
    root = read_yaml(path)
    top = root.section(_TOP, required=("read", "episodes"))
    read = _read_read(top["read"])
    source = _read_source(top["source"]) if "source" in top else {"citation": "", "licence": "", "hashes": {}}
    mapping = RegistryMapping(
        name=path.stem,
        path=path,
        digest=hash_file(path),
        title=top["title"].text() if "title" in top else path.stem,
        **source,
        **read,
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
            f"no mapping is called '{name_or_path}'; {suggest_name(str(name_or_path), known)}", code="PC-REGISTRY-05"
        )
    return find_configs() / "mapping" / f"{name_or_path}.yaml"


def _entries(top: Mapping[str, Node], key: str) -> list[Node]:
    return top[key].entries() if key in top else []


def _read_source(node: Node) -> dict[str, Any]:
    found = node.section(("citation", "licence", "files"), required=("citation", "licence"))
    files = found["files"].children() if "files" in found else {}
    pinned = {name: child.section(("url", "sha256"), required=("url", "sha256")) for name, child in files.items()}
    return {
        "citation": found["citation"].text(),
        "licence": found["licence"].text(),
        "hashes": {name: pin["sha256"].text() for name, pin in pinned.items()},
    }


def _read_read(node: Node) -> dict[str, Any]:
    found = node.section(("file", "separator", "encoding", "decimal", "missing", "join"), required=("file",))
    return {
        "file": found["file"].text(),
        "separator": SEPARATORS[found["separator"].choice(SEPARATORS)] if "separator" in found else None,
        "encoding": found["encoding"].choice(ENCODINGS) if "encoding" in found else "utf-8",
        "decimal": found["decimal"].choice(("point", "comma")) if "decimal" in found else None,
        "missing": frozenset(map(to_code, found["missing"].texts())) if "missing" in found else frozenset(),
        "joins": tuple(_read_join(entry) for entry in _entries(found, "join")),
    }


def _read_join(node: Node) -> Join:
    found = node.section(("file", "by", "called"), required=("file", "by"))
    by = found["by"].text()
    return Join(file=found["file"].text(), by=by, called=found["called"].text() if "called" in found else by)


def _read_condition(node: Node, also_required: tuple[str, ...] = ()) -> Condition:
    found = node.section(("column", "file", "is", "is_not", "contains", "because"), required=("column", *also_required))
    if ("is" in found) == ("contains" in found):
        raise node.refuse("needs either 'is: [codes]' or 'contains: [words]'")
    return Condition(
        column=found["column"].text(),
        file=found["file"].text() if "file" in found else None,
        is_=frozenset(map(to_code, found["is"].texts())) if "is" in found else frozenset(),
        is_not=_read_others(found["is_not"]) if "is_not" in found else frozenset(),
        contains=found["contains"].texts() if "contains" in found else (),
        because=found["because"].text() if "because" in found else "",
    )


def _read_others(node: Node) -> frozenset[str] | None:
    if isinstance(node.content.value, str):
        node.choice((OTHERS,))
        return None
    return frozenset(map(to_code, node.texts()))


def _read_date(node: Node) -> Field:
    found = node.section(("column", "file", "date_format"), required=("column",))
    return Field(
        target=EPISODES["procedure_year"],
        column=found["column"].text(),
        file=found["file"].text() if "file" in found else None,
        reads=YEAR,
        date_format=_read_date_format(found["date_format"], needs_day=True) if "date_format" in found else None,
    )


def _read_date_format(node: Node, *, needs_day: bool) -> str:
    fault = check_date_format(node.text(), needs_day=needs_day)
    if fault:
        raise node.refuse(fault)
    return node.text()


def _read_block(node: Node, columns: Mapping[str, Column]) -> Block:
    found = node.section(("file", "when", *columns))
    fields = {name: child for name, child in found.items() if name in columns}
    for name, column in columns.items():
        if column.required and name != "episode_id" and name not in fields:
            raise node.refuse(f"the key '{name}' is missing")
    if "file" in found and "episode_id" not in fields:
        raise node.refuse("a block with its own file needs 'episode_id', to say to which episode its rows belong")
    return Block(
        fields=_read_fields(fields, columns),
        file=found["file"].text() if "file" in found else None,
        when=_read_condition(found["when"]) if "when" in found else None,
    )


def _read_fields(nodes: Mapping[str, Node], columns: Mapping[str, Column]) -> dict[str, Field]:
    fields = {}
    for name, node in nodes.items():
        if name not in columns:
            raise node.refuse(f"unknown column '{name}'; {suggest_name(name, columns)}")
        fields[name] = _read_field(node, columns[name])
    return fields


def _read_field(node: Node, target: Column) -> Field:
    found = node.section(_FIELD)
    if sum(key in found for key in ("column", "columns", "always", "row_number")) != 1:
        raise node.refuse("needs exactly one of 'column', 'columns', 'always' and 'row_number'")
    _check_together(node, found, target)
    reads = found["reads"].choice(READINGS) if "reads" in found else "value"
    return Field(
        target=target,
        column=found["column"].text() if "column" in found else None,
        columns=found["columns"].texts() if "columns" in found else (),
        file=found["file"].text() if "file" in found else None,
        always=_read_value(found["always"], target) if "always" in found else None,
        row_number="row_number" in found and found["row_number"].flag(),
        prefix=found["prefix"].text() if "prefix" in found else "",
        factor=_read_unit(found["unit"], target, reads) if "unit" in found else 1.0,
        codes=_read_codes(found["codes"], target) if "codes" in found else None,
        missing=frozenset(map(to_code, found["missing"].texts())) if "missing" in found else frozenset(),
        true_if_contains=found["true_if_contains"].texts() if "true_if_contains" in found else (),
        reads=reads,
        date_format=_read_date_format(found["date_format"], needs_day=reads != YEAR)
        if "date_format" in found
        else None,
    )


def _check_together(node: Node, found: Mapping[str, Node], target: Column) -> None:
    number = target.type in ("number", "integer")
    applies = {
        "prefix": target.type == "text",
        "row_number": target.type == "text",
        "columns": target.type == "text",
        "unit": number and "codes" not in found,
        "true_if_contains": target.type == "boolean" and "codes" not in found,
        "reads": number and "codes" not in found,
        "date_format": "reads" in found and found["reads"].text() in DATE_READINGS,
    }
    for key, fits in applies.items():
        if key in found and not fits:
            raise found[key].refuse(f"'{key}' has no meaning here ({target.name} is {target.allowed})")
    if "columns" in found and set(found) - {"columns", "file", "prefix"}:
        raise node.refuse("'columns' goes with nothing but 'file' and 'prefix'")
    if not {"column", "columns"} & {*found} and set(found) - {"always", "row_number", "prefix"}:
        raise node.refuse("a constant or a row number goes with nothing but 'prefix'")


def _read_unit(node: Node, target: Column, reads: str) -> float:
    if reads in DATE_READINGS:
        raise node.refuse("'unit' has no meaning where a date is read")
    factors = unit_factors(replace(target, unit="%") if reads == PERCENT else target)
    return factors[node.text()] if node.text() in factors else factors[node.choice(factors)]


def _read_codes(node: Node, target: Column) -> dict[str, str | None]:
    codes: dict[str, str | None] = {}
    for code, meaning in node.children().items():
        if to_code(code) in codes:
            raise meaning.refuse(f"the code '{code}' stands twice; keep one")
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
        raise node.refuse(f"'{value}' is no number; allowed: {target.allowed}")
    if not (target.low is None or target.low <= number) or not (target.high is None or number <= target.high):
        raise node.refuse(f"{value} is out of range; allowed: {target.allowed}")
    return value


def _check_whole(mapping: RegistryMapping, root: Node, top: Mapping[str, Node]) -> None:
    for name, column in EPISODES.items():
        if column.required and name not in mapping.episodes:
            raise top["episodes"].refuse(f"the key '{name}' is missing; every episode needs it")
    if mapping.baseline_rows and mapping.episodes["episode_id"].row_number:
        raise top["baseline_rows"].refuse("rows of several visits need an id; 'row_number' cannot tie them together")
    joined = {mapping.file, *(join.file for join in mapping.joins)}
    for place, field, _ in _all_fields(mapping):
        _check_reading(place, field, mapping, root)
    for place, file, own in _all_files(mapping):
        if file is not None and file not in joined | {own}:
            raise root.refuse(f"{place}: no file '{file}' is named under 'read'; {suggest_name(file, joined)}")


def _all_files(mapping: RegistryMapping) -> list[tuple[str, str | None, str | None]]:
    files = [(place, field.file, own) for place, field, own in _all_fields(mapping)]
    files += [("keep_rows_where", condition.file, None) for condition in mapping.keep_rows_where]
    files += [("baseline_rows", mapping.baseline_rows.file, None)] if mapping.baseline_rows else []
    files += [("procedure_date", mapping.procedure_date.file, None)] if mapping.procedure_date else []
    blocks = [block for block in (*mapping.visits, *mapping.events) if block.when]
    return files + [("when", block.when.file, block.file) for block in blocks if block.when]


def _check_reading(place: str, field: Field, mapping: RegistryMapping, root: Node) -> None:
    target, in_visit = field.target, not place.startswith("episodes")
    fits = {
        CHANGE: in_visit and target.name in EPISODES,
        PERCENT: in_visit and target.name in EPISODES,
        SINCE: in_visit and target.name == "month",
        MONTHS_BEFORE: not in_visit and target.unit == "months",
        YEARS_BEFORE: not in_visit and target.unit == "years",
        YEAR: target.name == "procedure_year",
    }
    if not fits.get(field.reads, True):
        raise root.refuse(f"{place}: '{field.reads}' has no meaning for {target.name}")
    if field.reads in (SINCE, MONTHS_BEFORE, YEARS_BEFORE) and mapping.procedure_date is None:
        raise root.refuse(f"{place}: '{field.reads}' needs the top-level key 'procedure_date'")


def _all_fields(mapping: RegistryMapping) -> list[tuple[str, Field, str | None]]:
    fields: list[tuple[str, Field, str | None]] = [
        (f"episodes.{name}", field, None) for name, field in mapping.episodes.items()
    ]
    for table, blocks in (("visits", mapping.visits), ("events", mapping.events)):
        for i, block in enumerate(blocks, 1):
            fields += [(f"{table}[{i}].{name}", field, block.file) for name, field in block.fields.items()]
    return fields
