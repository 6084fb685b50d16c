"""Elements of FHIR resources: texts, codings by the short names of their systems, and values of every type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from paincast.cohort.coercion import to_code
from paincast.cohort.long.reading import COMPARATOR

SYSTEMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "loinc": ("http://loinc.org", "urn:oid:2.16.840.1.113883.6.1"),
        "snomed": ("http://snomed.info/sct", "urn:oid:2.16.840.1.113883.6.96"),
        "cpt": ("http://www.ama-assn.org/go/cpt", "urn:oid:2.16.840.1.113883.6.12"),
        "hcpcs": (
            "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
            "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
        ),
        "ops": ("http://fhir.de/CodeSystem/bfarm/ops", "http://fhir.de/CodeSystem/dimdi/ops"),
        "icd10pcs": ("http://www.cms.gov/Medicare/Coding/ICD10", "urn:oid:2.16.840.1.113883.6.4"),
        "icd10": ("http://hl7.org/fhir/sid/icd-10", "urn:oid:2.16.840.1.113883.6.3"),
        "icd10cm": ("http://hl7.org/fhir/sid/icd-10-cm", "urn:oid:2.16.840.1.113883.6.90"),
        "icd10gm": ("http://fhir.de/CodeSystem/bfarm/icd-10-gm", "http://fhir.de/CodeSystem/dimdi/icd-10-gm"),
    }
)
"""Addresses of code systems, by the short name that a mapping may use; the codes themselves are not shipped."""

_SHORT = {address: name for name, addresses in SYSTEMS.items() for address in addresses}
_PLAIN = ("valueString", "valueInteger", "valueDecimal", "valueBoolean", "valueDate", "valueDateTime", "valueTime")

VALUE_TYPE = "value type"
"""The ``rule`` for a value of a type that cannot be read, such as a range or an attachment."""


class Value(NamedTuple):
    """A value as text, with its unit; or the rule that it breaks and what is allowed."""

    text: str = ""
    unit: str = ""
    rule: str = ""
    allowed: str = ""


def as_text(value: object) -> str:
    """Return a primitive value as text; empty for anything else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.strip() if isinstance(value, str) else ""


def as_block(value: object) -> Mapping[str, Any]:
    """Return a block of elements; empty for anything else."""
    return value if isinstance(value, dict) else {}


def as_blocks(value: object) -> list[Mapping[str, Any]]:
    """Return the blocks of a list; of a single block, a list of it."""
    blocks = value if isinstance(value, list) else [value]
    return [block for block in blocks if isinstance(block, dict)]


def name_system(address: str) -> str:
    """Return the short name of a code system; its address if it has none.

    Examples
    --------
    >>> name_system("http://loinc.org")
    'loinc'
    """
    return _SHORT.get(address, address)


def list_codings(concepts: object) -> Iterator[tuple[str, str]]:
    """List system, by its short name or address, and code of the codings of a concept or of several."""
    for concept in as_blocks(concepts):
        for coding in as_blocks(concept.get("coding")):
            code = to_code(as_text(coding.get("code")))
            if code:
                yield name_system(as_text(coding.get("system"))), code


def list_names(concept: object) -> list[str]:
    """List the names by which a mapping may call a concept: ``system|code``, and a LOINC code alone.

    Examples
    --------
    >>> list_names({"coding": [{"system": "http://loinc.org", "code": "72514-3"}]})
    ['72514-3', 'loinc|72514-3', 'http://loinc.org|72514-3']
    """
    names = []
    for system, code in list_codings(concept):
        names += [code] if system == "loinc" else []
        names += [f"{address}|{code}" for address in (system, *SYSTEMS.get(system, ())[:1])]
    return list(dict.fromkeys(names))


def read_value(block: Mapping[str, Any]) -> Value:
    """Read ``value[x]`` of an observation, a component or an answer; an empty text if there is none.

    Examples
    --------
    >>> read_value({"valueQuantity": {"value": "80.5", "unit": "kg", "code": "kg"}})
    Value(text='80.5', unit='kg', rule='', allowed='')
    """
    found = [name for name in block if name.startswith("value") and not name.startswith("_")]
    if not found:
        return Value()
    if len(found) > 1:
        return Value(rule=VALUE_TYPE, allowed="one value")
    name, content = found[0], block[found[0]]
    if name in _PLAIN:
        return Value(as_text(content))
    if name == "valueQuantity":
        return _read_quantity(as_block(content))
    if name == "valueCodeableConcept":
        codes = [code for _, code in list_codings(content)]
        return Value(codes[0] if codes else as_text(as_block(content).get("text")))
    if name == "valueCoding":
        coding = as_block(content)
        return Value(to_code(as_text(coding.get("code"))) or as_text(coding.get("display")))
    return Value(rule=VALUE_TYPE, allowed="a quantity, number, text, code, date or truth value")


def _read_quantity(quantity: Mapping[str, Any]) -> Value:
    if as_text(quantity.get("comparator")):
        return Value(rule=COMPARATOR, allowed="a value, not a bound")
    return Value(as_text(quantity.get("value")), as_text(quantity.get("code")) or as_text(quantity.get("unit")))


def read_time(resource: Mapping[str, Any], name: str) -> str:
    """Read a point in time, or the start of a period (its end, if it has no start); empty if there is none."""
    for kind in ("DateTime", "Instant"):
        if text := as_text(resource.get(f"{name}{kind}")):
            return text
    period = as_block(resource.get(f"{name}Period"))
    return as_text(period.get("start")) or as_text(period.get("end"))
