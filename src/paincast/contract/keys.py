"""Keys of ``contract.yaml`` as a JSON Schema: what the reader allows, and what editors and other tools check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from paincast.schema import TECHNIQUES
from paincast.schema.instruments.instrument import Better

VERSION = "1"
NAME_PATTERN = "^[a-z][a-z0-9_]{0,62}$"
TYPES = ("number", "integer", "boolean", "category")
TIMINGS = ("before", "during", "after")
ROLES = ("predictor", "technique", "funnel", "sensitive", "process", "safety")
DIRECTIONS: Mapping[str, Better] = {"higher is worse": "lower is better", "higher is better": "higher is better"}
"""How a contract writes a direction, and how the library of instruments does."""
FIRST_LISTED = "first listed that has baseline and follow-up"
EXTENSIBLE = ("function_response", "mood_response", "sleep_response")
"""Built-in outcomes that any instrument of their kind may answer."""

_NAME = {"type": "string", "pattern": NAME_PATTERN}
_TEXT = {"type": "string", "minLength": 1}
_RANGE = {
    "description": "Lowest and highest value, ends included.",
    "type": "array",
    "items": {"type": "number"},
    "minItems": 2,
    "maxItems": 2,
}


def _block(meaning: str, properties: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "description": meaning,
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _named(description: str, block: str) -> dict[str, Any]:
    return {
        "description": description,
        "type": "object",
        "propertyNames": {"pattern": NAME_PATTERN},
        "additionalProperties": {"$ref": f"#/$defs/{block}"},
    }


CONTRACT_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "contract.yaml of paincast",
    "description": "What a registry has beside what is built in: columns, techniques, indications and outcomes.",
    "type": "object",
    "properties": {
        "contract": {"description": "Version of this format.", "enum": [int(VERSION), VERSION]},
        "name": {"description": "Name of the contract, for reports.", **_TEXT},
        "instruments": _named("Questionnaires and scales, recorded before the procedure and at visits.", "instrument"),
        "predictors": _named("Columns of an episode.", "predictor"),
        "techniques": _named("Techniques.", "technique"),
        "indications": _named("Indications: the diagnoses treated.", "indication"),
        "outcomes": _named("Outcomes asked of the visits.", "outcome"),
    },
    "required": ["contract", "name"],
    "additionalProperties": False,
    "$defs": {
        "responder": _block(
            "The change, in the direction of better, that counts as a response; of two, either suffices.",
            {
                "absolute": {"description": "Points of the instrument.", "type": "number", "exclusiveMinimum": 0},
                "relative": {
                    "description": "Share of the distance between the baseline value and the best score.",
                    "type": "number",
                    "exclusiveMinimum": 0,
                    "maximum": 1,
                },
                "source": {"description": "Publication of the threshold, with its DOI.", **_TEXT},
                "because": {"description": "Why, where nothing is published or another threshold is usual.", **_TEXT},
            },
        ),
        "instrument": _block(
            "An instrument of the library, or one of your own.",
            {
                "from": {"description": "'library' takes the instrument of that name.", "const": "library"},
                "title": _TEXT,
                "range": _RANGE,
                "direction": {"enum": list(DIRECTIONS)},
                "unit": _TEXT,
                "label": {"description": "Short name for figures.", **_TEXT},
                "responder": {"$ref": "#/$defs/responder"},
            },
        ),
        "predictor": _block(
            "A column of an episode. Models see it if it is known before the procedure.",
            required=("known",),
            properties={
                "type": {"enum": list(TYPES)},
                "known": {"description": "When the value is known, relative to the procedure.", "enum": list(TIMINGS)},
                "unit": _TEXT,
                "range": _RANGE,
                "values": {
                    "description": "The values of a category.",
                    "type": "array",
                    "items": _TEXT,
                    "minItems": 2,
                    "maxItems": 60,
                    "uniqueItems": True,
                },
                "role": {
                    "description": "What it is used for; sensitive and safety columns are no model inputs.",
                    "enum": list(ROLES),
                },
                "skewed": {"description": "Whether a number is analysed as log(1 + value).", "type": "boolean"},
                "label": {"description": "Short name for figures.", **_TEXT},
                "description": _TEXT,
                "instrument": {
                    "description": "The instrument whose score it is: type, unit and range are taken.",
                    **_NAME,
                },
            },
        ),
        "technique": _block(
            "A technique of your own.",
            required=("title",),
            properties={
                "title": _TEXT,
                "like": {
                    "description": "Built-in technique whose published evidence is the prior; by default none.",
                    "enum": ["none", *TECHNIQUES],
                },
                "evidence": {"description": "No record stands behind a technique of your own.", "const": "none"},
                "month": {
                    "description": "Month at which its outcomes are asked.",
                    "type": "number",
                    "exclusiveMinimum": 0,
                    "maximum": 240,
                },
                "codes": {
                    "description": "Procedure codes by coding system.",
                    "type": "object",
                    "additionalProperties": {"type": "array", "items": _TEXT},
                },
            },
        ),
        "indication": _block(
            "An indication of your own.",
            required=("title",),
            properties={"title": _TEXT, "icd10": {"type": "array", "items": _TEXT}},
        ),
        "outcome": _block(
            "An outcome of your own, or further instruments for a built-in one.",
            {
                "title": {"description": "What is predicted, in words.", **_TEXT},
                "is_not": {"description": "What it must not be read as.", **_TEXT},
                "from": {"description": "Instrument, or column of the visits, that answers.", **_NAME},
                "responder": {"$ref": "#/$defs/responder"},
                "at_month": {
                    "description": "Month at which it is asked.",
                    "type": "number",
                    "exclusiveMinimum": 0,
                    "maximum": 240,
                },
                "window": {**_RANGE, "description": "First and last month of the visits that count."},
                "any_of": {
                    "description": f"Instruments that may answer {', '.join(EXTENSIBLE)}, in this order.",
                    "type": "array",
                    "items": _NAME,
                    "minItems": 1,
                    "uniqueItems": True,
                },
                "answered_by": {"const": FIRST_LISTED},
            },
        ),
    },
}
"""JSON Schema (draft 2020-12) of ``contract.yaml``."""


def list_keys(block: str = "") -> tuple[str, ...]:
    """List the keys of a block of the contract; of the whole file if none is named."""
    found = CONTRACT_SCHEMA["$defs"][block] if block else CONTRACT_SCHEMA
    return tuple(found["properties"])


def list_required(block: str = "") -> tuple[str, ...]:
    """List the keys that a block of the contract must hold."""
    found = CONTRACT_SCHEMA["$defs"][block] if block else CONTRACT_SCHEMA
    return tuple(found["required"])
