"""The JSON Schema of ``bundle.json``: what the types of a predictor declare, and the bounds of their numbers.

What a schema cannot tell — that coefficients match the columns of the encoder, say — is checked by
:mod:`paincast.predictor.bundle.usable` on what was built. Keys that are not named are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from paincast.evidence.conditions import MAXIMUM_DEPTH
from paincast.features import EncodedVariable, FittedEncoder
from paincast.files.bounded import YAML_BYTES
from paincast.files.declared_schema import CELL, LARGEST, MOST_ITEMS, NUMBER, TEXT, SchemaWriter
from paincast.files.json_schema import RECTANGULAR, Check, compile_schema
from paincast.models.binary.kinds import KINDS
from paincast.models.binary.model_kind import Candidate
from paincast.models.binary.uncertainty_components import UncertaintyComponents
from paincast.models.calibration.affine import READABLE, AffineCalibration
from paincast.models.continuous.response import ChangeResponse
from paincast.models.domain import Domain
from paincast.models.serialization import ADDED_BY_CHANGE
from paincast.models.survival.response import DurationResponse
from paincast.predictor.bundle.content import FORMAT, PLAIN
from paincast.settings import BASES

VERSION_PATTERN = "^[0-9a-f]{12}$"
MOST_MODELS = 2_000

_NOT_NEGATIVE: Mapping[str, Any] = {**NUMBER, "minimum": 0}
_POSITIVE: Mapping[str, Any] = {**NUMBER, "minimum": 1e-9}
_SHARE: Mapping[str, Any] = {"type": "number", "minimum": 0, "maximum": 1}
_LEVEL: Mapping[str, Any] = {"exclusiveMinimum": 0, "exclusiveMaximum": 1}
_COUNT: Mapping[str, Any] = {"minimum": 0}
_OPTIONAL: Mapping[str, Any] = {**TEXT, "type": ["string", "null"]}
_TEXTS: Mapping[str, Any] = {"type": "array", "maxItems": 10_000, "items": TEXT}
_VARIANCES: Mapping[str, Any] = {"additionalProperties": _NOT_NEGATIVE}
_TABLE: Mapping[str, Any] = {RECTANGULAR: True, "items": {"type": "array", "maxItems": 10_000, "items": NUMBER}}


def _row(*required: str, **properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a row of a table: some cells of a declared kind, and any others."""
    return {
        "type": "object",
        "maxProperties": 100,
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": CELL,
    }


_CONTRAINDICATION: Mapping[str, Any] = _row(
    "level",
    "reason",
    name=TEXT,
    label=TEXT,
    level=TEXT,
    reason=TEXT,
    indications=_TEXTS,
    when={"$ref": "#/$defs/Condition1"},
)

LIMITS: Mapping[str, Mapping[str, Any]] = {
    "EncodedVariable.kind": {"enum": ["number", "boolean", "category"]},
    "EncodedVariable.scale": _POSITIVE,
    "EncodedVariable.shares": {"items": _SHARE},
    "EncodedVariable.bends": {
        "items": {"type": "array", "prefixItems": [NUMBER, _POSITIVE], "minItems": 2, "maxItems": 2}
    },
    "Domain.precision": _TABLE,
    "UncertaintyComponents.between_sites": _COUNT,
    "UncertaintyComponents.missing": _VARIANCES,
    "UncertaintyComponents.unexplained": _COUNT,
    "UncertaintyComponents.evidence_share": _SHARE,
    "AffineCalibration.slope": {"exclusiveMinimum": 0},
    "IsotonicCalibration.knots": {"minItems": 1},
    "IsotonicCalibration.probabilities": {"items": _SHARE},
    "VennAbersCalibration.lower_values": {"items": _SHARE},
    "VennAbersCalibration.upper_values": {"items": _SHARE},
    "ChangeModel.coefficients": {**_TABLE, "minItems": 3, "maxItems": 3},
    "ChangeModel.level": _LEVEL,
    "ChangeResponse.missing_variances": _VARIANCES,
    "DurationModel.cuts": {"minItems": 1, "items": _POSITIVE},
    "DurationModel.refits": {"minItems": 1, "maxItems": MOST_MODELS},
    "DurationResponse.missing_variances": _VARIANCES,
    "CumulativeChangeResponse.shares": {"minItems": 2},
    "CumulativeChangeResponse.margins": {"minItems": 2},
    "CumulativeChangeResponse.level": _LEVEL,
    "CumulativeChangeResponse.missing_variances": _VARIANCES,
    "TechniqueRules.controls": {
        "maxItems": 10_000,
        "items": _row(
            "indication", "probability", indication=TEXT, approach=_OPTIONAL, probability=_SHARE, source=_TEXTS
        ),
    },
    "TechniqueRules.contraindications": {"maxItems": 10_000, "items": _CONTRAINDICATION},
    "TechniqueRules.gaps": {
        "maxItems": 10_000,
        "items": _row("indication", "reason", indication=TEXT, reason=TEXT),
    },
    "TechniqueRules.remarks": {
        "maxItems": 10_000,
        "items": _row("indication", "approach", "remark", indication=TEXT, approach=_OPTIONAL, remark=TEXT),
    },
    "Predictor.basis": {"enum": list(BASES)},
    "Predictor.horizon_months": {"exclusiveMinimum": 0, "maximum": 1200},
    "Predictor.level": _LEVEL,
    "Predictor.measures": {"maxItems": 100},
    "Predictor.n_training": _COUNT,
    "Predictor.n_real": _COUNT,
    "Predictor.performance": {"items": _row()},
    "ResponseModel.selection": {
        "type": "array",
        "maxItems": MOST_ITEMS,
        "items": _row(belief=TEXT, weight=_SHARE),
    },
}
"""Bounds of single fields, by class and field."""

