"""Make the signature of the served model from the column declarations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from paincast.contract import Contract
from paincast.predictor import SERVED_COLUMNS
from paincast.predictor.rows import TYPES
from paincast.schema import Column

if TYPE_CHECKING:
    from mlflow.models import ModelSignature


def input_columns(contract: Contract) -> tuple[Column, ...]:
    """Return the input columns: those known before the procedure that are neither sensitive nor process columns."""
    return tuple(
        column
        for column in contract.episodes.values()
        if column.timing == "before" and column.role not in ("sensitive", "process")
    )


def make_signature(contract: Contract) -> ModelSignature:
    """Make the signature of the served model.

    The inputs are named, optional and of any type. With declared types MLflow would refuse whole numbers for numbers
    and a word in a column of numbers, which is one cell left out here, and would read a missing truth value as false.
    It is marked as one that the model checks by itself (for MLflow: from type hints), so that all columns reach the
    model; MLflow would otherwise drop those that it does not know, such as a name with a slip, and log their names.

    Returns
    -------
    mlflow.models.ModelSignature
        The outputs are doubles, booleans and strings.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import AnyType

    anything = AnyType()  # type: ignore[no-untyped-call]
    signature = ModelSignature(
        inputs=Schema([ColSpec(anything, column.name, required=False) for column in input_columns(contract)]),
        outputs=Schema([ColSpec(kind, name) for name, kind in output_types().items()]),
    )
    signature._is_signature_from_type_hint = True
    return signature


def output_types() -> dict[str, str]:
    """Return the MLflow type of each output: of the columns of a prediction, whose lists are JSON text, and rejects."""
    kinds = {pa.float64(): "double", pa.int64(): "double", pa.bool_(): "boolean"}
    return {name: kinds.get(TYPES.get(name, pa.string()), "string") for name in SERVED_COLUMNS}


def describe_columns(contract: Contract) -> dict[str, str]:
    """Describe the allowed values of each input column."""
    return {column.name: column.allowed for column in input_columns(contract)}
