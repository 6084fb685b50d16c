"""Describe the server as OpenAPI: the columns of patients from the contract of the models, and what is answered."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pyarrow as pa

from paincast.cohort.rejects import REJECT_FACTS
from paincast.eligibility import check_techniques
from paincast.errors import RefusalError
from paincast.predictor.answers import MOST_REASONS
from paincast.predictor.ids import ID_COLUMNS
from paincast.predictor.rows import LISTS, PREDICTION_SCHEMA
from paincast.schema import Column
from paincast.scoring.reasons import REASON
from paincast.serving.asked import ALL
from paincast.serving.rest.answers import MOST_ROWS
from paincast.serving.rest.body import MOST_MONTHS, MOST_TOLD
from paincast.serving.rest.models import ServedModels, make_patient
from paincast.serving.rest.options import ServerOptions
from paincast.version import __version__

Schema = dict[str, Any]

NUMBER: Schema = {"type": ["number", "null"]}
TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": ["boolean", "null"]}
ID: Schema = {"type": ["string", "integer", "null"]}

ERRORS = {
    "400": "The body is not JSON, is nested too deeply, or names something twice.",
    "401": "The token is missing or wrong.",
    "408": "The body did not come in time.",
    "413": "The body is too large, there are too many patients, or the answer would have too many rows.",
    "415": "The body is not declared as JSON, or is compressed.",
    "422": "A name or a value of what is asked is not allowed, or the patients are no table.",
    "500": "A bug; the log of the server has the place.",
    "503": "Too many requests wait, no model is loaded, or the audit log cannot be written; try again.",
    "504": "The answer took too long.",
}


def describe_server(served: ServedModels, options: ServerOptions) -> Schema:
    """Describe the server and its models.

    Parameters
    ----------
    served : ServedModels
        Their contract declares the columns of patients.
    options : ServerOptions
        Its limits are told.

    Returns
    -------
    dict
        An OpenAPI 3.1 document.
    """
    document: Schema = {
        "openapi": "3.1.0",
        "info": {
            "title": "paincast",
            "version": __version__,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "What to expect from an image-guided pain procedure: a prognosis GIVEN the technique, not "
            "its effect. Research software; no output is medical advice, and each row says what it may be used for.",
        },
        "paths": {
            "/predict": {"post": _describe_predict(served)},
            "/models": {"get": _describe_get("The models that are served", "Models", ["401", "500"])},
            "/ready": {
                "get": {
                    **_describe_get("Whether models are loaded", "Ready", ["500"], is_open=True),
                    "responses": {
                        **_respond("Models are loaded.", "Ready", ["500"]),
                        "503": _content("No model is loaded.", "Ready"),
                    },
                }
            },
            "/health": {"get": _describe_get("Whether the server is alive", "Health", ["500"], is_open=True)},
        },
        "components": {"schemas": _list_schemas(served, options)},
    }
    if options.token is not None:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
    return document


def _describe_predict(served: ServedModels) -> Schema:
    indication = next((model.rules.indications[0] for model in served.models.values()), "lumbar_facet")
    return {
        "operationId": "predict",
        "summary": "Predict for patients",
        "description": "Every patient gets a row for each technique, outcome and month that is asked, or one that says "
        "why nothing is; a row is an answer, or an abstention with its reason. Values that cannot be used "
        "are no error: they are left out, and listed in `rejects` without the value.",
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": _refer("Question"),
                    "examples": {
                        "invented": {
                            "summary": "A patient who does not exist",
                            "value": {"patients": [make_patient(served.contract, indication)]},
                        }
                    },
                }
            },
        },
        "responses": _respond("Predictions, and what was left out.", "Answer", list(ERRORS)),
    }


def _describe_get(summary: str, schema: str, errors: list[str], *, is_open: bool = False) -> Schema:
    described: Schema = {
        "operationId": schema.lower(),
        "summary": summary,
        "responses": _respond(f"{summary}.", schema, errors),
    }
    return {**described, "security": []} if is_open else described


def _respond(description: str, schema: str, errors: list[str]) -> Schema:
    refused = {status: _content(ERRORS[status], "Error") for status in errors}
    return {"200": _content(description, schema), **refused}


def _content(description: str, schema: str) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": _refer(schema)}}}


def _refer(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _list_schemas(served: ServedModels, options: ServerOptions) -> Schema:
    predictions = {"row": {"type": "integer", "minimum": 1, "description": "Place of the patient in `patients`."}}
    predictions |= {field.name: _type_answer(field) for field in PREDICTION_SCHEMA}
    reason = {field.name: TEXT if pa.types.is_string(field.type) else NUMBER for field in REASON}
    reject = {name: {"type": "integer"} if name == "row" else TEXT for name in REJECT_FACTS}
    return {
        "Question": _describe_question(served, options),
        "Patient": _describe_patient(served),
        "Answer": _object(
            predictions={"type": "array", "items": _refer("Prediction")},
            rejects={"type": "array", "items": _refer("Reject")},
            models={"type": "object", "additionalProperties": TEXT, "description": "Version of each model asked."},
        ),
        "Prediction": _object(**predictions),
        "Reason": {"type": "object", "properties": reason},
        "Reject": {
            **_object(**reject),
            "description": "A value, a row or a column that was left out; `row` counts from 1, 0 is the whole column.",
        },
        "Models": _object(
            models={"type": "array", "items": _refer("Model")},
            loaded_at={"type": "string", "format": "date-time"},
            notes={"type": "array", "items": TEXT},
            problems={"type": "array", "items": _refer("Error")},
        ),
        "Model": _describe_model(),
        "Ready": _object(
            ready={"type": "boolean"},
            models={"type": "integer"},
            loaded_at={"type": "string", "format": "date-time"},
            problems={"type": "array", "items": TEXT, "description": "Codes of what keeps newer models away."},
        ),
        "Health": _object(status=TEXT, version=TEXT),
        "Error": _object(code={"type": "string", "pattern": "^PC-[A-Z-]+-[0-9]{2,3}$"}, message=TEXT),
    }


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _describe_question(served: ServedModels, options: ServerOptions) -> Schema:
    known = served.known
    return {
        "type": "object",
        "required": ["patients"],
        "additionalProperties": False,
        "properties": {
            "patients": {
                "type": "array",
                "items": _refer("Patient"),
                "maxItems": options.max_patients,
                "description": f"One answer has {MOST_ROWS:,} rows at most.",
            },
            "techniques": {
                "description": "Techniques to ask of every patient, and no others; `all` asks every technique that has "
                "a model. By default those that have a model, of the patients whose indication they treat.",
            }
            | _name_schema(_list_answerable(served)),
            "outcomes": {"description": "Outcomes to answer for; by default those for which a technique has a model."}
            | _name_schema(known.outcomes),
            "months": {
                "type": ["array", "null"],
                "items": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1e6},
                "minItems": 1,
                "maxItems": MOST_MONTHS,
                "description": "Months after the procedure; by default the primary month of each model.",
            },
            "interval": {"type": ["boolean", "null"], "default": True, "description": "Whether limits are computed."},
            "explain": {
                "type": ["integer", "null"],
                "minimum": 0,
                "maximum": MOST_TOLD,
                "default": MOST_REASONS,
                "description": "Most reasons for, and against.",
            },
            "allow_contradicted": {
                "type": ["boolean", "null"],
                "default": False,
                "description": "Whether to answer where an external validation contradicts the model.",
            },
        },
    }


def _list_answerable(served: ServedModels) -> list[str]:
    """List the techniques that can be asked: those of which there is evidence on pain."""
    answerable = []
    for technique in served.contract.techniques:
        with suppress(RefusalError):
            check_techniques([technique], served.contract)
            answerable.append(technique)
    return answerable


def _name_schema(names: Any) -> Schema:
    """Describe one name, several, or all."""
    one = {"type": "string", "enum": [*names, ALL]}
    return {
        "anyOf": [
            one,
            {"type": "array", "items": {"type": "string", "enum": list(names)}, "minItems": 1},
            {"type": "null"},
        ]
    }


def _describe_patient(served: ServedModels) -> Schema:
    columns = served.contract.episodes.values()
    return {
        "type": "object",
        "description": "A patient before the procedure; none but `indication` and the baseline of the outcome is "
        "needed. A value outside its range, or an unknown column, is left out and listed in `rejects`.",
        "properties": {column.name: _describe_column(column) for column in columns},
        "additionalProperties": True,
    }


def _describe_column(column: Column) -> Schema:
    """Describe a column: its type, unit, range or categories, and meaning."""
    unit = f" ({column.unit})" if column.unit else ""
    described: Schema = {"description": f"{column.description}{unit}"}
    if column.name in ID_COLUMNS:
        return {**ID, **described}
    if column.type in ("number", "integer"):
        described |= {"type": [column.type, "null"]}
        described |= {"minimum": column.low} if column.low is not None else {}
        described |= {"maximum": column.high} if column.high is not None else {}
        return {**described, "x-unit": column.unit} if column.unit else described
    if column.type == "category":
        return {**described, "type": ["string", "null"], "enum": [*column.categories, None]}
    return {**described, "type": ["boolean" if column.type == "boolean" else "string", "null"]}


def _type_answer(field: pa.Field) -> Schema:
    """Type a column of a prediction."""
    if field.name in LISTS:
        return {"type": "array", "items": _refer("Reason")}
    if field.name in ID_COLUMNS:
        return ID
    if pa.types.is_boolean(field.type):
        return FLAG
    if pa.types.is_integer(field.type):
        return {"type": "integer"}
    return NUMBER if pa.types.is_floating(field.type) else TEXT


def _describe_model() -> Schema:
    texts = ("name", "technique", "outcome", "version", "use", "basis", "contract", "source")
    validation = {**dict.fromkeys(("cohort", "verdict"), TEXT), **dict.fromkeys(("n", "o_e", "lower", "upper"), NUMBER)}
    return _object(
        **dict.fromkeys(texts, TEXT),
        horizon_months={"type": "number"},
        level={"type": "number"},
        n_training={"type": "integer"},
        n_real={"type": "integer"},
        is_primary={"type": "boolean"},
        indications={"type": "array", "items": TEXT},
        validations={"type": "array", "items": _object(**validation)},
    )
