"""Load the mapping that turns a registry's files into episodes, visits and events. An unknown key is an error."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from paincast.cohort.coercion import to_code
from paincast.cohort.registry.dialects import DIALECT_KEYS, read_dialect
from paincast.cohort.registry.mapping_fields import (
    OF,
    read_condition,
    read_date_format,
    read_field,
    read_fields,
    read_record_rows,
    read_text,
)
from paincast.cohort.registry.mapping_long import MAIN_FILES, check_long, complete_model, read_long_table, read_window
from paincast.cohort.registry.mapping_readers import list_record_rows
from paincast.cohort.registry.mapping_types import (
    BIRTH_YEAR,
    CHANGE,
    MONTHS_BEFORE,
    PERCENT,
    SINCE,
    YEAR,
    YEARS_BEFORE,
    Block,
    Field,
    Join,
    RecordRows,
    Redcap,
    RegistryMapping,
)
from paincast.contract import find_contract
from paincast.errors import SettingsError, suggest_name
from paincast.files import hash_file
from paincast.files.strict_yaml import Node, read_yaml
from paincast.schema import EPISODES, Column
from paincast.settings import find_configs

_TOP = (
    "title", "source", "read", "keep_rows_where", "baseline_rows", "procedure_date", "episodes", "visits", "events",
    "cannot_tell",
)  # fmt: skip

_READ = (
    "file", *DIALECT_KEYS, "missing", "join", "redcap", "long", "model", "baseline_window", "one_procedure_a_day",
)  # fmt: skip


def list_mappings() -> list[str]:
    """Give the names of the mappings that come with the package."""
    return sorted(file.stem for file in (find_configs() / "mapping").glob("*.yaml"))


def load_mapping(name_or_path: str | Path) -> RegistryMapping:
    """Load a mapping strictly.

    Parameters
    ----------
    name_or_path : str or Path
        Name of a mapping that comes with the package, or a YAML file, with its ``contract.yaml`` beside it if the
        registry has columns, techniques or indications of its own.

    Returns
    -------
    RegistryMapping
        Checked against the contract: columns, categories, units and codes exist.

    Raises
    ------
    SettingsError
        If there is no mapping of that name, a key is misspelt, or a value has a wrong type, is not allowed or is still
        ``TODO``; if the ``contract.yaml`` beside it is not valid.

    Examples
    --------
    >>> load_mapping("caudal_esi_2018").files
    ('trial44.csv',)
    """
    path = _find_mapping(name_or_path)
    contract = find_contract(path)
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
        keep_rows_where=tuple(read_condition(node, ("because",)) for node in _entries(top, "keep_rows_where")),
        baseline_rows=read_condition(top["baseline_rows"]) if "baseline_rows" in top else None,
        procedure_date=_read_date(top["procedure_date"]) if "procedure_date" in top else None,
        episodes=read_fields(top["episodes"].children(), contract.episodes),
        visits=tuple(_read_block(node, contract.visits, read_options["redcap"]) for node in _entries(top, "visits")),
        events=tuple(_read_block(node, contract.events, read_options["redcap"]) for node in _entries(top, "events")),
        cannot_tell=top["cannot_tell"].texts() if "cannot_tell" in top else (),
        contract=contract,
    )
    mapping = complete_model(mapping)
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
    keys = node.section(
        ("file", *DIALECT_KEYS, "missing", "join", "redcap", "long", "model", "baseline_window", "one_procedure_a_day")
    )
    model = keys["model"].choice(MAIN_FILES) if "model" in keys else None
    _check_read(node, keys)
    return {
        "file": MAIN_FILES[model] if model else keys["file"].text(),
        "dialect": read_dialect(keys),
        "missing": frozenset(map(to_code, keys["missing"].texts())) if "missing" in keys else frozenset(),
        "joins": tuple(_read_join(entry) for entry in _entries(keys, "join")),
        "redcap": _read_redcap(keys["redcap"]) if "redcap" in keys else None,
        "long": tuple(read_long_table(entry) for entry in _entries(keys, "long")),
        "model": model,
        "baseline_window": read_window(keys["baseline_window"]) if "baseline_window" in keys else None,
        "one_procedure_a_day": "one_procedure_a_day" in keys and keys["one_procedure_a_day"].flag(),
    }


def _check_read(node: Node, keys: Mapping[str, Node]) -> None:
    if ("file" in keys) == ("model" in keys):
        raise node.refuse(f"needs either 'file', or 'model: {' | '.join(MAIN_FILES)}'")
    for key in ("join", "redcap", "long"):
        if "model" in keys and key in keys:
            raise keys[key].refuse(f"'{key}' cannot be combined with 'model', which fixes the tables")
    for key in DIALECT_KEYS:
        if key in keys and "model" in keys and keys["model"].text() == "fhir":
            raise keys[key].refuse(f"'{key}' does not apply to FHIR, which is JSON in UTF-8")


def _read_join(node: Node) -> Join:
    keys = node.section(("file", "by", "called"), required=("file", "by"))
    by = keys["by"].text()
    return Join(file=keys["file"].text(), by=by, called=keys["called"].text() if "called" in keys else by)


def _read_date(node: Node) -> Field:
    keys = node.section(("column", "file", "date_format", *OF), required=("column",))
    return Field(
        target=EPISODES["procedure_year"],
        column=keys["column"].text(),
        file=read_text(keys, "file"),
        of=read_record_rows(keys),
        reads=YEAR,
        date_format=read_date_format(keys["date_format"], needs_day=True) if "date_format" in keys else None,
    )


def _read_redcap(node: Node) -> Redcap:
    keys = node.section(("record", "episode", "ignore"), required=("record",))
    episode = keys["episode"].section(("event", "instrument")) if "episode" in keys else {}
    ignored = [entry.section(("event", "instrument")) for entry in _entries(keys, "ignore")]
    return Redcap(
        record=keys["record"].text(),
        episode=read_record_rows(episode) or RecordRows(),
        ignored=tuple(read_record_rows(rows) or RecordRows() for rows in ignored),
    )


def _read_block(node: Node, columns: Mapping[str, Column], redcap: Redcap | None) -> Block:
    keys = node.section(("file", "when", "patient_id", *OF, *columns))
    fields = {name: child for name, child in keys.items() if name in columns}
    block = Block(
        fields=read_fields(fields, columns),
        file=read_text(keys, "file"),
        when=read_condition(keys["when"]) if "when" in keys else None,
        of=read_record_rows(keys) or (redcap.episode if redcap and "file" not in keys else None),
        patient=read_field(keys["patient_id"], EPISODES["patient_id"]) if "patient_id" in keys else None,
    )
    _check_block(node, block, columns)
    return block


def _check_block(node: Node, block: Block, columns: Mapping[str, Column]) -> None:
    if block.is_long:
        _check_long_block(node, block, columns)
        return
    for name, column in columns.items():
        if column.required and name != "episode_id" and name not in block.fields:
            raise node.refuse(f"the key '{name}' is missing")
    if block.file and not (block.patient or "episode_id" in block.fields):
        raise node.refuse(
            "a block with its own file needs 'episode_id', to link its rows to episodes, or 'patient_id' and the "
            f"month as 'reads: {SINCE}', to link them to the latest procedure before"
        )
    if block.patient and ("episode_id" in block.fields or block.fields["month"].reads != SINCE):
        raise node.refuse(f"'patient_id' needs the month as 'reads: {SINCE}', and no 'episode_id'")
    if block.file and (block.of or any(field.of for field in block.fields.values())):
        raise node.refuse("'event', 'instrument' and 'instance' belong to the main file; this block has its own")


def _check_long_block(node: Node, block: Block, columns: Mapping[str, Column]) -> None:
    if "kind" in columns:
        raise node.refuse("events of long tables are read as a block with 'file' and 'patient_id', not by 'named'")
    if {"month", "episode_id"} & set(block.fields) or block.file or block.patient or block.when:
        raise node.refuse(
            "the dates of the long tables give the months; leave out 'month', 'episode_id', 'patient_id', 'file' and "
            "'when' where values are 'named'"
        )
    if not all(field.named or field.always for field in block.fields.values()):
        raise node.refuse("where one value is 'named', all must be; write another block for the others")


def _check_whole(mapping: RegistryMapping, root: Node, top: Mapping[str, Node]) -> None:
    for name, column in mapping.contract.episodes.items():
        if column.required and name not in mapping.episodes:
            raise top["episodes"].refuse(f"the key '{name}' is missing; every episode needs it")
    if mapping.baseline_rows and mapping.episodes["episode_id"].row_number:
        raise top["baseline_rows"].refuse("rows of several visits need an id; 'row_number' cannot link them")
    _check_redcap(mapping, root, top)
    check_long(mapping, root, top)
    joined = {mapping.file, *(join.file for join in mapping.joins)}
    for location, field, _ in _all_fields(mapping):
        _check_reading(location, field, mapping, root)
    for location, file, block_file in _all_files(mapping):
        if file is not None and file not in joined | {block_file}:
            raise root.refuse(f"{location}: no file '{file}' is named under 'read'; {suggest_name(file, joined)}")


def _check_redcap(mapping: RegistryMapping, root: Node, top: Mapping[str, Node]) -> None:
    if mapping.redcap is None:
        if list_record_rows(mapping):
            raise root.refuse("'event', 'instrument' and 'instance' need 'redcap: {record: ...}' under 'read'")
        return
    if mapping.baseline_rows:
        raise top["baseline_rows"].refuse("a REDCap export needs none: 'read: redcap: episode' names these rows")


def _all_files(mapping: RegistryMapping) -> list[tuple[str, str | None, str | None]]:
    fields = [entry for entry in _all_fields(mapping) if not entry[1].named]
    files = [(location, field.file, block_file) for location, field, block_file in fields]
    files += [("keep_rows_where", condition.file, None) for condition in mapping.keep_rows_where]
    files += [("baseline_rows", mapping.baseline_rows.file, None)] if mapping.baseline_rows else []
    files += [("procedure_date", mapping.procedure_date.file, None)] if mapping.procedure_date else []
    blocks = [block for block in (*mapping.visits, *mapping.events) if block.when]
    return files + [("when", block.when.file, block.file) for block in blocks if block.when]


def _check_reading(location: str, field: Field, mapping: RegistryMapping, root: Node) -> None:
    target, in_visit = field.target, not location.startswith("episodes")
    fits = {
        CHANGE: in_visit and target.name in mapping.contract.episodes,
        PERCENT: in_visit and target.name in mapping.contract.episodes,
        SINCE: in_visit and target.name == "month",
        MONTHS_BEFORE: not in_visit and target.unit == "months",
        YEARS_BEFORE: not in_visit and target.unit == "years",
        YEAR: target.name == "procedure_year",
        BIRTH_YEAR: target.name == "age_years",
    }
    if not fits.get(field.reads, True):
        raise root.refuse(f"{location}: '{field.reads}' does not apply to {target.name}")
    if field.reads in (SINCE, MONTHS_BEFORE, YEARS_BEFORE, BIRTH_YEAR) and mapping.procedure_date is None:
        raise root.refuse(f"{location}: '{field.reads}' needs the top-level key 'procedure_date'")


def _all_fields(mapping: RegistryMapping) -> list[tuple[str, Field, str | None]]:
    fields: list[tuple[str, Field, str | None]] = [
        (f"episodes.{name}", field, None) for name, field in mapping.episodes.items()
    ]
    for table, blocks in (("visits", mapping.visits), ("events", mapping.events)):
        for i, block in enumerate(blocks, 1):
            fields += [(f"{table}[{i}].{name}", field, block.file) for name, field in block.fields.items()]
    return fields
