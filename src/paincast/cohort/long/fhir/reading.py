"""Read FHIR files into tables of patients and procedures, and rows of observations and answers."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from paincast.cohort.long.fhir import tables
from paincast.cohort.long.fhir.elements import as_block, as_text, read_time
from paincast.cohort.long.fhir.flatten import (
    DONE,
    NOT_ASSERTED,
    PATIENT_COLUMNS,
    PROCEDURE_COLUMNS,
    Answer,
    NamedValue,
    check_columns,
    flatten_answers,
    flatten_condition,
    flatten_observation,
    flatten_patient,
    flatten_procedure,
    is_asserted,
)
from paincast.cohort.long.fhir.references import Patients, read_reference
from paincast.cohort.long.fhir.resources import (
    NO_RESOURCE,
    NOT_JSON,
    TOO_LONG,
    BadResource,
    Resource,
    find_files,
    read_resources,
)
from paincast.cohort.long.reading import read_long_rows
from paincast.cohort.long.types import LongTable, join_long_rows
from paincast.cohort.rejects import MERGED, STATUS, join_rejects
from paincast.errors import DataError
from paincast.files import hash_file
from paincast.files.inputs import refuse_changed_file, require_regular_file

_LONG = {table.file: table for table in tables.LONG_TABLES}


class FhirRead(NamedTuple):
    """What was read of FHIR files.

    Parameters
    ----------
    sheets : dict of DataFrame of str
        The tables ``Procedure`` and ``Patient``, with the columns asked for, indexed by position.
    long_rows : DataFrame
        Values of observations and answers.
    rejects : DataFrame with columns table, file, row, column, rule, allowed, action
        Resources and values that were left out, by file and line (or entry of a bundle).
    files : dict of (int, str)
        Number of resources and hash of each file.
    others : dict of int
        Number of resources of each type that is not read; of types that are not known together, under ``""``.
    n_other_names, n_without_value : int
        Observations and responses without a name that the mapping reads, and values that are empty.
    """

    sheets: Mapping[str, pd.DataFrame]
    long_rows: pd.DataFrame
    rejects: pd.DataFrame
    files: Mapping[str, tuple[int, str]]
    others: Mapping[str, int]
    n_other_names: int
    n_without_value: int


class _Stored(NamedTuple):
    """What was taken from a resource; ``updated`` tells which of two versions is later."""

    file: str
    place: int
    digest: bytes
    updated: str
    subject: str
    at: str
    row: Mapping[str, str]
    values: Sequence[NamedValue]


@dataclass(kw_only=True)
class _Reader:
    columns: Mapping[str, Collection[str]]
    names: Collection[str]
    patients: Patients = field(default_factory=Patients)
    stored: dict[tuple[str, str], _Stored] = field(default_factory=dict)
    rejects: list[tuple[str, int, str, str, str]] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    questionnaires: dict[str, set[str]] = field(default_factory=dict)
    n_other_names: int = 0

    def read(self, resource: Resource, file: str) -> None:
        """Take what the mapping reads from a resource."""
        kind, content = resource.type, resource.content
        if kind == tables.PATIENTS:
            person = self.patients.add(content, resource.full_url)
            self._store(resource, file, flatten_patient(content, person), ())
        elif kind == tables.PROCEDURES:
            if self._is_done(resource, file):
                self._store(resource, file, flatten_procedure(content, self.columns[kind]), ())
        elif kind in _LONG:
            self._read_values(resource, file)
        else:
            self.others[kind if kind in tables.OTHER_TYPES else ""] += 1

    def _read_values(self, resource: Resource, file: str) -> None:
        if resource.type == "Observation":
            values = flatten_observation(resource.content, self.names)
        elif resource.type == "Condition":
            values = flatten_condition(resource.content, self.names)
        else:
            answers = flatten_answers(resource.content, self.names)
            self._note_questionnaires(resource, answers)
            values = [answer.named for answer in answers]
        if not values:
            self.n_other_names += 1
        elif self._is_done(resource, file):
            self._store(resource, file, {}, values)

    def _note_questionnaires(self, resource: Resource, answers: Sequence[Answer]) -> None:
        questionnaire = as_text(resource.content.get("questionnaire")).split("|")[0]
        for answer in answers:
            if answer.is_bare:
                self.questionnaires.setdefault(answer.named.name, set()).add(questionnaire)

    def _is_done(self, resource: Resource, file: str) -> bool:
        content, element = resource.content, "status"
        if resource.type == "Condition":
            element, allowed = "verificationStatus", f"none of {', '.join(NOT_ASSERTED)}"
            is_done = is_asserted(content)
        else:
            allowed = f"one of {', '.join(DONE[resource.type])}"
            is_done = as_text(content.get("status")) in DONE[resource.type]
        if not is_done:
            self._reject(file, resource.place, f"{resource.type}.{element}", STATUS, allowed)
        return is_done

    def _reject(self, file: str, place: int, column: str, rule: str, allowed: str) -> None:
        self.rejects.append((file, place, column, rule, allowed))

    def _store(self, resource: Resource, file: str, row: Mapping[str, str], values: Sequence[NamedValue]) -> None:
        """Store what was taken; of two versions of a resource, the one that was updated later."""
        kind, content = resource.type, resource.content
        at = _read_day(kind, content)
        updated = as_text(as_block(content.get("meta")).get("lastUpdated"))
        subject = read_reference(content, "subject")
        new = _Stored(file, resource.place, _digest(content), updated, subject, at, row, values)
        key = (kind, as_text(content.get("id")) or resource.full_url or f"{file}, {resource.place}")
        old = self.stored.get(key)
        if old is None:
            self.stored[key] = new
            return
        if old.digest == new.digest:
            self._reject(file, new.place, f"{kind}.id", MERGED, "one resource of each id")
            return
        later, earlier = (new, old) if new.updated > old.updated else (old, new)
        self._reject(
            earlier.file, earlier.place, f"{kind}.id", "duplicate", "one resource of each id; the later version"
        )
        self.stored[key] = later


def read_fhir(given: Sequence[Path], columns: Mapping[str, Collection[str]], names: Collection[str]) -> FhirRead:
    """Read FHIR files.

    Parameters
    ----------
    given : sequence of Path
        Bundles, NDJSON, or folders of them.
    columns : mapping of str to collection of str
        Columns to make of ``Procedure`` and of ``Patient``.
    names : collection of str
        Names of observations and answers to read. Only these are kept in memory.

    Returns
    -------
    FhirRead

    Raises
    ------
    DataError
        If no file is found or there is no procedure, a column is none of a resource, or an answer is named by a
        ``linkId`` that several questionnaires have.
    """
    check_columns(columns[tables.PROCEDURES], PROCEDURE_COLUMNS, tables.PROCEDURES)
    check_columns(columns[tables.PATIENTS], PATIENT_COLUMNS, tables.PATIENTS)
    reader, files = _Reader(columns=columns, names=names), {}
    for path in find_files(given):
        name = path.name if path.name not in files else str(path)
        files[name] = _read_file(path, name, reader)
    _refuse_shared_links(reader.questionnaires)
    long_rows, n_empty, rejects = _make_long_rows(reader, names)
    sheets = {kind: _make_sheet(reader, kind, columns[kind]) for kind in (tables.PROCEDURES, tables.PATIENTS)}
    if sheets[tables.PROCEDURES].empty:
        n_bad = sum(rule in (NOT_JSON, NO_RESOURCE, TOO_LONG) for *_, rule, _ in reader.rejects)
        unread = f"; {n_bad} files, lines or entries are not JSON, or no resource" if n_bad else ""
        raise DataError(
            f"the FHIR files hold no completed Procedure of a patient; give them too{unread}", code="PC-LONG-06"
        )
    listed = pd.DataFrame(
        [(*reject, "row left out") for reject in reader.rejects],
        columns=["table", "row", "column", "rule", "allowed", "action"],
    )
    return FhirRead(
        sheets, long_rows, join_rejects([listed, *rejects]), files, reader.others, reader.n_other_names, n_empty
    )


def _read_file(path: Path, name: str, reader: _Reader) -> tuple[int, str]:
    facts, n = require_regular_file(path), 0
    for found in read_resources(path):
        n += 1
        if isinstance(found, BadResource):
            reader.rejects.append((name, found.place, "", found.rule, found.allowed))
            continue
        try:
            reader.read(found, name)
        except (RecursionError, UnicodeEncodeError):  # nested too deeply, or half of a pair of surrogates
            reader.rejects.append(
                (name, found.place, "", NOT_JSON, "a resource of texts in Unicode, not deeply nested")
            )
    digest = hash_file(path)
    refuse_changed_file(path, facts)
    return n, digest


def _read_day(kind: str, content: Mapping[str, Any]) -> str:
    if kind == "Observation":
        return read_time(content, "effective")
    if kind == "Condition":
        return read_time(content, "onset") or as_text(content.get("recordedDate"))
    return as_text(content.get("authored"))


def _digest(content: Mapping[str, Any]) -> bytes:
    """Hash a resource without its metadata."""
    body = {name: element for name, element in content.items() if name != "meta"}
    return hashlib.blake2b(json.dumps(body, sort_keys=True, ensure_ascii=False).encode(), digest_size=16).digest()


def _refuse_shared_links(questionnaires: Mapping[str, set[str]]) -> None:
    shared = sorted(name for name, found in questionnaires.items() if len(found) > 1)
    if shared:
        raise DataError(
            f"several questionnaires have the linkId {', '.join(shared)}; name items as 'questionnaire#linkId'",
            code="PC-LONG-07",
        )


def _make_sheet(reader: _Reader, kind: str, columns: Collection[str]) -> pd.DataFrame:
    """Make a table of resources; a procedure whose patient cannot be told is rejected."""
    rows: list[Mapping[str, str]] = []
    places: list[int] = []
    n_files = len({stored.file for (of_kind, _), stored in reader.stored.items() if of_kind == kind})
    for (of_kind, _), stored in reader.stored.items():
        if of_kind != kind:
            continue
        row = dict(stored.row)
        if kind == tables.PROCEDURES:
            row[tables.PATIENT] = reader.patients.resolve(stored.subject)
            if not row[tables.PATIENT]:
                reader.rejects.append((stored.file, stored.place, "Procedure.subject", "required", "a patient"))
                continue
        rows.append(row)
        places.append(stored.place if n_files == 1 else len(places) + 1)
    return pd.DataFrame(rows, columns=list(columns), index=pd.Index(places, dtype="int64"), dtype="str").fillna("")


def _make_long_rows(reader: _Reader, names: Collection[str]) -> tuple[pd.DataFrame, int, list[pd.DataFrame]]:
    """Make rows of the values of observations and answers, file by file."""
    by_table: dict[tuple[str, str], list[tuple[int, dict[str, str]]]] = {}
    for (kind, _), stored in reader.stored.items():
        for named in stored.values:
            if named.value.rule:
                reader.rejects.append((stored.file, stored.place, named.element, named.value.rule, named.value.allowed))
                continue
            row = _make_row(_LONG[kind], reader.patients.resolve(stored.subject), stored.at, named)
            by_table.setdefault((kind, stored.file), []).append((stored.place, row))
    parts, rejects, n_empty = [], [], 0
    for (kind, file), placed in by_table.items():
        frame = pd.DataFrame([row for _, row in placed], index=[place for place, _ in placed], dtype="str")
        read = read_long_rows([frame], replace(_LONG[kind], file=file), frozenset(names))
        parts.append(read.rows.assign(table=kind))
        rejects.append(read.rejects)
        n_empty += read.n_without_value
    return join_long_rows(parts), n_empty, rejects


def _make_row(table: LongTable, person: str, at: str, named: NamedValue) -> dict[str, str]:
    texts = (person, named.name, at, named.value.text, named.value.unit)
    return dict(zip(table.columns, texts, strict=True))
