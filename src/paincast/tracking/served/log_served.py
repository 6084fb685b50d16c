"""Log a bundle as a model of MLflow that can be served without anything else."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from paincast.predictor import Predictor, save_predictor
from paincast.tracking.served.example import invent_patients
from paincast.tracking.served.signature import describe_columns, make_signature
from paincast.tracking.served.wheel import list_requirements, make_wheel

if TYPE_CHECKING:
    from mlflow.models.model import ModelInfo

MODEL_CODE = Path(__file__).resolve().parents[2] / "serving" / "pyfunc.py"
BUNDLE, WHEELS = "bundle", "wheels"


def log_served_model(predictor: Predictor) -> ModelInfo:
    """Log a copy of a bundle with code, signature, invented patients, and the wheel of the package, in the active run.

    It is a copy, since the bundle in the models folder may be of another training by now.

    Parameters
    ----------
    predictor : Predictor
        The model.

    Returns
    -------
    mlflow.models.model.ModelInfo
        Its ``model_uri`` is the address of the model.
    """
    import mlflow

    contract = predictor.contract
    with tempfile.TemporaryDirectory() as scratch:
        bundle = save_predictor(predictor, Path(scratch, BUNDLE))
        wheel, wheels = make_wheel(), Path(scratch, WHEELS)
        wheels.mkdir()
        (wheels / wheel.file_name).write_bytes(wheel.content)
        logged: ModelInfo = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(MODEL_CODE),
            artifacts={BUNDLE: str(bundle), WHEELS: str(wheels)},
            pip_requirements=list_requirements(f"artifacts/{WHEELS}"),
            signature=make_signature(contract),
            input_example=invent_patients(predictor),
            metadata={
                "basis": predictor.basis,
                "n_real": predictor.n_real,
                "input_columns": describe_columns(contract),
                "input_example": "patients who do not exist: every value is made up",
            },
        )
    return logged
