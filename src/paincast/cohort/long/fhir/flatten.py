"""Turn FHIR resources into rows: a patient, a procedure, and the values of observations and answers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from paincast.cohort.coercion import to_code
from paincast.cohort.long.fhir.elements import (
    SYSTEMS,
    Value,
    as_block,
    as_blocks,
    as_text,
    list_codings,
    list_names,
    name_system,
    read_time,
    read_value,
)
from paincast.errors import DataError

PATIENT_COLUMNS = ("id", "birthDate", "gender", "deceased", "organization")
PROCEDURE_COLUMNS = ("id", "patient", "performed", "encounter", "location", "organization")
CODED_ELEMENTS = ("code", "category", "reasonCode", "bodySite", "outcome", "complication", "followUp")
"""Elements of a procedure with codes: a column is called ``element:system``, or ``element:text``."""

DONE = {
    "Procedure": ("completed",),
    "Observation": ("final", "amended", "corrected"),
    "QuestionnaireResponse": ("completed", "amended"),
}
"""Status of resources that are read."""
NOT_ASSERTED = ("refuted", "entered-in-error")
"""Verification status of conditions that are not read."""


_LOINC = re.compile(r"[0-9]{1,7}-[0-9]")


class NamedValue(NamedTuple):
    """A value of an observation or an answer, by the name that the mapping uses."""

    name: str
    value: Value
    element: str


def check_columns(columns: Collection[str], known: Collection[str], table: str) -> None:
    """Refuse columns that no resource has.

    Raises
    ------
    DataError
        If a column is not called as one of the elements that are read.
    """
    for column in columns:
        element, colon, system = column.partition(":")
        if column in known or (table == "Procedure" and colon and system and element in CODED_ELEMENTS):
            continue
        coded = f"; or {', '.join(CODED_ELEMENTS)}, each with ':system' or ':text'; systems: {', '.join(SYSTEMS)}, or "
        raise DataError(
            f"the mapping names the column '{column}' of {table}; known: {', '.join(known)}"
            + (f"{coded}an address" if table == "Procedure" else ""),
            code="PC-LONG-05",
        )


def flatten_patient(patient: Mapping[str, Any], person: str) -> dict[str, str]:
    """Make the row of a patient."""
    return {
        "id": person,
        "birthDate": as_text(patient.get("birthDate")),
        "gender": as_text(patient.get("gender")),
        "deceased": as_text(patient.get("deceasedDateTime")),
        "organization": as_text(as_block(patient.get("managingOrganization")).get("reference")),
    }


def flatten_procedure(procedure: Mapping[str, Any], columns: Collection[str]) -> dict[str, str]:
    """Make the row of a procedure; several codes of one system are joined, so that no mapping takes one of them."""
    performers = [as_block(block.get("onBehalfOf")) for block in as_blocks(procedure.get("performer"))]
    organizations = [name for block in performers if (name := as_text(block.get("reference")))]
    row = {
        "id": as_text(procedure.get("id")),
        "performed": read_time(procedure, "performed"),
        "encounter": as_text(as_block(procedure.get("encounter")).get("reference")),
        "location": as_text(as_block(procedure.get("location")).get("reference")),
        "organization": " | ".join(dict.fromkeys(organizations)),
    }
    for column in columns:
        element, colon, system = column.partition(":")
        if colon:
            row[column] = _read_codes(procedure.get(element), name_system(system))
    return row


def _read_codes(concepts: object, system: str) -> str:
    if system == "text":
        codes = [as_text(concept.get("text")) for concept in as_blocks(concepts)]
    else:
        codes = [code for of_system, code in list_codings(concepts) if of_system == system]
    return " | ".join(dict.fromkeys(code for code in codes if code))


def flatten_observation(observation: Mapping[str, Any], names: Collection[str]) -> list[NamedValue]:
    """List the values of an observation and of its components that have one of the names."""
    blocks = [(observation, "Observation.value")]
    blocks += [(component, "Observation.component") for component in as_blocks(observation.get("component"))]
    values = []
    for block, element in blocks:
        wanted = [name for name in list_names(block.get("code")) if name in names]
        values += [NamedValue(name, read_value(block), element) for name in wanted]
    return values


def flatten_condition(condition: Mapping[str, Any], names: Collection[str]) -> list[NamedValue]:
    """Give the first name of a condition that is among the names, if there is one; it is its own value."""
    found = [name for name in list_names(condition.get("code")) if name in names][:1]
    return [NamedValue(name, Value(name), "Condition.code") for name in found]


def is_asserted(condition: Mapping[str, Any]) -> bool:
    """Check that a condition was neither refuted nor entered in error."""
    return not {code for _, code in list_codings(condition.get("verificationStatus"))} & set(NOT_ASSERTED)


class Answer(NamedTuple):
    """An answer to an item of a questionnaire, and whether its name holds for this questionnaire alone."""

    named: NamedValue
    is_bare: bool


def flatten_answers(response: Mapping[str, Any], names: Collection[str]) -> list[Answer]:
    """List the answers to items, however deep they are nested, that have one of the names.

    An item is called by its ``linkId``, by the LOINC code that a ``linkId`` such as ``/72514-3`` ends with, or by
    ``questionnaire#linkId``.
    """
    questionnaire = as_text(response.get("questionnaire")).split("|")[0]
    answers = []
    for item in _walk_items(response):
        link = as_text(item.get("linkId"))
        bare = [to_code(link), to_code(link.rsplit("/", 1)[-1])]
        full = [f"{address}#{link}" for address in (questionnaire, questionnaire.rsplit("/", 1)[-1])]
        wanted = [name for name in dict.fromkeys([*bare, *full]) if name in names]
        for answer in as_blocks(item.get("answer")):
            value = read_value(answer)
            answers += [
                Answer(
                    NamedValue(name, value, "QuestionnaireResponse.item.answer"),
                    is_bare=name in bare and not _LOINC.fullmatch(name),
                )
                for name in wanted
            ]
    return answers


def _walk_items(response: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    waiting = as_blocks(response.get("item"))[::-1]
    while waiting:
        item = waiting.pop()
        yield item
        nested = [*as_blocks(item.get("item"))]
        for answer in as_blocks(item.get("answer")):
            nested += as_blocks(answer.get("item"))
        waiting += nested[::-1]
