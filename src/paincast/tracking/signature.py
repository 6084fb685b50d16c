"""Make the signature and requirements of the served model from the column declarations."""

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
        *("control_probability", "control_lower", "control_upper", "control_month", "n_real"),
        *("uncertainty_evidence", "uncertainty_model", "uncertainty_site", "uncertainty_missing"),
        *("validated_n", "validated_o_e", "validated_lower", "validated_upper"),
    }
)
BOOLEANS = frozenset({"eligible", "in_domain", "abstained"})


def input_columns() -> tuple[Column, ...]:
    """Return the input columns: those known before the procedure that are neither sensitive nor process columns."""
    return tuple(
        column
        for column in EPISODES.values()
        if column.timing == "before" and column.role not in ("sensitive", "process")
    )


def make_signature() -> ModelSignature:
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

    from paincast.predictor import PREDICTION_COLUMNS

    anything = AnyType()  # type: ignore[no-untyped-call]
    return ModelSignature(
        inputs=Schema([ColSpec(anything, column.name, required=False) for column in input_columns()]),
        outputs=Schema([ColSpec(_output_type(name), name) for name in (*PREDICTION_COLUMNS, "input_rejects")]),
    )


def _output_type(name: str) -> str:
    return "double" if name in DOUBLES else "boolean" if name in BOOLEANS else "string"


def describe_columns() -> dict[str, str]:
    """Describe the allowed values of each input column."""
    return {column.name: column.allowed for column in input_columns()}


def list_requirements() -> list[str]:
    """List the packages that the served model needs, with installed versions, as pip requirements."""
    requirements = []
    for name in PINNED:
        try:
            requirements.append(f"{name}=={version(name)}")
        except PackageNotFoundError:
            continue
    return requirements
