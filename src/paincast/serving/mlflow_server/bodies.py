"""Read the body of a request to MLflow's server as patients, in each form that its protocol allows."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from paincast.cohort.reading.patients import PatientRows, read_patients
from paincast.contract import Contract
from paincast.errors import DataError, PaincastError
from paincast.files.bounded import JSON_BYTES, parse_json

JSON = "application/json"
SUFFIXES = MappingProxyType({"text/csv": ".csv", "application/vnd.apache.parquet": ".parquet"})
"""Content types of files, and the suffix of such a file."""

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
"""Keys under which MLflow's protocol has patients in JSON."""

BODY = "the body of the request"


class UnknownFormatError(DataError):
    """The content type of a request is not one that can be read."""


@dataclass(frozen=True)
class PatientFile:
    """Patients as the content of a file, which is read once the contract of the model is known."""

    content: bytes
    suffix: str = ".csv"

    def read(self, contract: Contract) -> PatientRows:
        """Read the content as a file is read: encoding, separator and decimal mark are found in the same way.

        Raises
        ------
        DataError
            If it cannot be read as a table.
        """
        with tempfile.TemporaryDirectory(prefix="paincast-") as folder:
            file = Path(folder, f"patients{self.suffix}")
            file.write_bytes(self.content)
            try:
                return read_patients(file, contract=contract)
            except DataError as error:
                raise DataError(str(error).replace(str(file), BODY), code=error.code) from None


def read_body(body: bytes | str, content_type: str | None) -> object:
    """Read the body of a request.

    Parameters
    ----------
    body : bytes or str
        The body.
    content_type : str, optional
        Value of the header; parameters other than the character set are ignored.

    Returns
    -------
    object
        Patients, for :func:`paincast.cohort.reading.patients.read_patients`, or :class:`PatientFile`.

    Raises
    ------
    UnknownFormatError
        If the content type is not JSON, CSV or Parquet, or the character set is not UTF-8.
    DataError
        If the body is too large, is not JSON, or has no patients in one of the four forms.
    """
    kind, *parameters = [part.strip().lower() for part in (content_type or "").split(";")]
    charsets = {part.partition("=")[2].strip('"') for part in parameters if part.startswith("charset=")}
    if kind not in (JSON, *SUFFIXES) or charsets - {"utf-8", "utf8"}:
        raise UnknownFormatError(
            f"a request has one of the content types {', '.join((JSON, *SUFFIXES))}, in UTF-8; give it in the header "
            "Content-Type",
            code="PC-MLFLOW-01",
        )
    raw = body.encode() if isinstance(body, str) else body
    if len(raw) > JSON_BYTES:
        raise DataError(
            f"{BODY} is larger than {JSON_BYTES:,} bytes; send the patients in several requests, or use "
            "'paincast predict', which has no such limit",
            code="PC-MLFLOW-02",
        )
    return PatientFile(raw, SUFFIXES[kind]) if kind in SUFFIXES else read_json(raw)


def read_json(raw: bytes) -> object:
    """Read a JSON body with one of the keys of :data:`FORMS`.

    Raises
    ------
    DataError
        If it is not a JSON object, has not exactly one of the keys, or what stands there is no table.
    """
    content = parse_json(raw, BODY)
    forms = [name for name in FORMS if name in content]
    if len(forms) != 1:
        raise DataError(
            f"{BODY} has {len(forms)} of the keys {', '.join(FORMS)}; give exactly one, with a row for each patient",
            code="PC-MLFLOW-03",
        )
    patients = _READERS[forms[0]](content[forms[0]])
    if patients is None:
        raise DataError(f"the patients under '{forms[0]}' are no table; give {_SHAPES[forms[0]]}", code="PC-MLFLOW-04")
    return patients


def _read_split(content: object) -> object | None:
    if not isinstance(content, dict) or not {"columns", "data"} <= content.keys() <= {"columns", "data", "index"}:
        return None
    columns, rows, index = content["columns"], content["data"], content.get("index")
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        return None
    if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == len(columns) for row in rows):
        return None
    if index is not None and not (isinstance(index, list) and len(index) == len(rows)):
        return None
    return pd.DataFrame(rows, columns=columns, dtype=object)


def _read_records(content: object) -> object | None:
    if not isinstance(content, list) or not all(isinstance(patient, dict) for patient in content):
        return None
    return pd.DataFrame(content, dtype=object)


def _read_columns(content: object) -> object | None:
    if not isinstance(content, dict):
        return _read_records(content)
    lengths = {len(cells) if isinstance(cells, list) else -1 for cells in content.values()}
    if lengths == {-1}:
        return pd.DataFrame([content], dtype=object)
    return pd.DataFrame(content, dtype=object) if len(lengths) == 1 else None


_READERS: Mapping[str, Callable[[object], object | None]] = MappingProxyType(
    {
        "dataframe_split": _read_split,
        "dataframe_records": _read_records,
        "instances": _read_columns,
        "inputs": _read_columns,
    }
)
_OF_COLUMNS = "a list with an object for each patient, or an object with a list for each column"
_SHAPES = MappingProxyType(
    {
        "dataframe_split": "an object with 'columns' (names) and 'data' (a list for each patient)",
        "dataframe_records": "a list with an object for each patient",
        "instances": _OF_COLUMNS,
        "inputs": _OF_COLUMNS,
    }
)


def write_json(predictions: pd.DataFrame, **more: Any) -> str:
    """Write predictions as MLflow's protocol has them, in strict JSON: null where there is no number.

    Examples
    --------
    >>> write_json(pd.DataFrame({"probability": [0.5, float("nan")]}))
    '{"predictions": [{"probability": 0.5}, {"probability": null}]}'
    """
    cells = predictions.astype(object)
    records = cells.where(cells.notna(), None).to_dict("records")
    return json.dumps({"predictions": records, **more}, allow_nan=False)


def refuse_path(patients: object) -> None:
    """Refuse text and paths: whoever asks may not name a file of the server.

    Raises
    ------
    DataError
        If the patients are given as one.
    """
    if isinstance(patients, str | bytes | os.PathLike):
        raise DataError(
            "patients cannot be given as text or path here; give a table with a row for each patient",
            code="PC-MLFLOW-05",
        )


def put_code_in_front(error: PaincastError) -> PaincastError:
    """Put the code of an error before its message: MLflow and Spark pass on the text of an exception alone.

    Examples
    --------
    >>> put_code_in_front(DataError("no table", code="PC-MLFLOW-04"))
    DataError('PC-MLFLOW-04: no table')
    """
    message = str(error)
    return error if message.startswith(error.code) else type(error)(f"{error.code}: {message}", code=error.code)
