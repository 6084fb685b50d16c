"""References to patients: by id, by address in a bundle, by identifier, and to a contained patient."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from paincast.cohort.long.fhir.elements import as_block, as_blocks, as_text

_PATIENT = re.compile(r"(?:.*/)?Patient/([^/?#]+)(?:/_history/.*)?")
_BY_IDENTIFIER = re.compile(r"(?:.*/)?Patient\?identifier=(.+)")


def read_reference(resource: Mapping[str, Any], element: str) -> str:
    """Read a reference to a patient; empty if there is none.

    Returns
    -------
    str
        An address, or ``identifier:`` followed by ``system|value``.

    Examples
    --------
    >>> read_reference({"subject": {"reference": "Patient/7/_history/2"}}, "subject")
    'Patient/7/_history/2'
    >>> read_reference({"subject": {"identifier": {"system": "urn:mrn", "value": "12"}}}, "subject")
    'identifier:urn:mrn|12'
    """
    reference = as_block(resource.get(element))
    address = as_text(reference.get("reference"))
    if address.startswith("#"):
        contained = [block for block in as_blocks(resource.get("contained")) if as_text(block.get("id")) == address[1:]]
        of_patient = [block for block in contained if block.get("resourceType") == "Patient"]
        keys = list_identifiers(of_patient[0]) if of_patient else []
        return f"identifier:{keys[0]}" if keys else ""
    if match := _BY_IDENTIFIER.fullmatch(address):
        return f"identifier:{match[1]}"
    if address:
        return address
    keys = list_identifiers({"identifier": reference.get("identifier")})
    return f"identifier:{keys[0]}" if keys else ""


def list_identifiers(patient: Mapping[str, Any]) -> list[str]:
    """List the identifiers of a patient as ``system|value``."""
    identifiers = as_blocks(patient.get("identifier"))
    pairs = [(as_text(block.get("system")), as_text(block.get("value"))) for block in identifiers]
    return [f"{system}|{value}" for system, value in pairs if value]


class Patients:
    """The ids of patients by their addresses and identifiers."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}
        self._shared: set[str] = set()

    def add(self, patient: Mapping[str, Any], full_url: str) -> str:
        """Add a patient; return the id, or the address in the bundle of a patient that has none."""
        person = as_text(patient.get("id")) or full_url
        keys = [f"identifier:{key}" for key in list_identifiers(patient)]
        for key in (*keys, *([full_url] if full_url else [])):
            if self._ids.setdefault(key, person) != person:
                self._shared.add(key)
        return person

    def resolve(self, reference: str) -> str:
        """Return the id of the patient that a reference means; empty if it means no patient, or several.

        An identifier that no patient has stands for itself: what refers to it belongs to one person.
        """
        if not reference or reference in self._shared:
            return ""
        if reference in self._ids:
            return self._ids[reference]
        if match := _PATIENT.fullmatch(reference):
            return match[1]
        return reference if reference.startswith(("identifier:", "urn:")) else ""
