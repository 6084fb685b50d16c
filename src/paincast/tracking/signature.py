"""Make the signature and requirements of the served model from the column declarations."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from paincast.contract import Contract
from paincast.predictor import make_abstentions
from paincast.schema import Column

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

PINNED = ("paincast", "mlflow", "numpy", "pandas", "scipy", "xgboost-cpu", "xgboost")


def input_columns(contract: Contract) -> tuple[Column, ...]:
    """Return the input columns: those known before the procedure that are neither sensitive nor process columns."""
    return tuple(
        column
        for column in contract.episodes.values()
        if column.timing == "before" and column.role not in ("sensitive", "process")
    )


def make_signature(contract: Contract) -> ModelSignature:
    """Make the signature of the served model.

    The inputs are named, optional and of any type. With declared types MLflow would refuse integers for doubles, and
    print the patients' rows if a number contains text; the model checks the values itself and prints none.

    Returns
    -------
    mlflow.models.ModelSignature
        The outputs are doubles, booleans and strings.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import AnyType

    anything = AnyType()  # type: ignore[no-untyped-call]
    return ModelSignature(
        inputs=Schema([ColSpec(anything, column.name, required=False) for column in input_columns(contract)]),
        outputs=Schema([ColSpec(kind, name) for name, kind in output_types().items()]),
    )


def output_types() -> dict[str, str]:
    """Return the MLflow type of each output: of the columns of a prediction as their rows are made, and the rejects."""
    no_patients = pd.DataFrame({name: pd.Series(dtype="str") for name in ("episode_id", "patient_id")})
    rows = make_abstentions(no_patients, technique="", outcome="", because="")
    # Lists are served as JSON text.
    types = {
        name: "boolean" if is_bool_dtype(dtype) else "double" if is_numeric_dtype(dtype) else "string"
        for name, dtype in rows.dtypes.items()
    }
    return {**{str(name): kind for name, kind in types.items()}, "input_rejects": "string"}


def describe_columns(contract: Contract) -> dict[str, str]:
    """Describe the allowed values of each input column."""
    return {column.name: column.allowed for column in input_columns(contract)}


def list_requirements() -> list[str]:
    """List the packages that the served model needs, with installed versions, as pip requirements."""
    requirements = []
    for name in PINNED:
        try:
            requirements.append(f"{name}=={version(name)}")
        except PackageNotFoundError:
            continue
    return requirements
