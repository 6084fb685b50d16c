"""Read predictions back that a batch wrote, the same from both formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from paincast.deferred import pandas as pd
from paincast.deferred import parquet as pq
from paincast.errors import DataError
from paincast.files.inputs import require_regular_file
from paincast.files.spreadsheets import restore_formula
from paincast.predictor import LISTS, PREDICTION_COLUMNS
from paincast.predictor.rows import TYPES

_TEXTS = [column for column in PREDICTION_COLUMNS if column not in TYPES]


def read_predictions(path: str | Path) -> pd.DataFrame:
    """Read the predictions that :func:`predict_file` wrote; the result is the same for both formats.

    Parameters
    ----------
    path : str or Path
        A ``.csv`` or ``.parquet`` file of predictions.

    Returns
    -------
    DataFrame of shape (n, len(PREDICTION_COLUMNS))
        Reasons as lists; missing texts are empty. Ids are as given, without the apostrophe that protects them from
        being read as formulas by a spreadsheet; integers of a Parquet file stay integers.

    Raises
    ------
    DataError
        If the file cannot be read, or has no predictions.
    """
    require_regular_file(path)
    try:
        rows = _read_rows(Path(path))
        # Predictions of earlier versions lack columns that were added since.
        numbers = [name for name, kind in TYPES.items() if kind == pa.float64()]
        added: dict[str, Any] = {"missing_values": "[]", **dict.fromkeys(numbers, float("nan"))}
        rows = rows.assign(**{name: value for name, value in added.items() if name not in rows})
        reasons = {name: rows[name].map(_read_reasons) for name in LISTS}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, pa.ArrowException) as error:
        raise DataError(f"{path} is not a predictions file ({type(error).__name__})", code="PC-SERVING-04") from error
    rows = rows.assign(**{name: "" for name in _TEXTS if name not in rows})
    texts = {
        name: rows[name].fillna("").astype("str") for name in _TEXTS if not pd.api.types.is_integer_dtype(rows[name])
    }
    read = rows.assign(**texts, **reasons).astype({"eligible": "boolean", "in_domain": "boolean"})
    return read[list(PREDICTION_COLUMNS)]


def _read_rows(path: Path) -> pd.DataFrame:
    if path.suffix.lower() == ".parquet":
        return pd.DataFrame(pq.read_table(path).to_pandas())
    texts = [*_TEXTS, *LISTS]
    rows = pd.read_csv(
        path,
        dtype=dict.fromkeys(texts, "str"),
        keep_default_na=False,  # a patient may be called NA
        na_values={name: [""] for name in PREDICTION_COLUMNS if name not in texts},
    )
    return rows.assign(**{name: rows[name].map(restore_formula) for name in texts if name in rows})


def _read_reasons(written: Any) -> list[Any]:
    reasons = json.loads(written) if isinstance(written, str) else written
    return [{name: value for name, value in reason.items() if value is not None} for reason in reasons]
