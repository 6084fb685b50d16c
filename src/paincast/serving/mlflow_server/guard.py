"""Put paincast's own reading and errors in the place of those of MLflow's scoring server.

MLflow repeats a body that it cannot read in its answer, writes NaN into JSON, and reads numbers and texts of CSV by
rules of its own. There is no setting against it, so that functions of ``mlflow.pyfunc.scoring_server`` are replaced:
in the process of ``mlflow models serve`` the one that answers requests, in that of ``mlflow models predict`` those that
read and write, for this one prediction. The requirements of a model pin the version of MLflow, and a test holds each
function against that version.
"""

from __future__ import annotations

import inspect
import json
import logging
import os
from collections.abc import Callable, Mapping
from functools import cache, wraps
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import pandas as pd

from paincast.errors import DataError, PaincastError
from paincast.predictor import SERVED_COLUMNS
from paincast.serving.mlflow_server.bodies import (
    JSON,
    PatientFile,
    UnknownFormatError,
    put_code_in_front,
    read_body,
    read_json,
    write_json,
)

BAD_REQUEST, UNSUPPORTED_MEDIA_TYPE = 400, 415
SERVED_PATH = "__pyfunc_model_path__"
"""Environment variable that holds the path of the model in the process of MLflow's server."""

PREDICTING = "_MLFLOW_IS_IN_SERVING_ENVIRONMENT"
"""Environment variable that is set while ``mlflow models predict`` loads a model, reads patients and predicts."""

_logger = logging.getLogger("mlflow.paincast")


def guard_server() -> None:
    """Replace functions of MLflow's server where this process serves a model; elsewhere nothing happens."""
    if SERVED_PATH not in os.environ and PREDICTING not in os.environ:
        return
    from mlflow.pyfunc import scoring_server
    from mlflow.version import VERSION

    if changed := list_changed():
        _logger.warning(
            "MLflow %s has another %s than the version this model was logged with: errors of its server may repeat "
            "what was sent; install the requirements of the model",
            VERSION,
            ", ".join(changed),
        )
    elif SERVED_PATH in os.environ:
        scoring_server.invocations = REPLACED["invocations"]
    else:
        scoring_server.predictions_to_json = REPLACED["predictions_to_json"]
        for name in READERS:
            setattr(scoring_server, name, _use_once(REPLACED[name]))


def _use_once(reader: Callable[..., Any]) -> Callable[..., Any]:
    """Give MLflow its readers back when one is called: the next prediction may be of another model."""

    @wraps(reader)
    def read_once(*given: Any, **named: Any) -> Any:
        from mlflow.pyfunc import scoring_server

        for name in READERS:
            setattr(scoring_server, name, _find_originals()[name])
        return reader(*given, **named)

    return read_once


@cache
def _find_originals() -> Mapping[str, Callable[..., Any]]:
    from mlflow.pyfunc import scoring_server

    return {name: was for name in REPLACED if callable(was := getattr(scoring_server, name, None))}


def list_changed() -> list[str]:
    """List the functions that MLflow's server no longer has, or that take something else."""
    originals = _find_originals()
    return [
        name
        for name, function in REPLACED.items()
        if name not in originals
        or [*inspect.signature(originals[name]).parameters] != [*inspect.signature(function).parameters]
    ]


def _invocations(data: bytes, content_type: str | None, model: Any, input_schema: object) -> Any:  # noqa: ARG001
    """Answer a request in the server."""
    from mlflow.pyfunc.scoring_server import InvocationsResponse

    try:
        answer, status = write_json(model.predict(read_body(data, content_type))), 200
    except UnknownFormatError as error:
        answer, status = write_error(error), UNSUPPORTED_MEDIA_TYPE
    except PaincastError as error:
        answer, status = write_error(error), BAD_REQUEST
    except Exception as error:
        unforeseen = DataError(f"the request could not be answered ({type(error).__name__})", code="PC-MLFLOW-07")
        answer, status = write_error(unforeseen), BAD_REQUEST
    return InvocationsResponse(response=answer, status=status, mimetype=JSON)


def write_error(error: PaincastError) -> str:
    """Write an error as MLflow's clients read it: its code and its message, which holds no value of a patient."""
    return json.dumps({"error_code": error.code, "message": str(put_code_in_front(error))})


def _parse_json_data(data: bytes | str, metadata: object, input_schema: object) -> Any:  # noqa: ARG001
    """Read the JSON file of ``mlflow models predict``."""
    from mlflow.pyfunc.scoring_server import ParsedJsonInput

    try:
        patients = read_json(data.encode() if isinstance(data, str) else data)
    except PaincastError as error:
        raise put_code_in_front(error) from None
    return ParsedJsonInput(data=patients, params=None, is_unified_llm_input=False)


def _parse_csv_input(csv_input: str | IO[Any], schema: object = None) -> PatientFile:  # noqa: ARG001
    """Read the CSV file of ``mlflow models predict``."""
    if isinstance(csv_input, str):
        try:
            return PatientFile(Path(csv_input).read_bytes())
        except OSError as error:
            unread = DataError(f"{csv_input} cannot be read: {error.strerror}", code="PC-MLFLOW-06")
            raise put_code_in_front(unread) from None
    text = csv_input.read()
    return PatientFile(text.encode() if isinstance(text, str) else text)


def _predictions_to_json(
    raw_predictions: pd.DataFrame, output: IO[str], metadata: Mapping[str, Any] | None = None
) -> None:
    """Write the answers of ``mlflow models predict``; those of another model as MLflow does."""
    if [*getattr(raw_predictions, "columns", ())] != [*SERVED_COLUMNS]:
        _find_originals()["predictions_to_json"](raw_predictions, output, metadata)
    else:
        output.write(write_json(raw_predictions, **(metadata or {})))


READERS = ("_parse_json_data", "parse_csv_input")
REPLACED: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "invocations": _invocations,
        "_parse_json_data": _parse_json_data,
        "parse_csv_input": _parse_csv_input,
        "predictions_to_json": _predictions_to_json,
    }
)
"""Functions of ``mlflow.pyfunc.scoring_server`` by name, and what stands in their place."""
