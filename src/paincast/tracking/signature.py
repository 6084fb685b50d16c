"""What the served model takes and gives, derived from the column declarations, and what it needs to run."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from paincast.schema import EPISODES, Column

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

PINNED = ("paincast", "mlflow", "numpy", "pandas", "scipy", "xgboost-cpu", "xgboost")
DOUBLES = frozenset(
    {
        *("horizon_months", "probability", "lower", "upper", "expected", "expected_lower", "expected_upper", "level"),
        *("control_probability", "n_real"),
    }
)
BOOLEANS = frozenset({"eligible", "in_domain", "abstained"})


def input_columns() -> tuple[Column, ...]:
    """Give the columns a patient is described by: all that are known before and neither audited nor mere process."""
    return tuple(
        column
        for column in EPISODES.values()
        if column.timing == "before" and column.role not in ("sensitive", "process")
    )


def make_signature() -> ModelSignature:
    """Make the signature of the served model.

    The inputs are named, optional and of any type. With declared types MLflow would refuse whole numbers for doubles
    and answer text in a number by printing the patients' rows; the model checks the values itself and prints none.

    Returns
    -------
    mlflow.models.ModelSignature
        The outputs are doubles, booleans and strings.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import AnyType

    from paincast.predictor import PREDICTION_COLUMNS

    anything = AnyType()  # type: ignore[no-untyped-call]
    return ModelSignature(
        inputs=Schema([ColSpec(anything, column.name, required=False) for column in input_columns()]),
        outputs=Schema([ColSpec(_output_type(name), name) for name in (*PREDICTION_COLUMNS, "input_rejects")]),
    )


def _output_type(name: str) -> str:
    return "double" if name in DOUBLES else "boolean" if name in BOOLEANS else "string"


def describe_columns() -> dict[str, str]:
    """Say for each input column what is allowed."""
    return {column.name: column.allowed for column in input_columns()}


def list_requirements() -> list[str]:
    """Give the installed versions of the packages that the served model computes with, as pip requirements."""
    found = []
    for name in PINNED:
        try:
            found.append(f"{name}=={version(name)}")
        except PackageNotFoundError:
            continue
    return found