_ENCODER: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "parameters": {
            "type": "object",
            "maxProperties": 4,
            "properties": {
                "native_missing": {"type": "boolean"},
                "splines": {"type": "boolean"},
                "minimum_observed": _SHARE,
                "minimum_missing": {"type": "integer", "minimum": 0, "maximum": LARGEST},
            },
            "additionalProperties": False,
        },
        "variables": {"type": "array", "maxItems": 10_000, "items": {"$ref": "#/$defs/EncodedVariable"}},
        "unavailable": _TEXTS,
    },
    "required": ["parameters", "variables", "unavailable"],
}


@cache
def compile_bundle_schema() -> Check:
    """Make the function that checks the content of ``bundle.json`` before anything is built from it."""
    return compile_schema(make_bundle_schema())


@cache
def make_bundle_schema() -> dict[str, Any]:
    """Make the JSON Schema (draft 2020-12) of ``bundle.json``.

    Returns
    -------
    dict
        With ``$defs``. A number is always finite, except where ``x-non-finite`` says otherwise.
    """
    writer = SchemaWriter(LIMITS, {FittedEncoder: {"$ref": "#/$defs/EpisodeEncoder"}})
    writer.describe(EncodedVariable)
    plain = {name: {**writer.describe(hint), **LIMITS.get(f"Predictor.{name}", {})} for name, hint in PLAIN.items()}
    calibrations = _describe_calibrations(writer)
    beside = {
        "type": "object",
        "properties": {"calibration": calibrations, "update": writer.describe(AffineCalibration)},
        "required": ["calibration", "update"],
    }
    binary = {
        "encoder": writer.describe(FittedEncoder),
        "domain": writer.describe(Domain),
        "candidate": writer.describe(Candidate),
        "heterogeneity": writer.describe(UncertaintyComponents),
        "selection": LIMITS["ResponseModel.selection"],
        "calibration": calibrations,
        "models": {"type": "array", "minItems": 2, "maxItems": MOST_MODELS, "items": _describe_models(writer)},
        "calibrations_beside": {
            "type": "array",
            "maxItems": MOST_MODELS,
            "items": {"anyOf": [{"type": "null"}, beside]},
        },
    }
    cumulative = {
        name: {**writer.describe(hint), **LIMITS.get(f"CumulativeChangeResponse.{name}", {})}
        for name, hint in ADDED_BY_CHANGE.items()
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "bundle.json of paincast",
        "description": "A model with everything that a prediction needs.",
        "type": "object",
        "properties": {
            "format": {"const": FORMAT},
            "version": {"type": "string", "pattern": VERSION_PATTERN, "maxLength": 12},
            "contract": {"type": "string", "maxLength": YAML_BYTES},
            **plain,
            **binary,
            "shows_reasons": {"type": "boolean"},
            "cumulative_change": {"type": "object", "properties": cumulative, "required": list(cumulative)},
            "duration": writer.describe(DurationResponse),
            "change": writer.describe(ChangeResponse),
        },
        "required": ["format", "version", *(name for name in PLAIN if name != "is_primary")],
        "anyOf": [{"required": list(binary)}, {"required": ["duration"]}, {"required": ["change"]}],
        "$defs": {**writer.definitions, "EpisodeEncoder": dict(_ENCODER), **_describe_conditions()},
    }


def _describe_models(writer: SchemaWriter) -> dict[str, Any]:
    """Describe a model of any kind: its numbers, or only the kind, if it is in a file of its own."""
    kinds = []
    for name, kind in KINDS.items():
        fields = {} if kind.write_file else writer.describe_fields(kind.model_type)
        kinds.append(
            {
                "type": "object",
                "properties": {"kind": {"const": name}, **fields.get("properties", {})},
                "required": ["kind", *fields.get("required", ())],
            }
        )
    return {"anyOf": kinds}


def _describe_calibrations(writer: SchemaWriter) -> dict[str, Any]:
    """Describe a calibration by any method."""
    methods = []
    for method, cls in READABLE.items():
        fields = writer.describe_fields(cls)
        methods.append({**fields, "properties": {"method": {"const": method}, **fields["properties"]}})
        methods[-1]["required"] = [*fields["required"], *(["method"] if method != "affine" else [])]
    return {"anyOf": methods}


def _describe_conditions() -> dict[str, Any]:
    """Describe conditions of contraindications, which may stand within one another to a depth that is bounded."""
    comparison = {
        "column": TEXT,
        "is": {"type": "boolean"},
        "at_least": NUMBER,
        "below": NUMBER,
        "any_of": _TEXTS,
    }
    described = {}
    for depth in range(1, MAXIMUM_DEPTH + 2):
        inner = {"type": "array", "maxItems": 100, "items": {"$ref": f"#/$defs/Condition{depth + 1}"}}
        combined = {} if depth > MAXIMUM_DEPTH else {"any": inner, "all": inner}
        described[f"Condition{depth}"] = {
            "type": "object",
            "maxProperties": 2,
            "properties": {**comparison, **combined},
            "additionalProperties": False,
        }
    return described
