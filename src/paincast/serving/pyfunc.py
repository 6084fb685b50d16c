"""The model that MLflow serves, loaded from code and without pickle.

MLflow copies this file next to the bundle and executes it; do not import it.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from paincast.cohort.reading.patients import read_patients
from paincast.cohort.rejects import join_rejects
from paincast.errors import DataError, PaincastError
from paincast.predictor import LISTS, Predictor, answer_patients, load_predictor
from paincast.predictor.route import restore_index


class ServedPredictor(PythonModel):
    """A bundle behind MLflow's interface: validates patients and predicts or abstains; errors contain no values."""

    def load_context(self, context: Any) -> None:
        """Load the bundle, and stop MLflow from printing the patients' rows if it cannot read its input."""
        os.environ.setdefault("MLFLOW_DISABLE_SCHEMA_DETAILS", "true")
        self.predictor = load_predictor(context.artifacts["bundle"])

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002
        """Predict for a table of patients.

        Parameters
        ----------
        context : mlflow.pyfunc.PythonModelContext
            Not used.
        model_input : DataFrame, or anything that can be converted to one
            Patients; see ``paincast schema``.
        params : dict, optional
            Not used.

        Returns
        -------
        DataFrame of shape (n_patients, ...)
            One row per input row, in the same order: the columns of a prediction, with reasons and rejects as JSON.

        Raises
        ------
        DataError
            If the input is not a table of patients. The message contains no values.
        """
        try:
            return predict_raw(self.predictor, pd.DataFrame(model_input))
        except PaincastError:
            raise
        except Exception as error:
            raise DataError(
                f"the input could not be predicted ({type(error).__name__}); "
                "give a table with a row per patient and the columns that 'paincast schema' lists",
                code="PC-SERVING-21",
            ) from None


def predict_raw(predictor: Predictor, raw: pd.DataFrame) -> pd.DataFrame:
    """Validate and predict; the result has one row per input row.

    Parameters
    ----------
    predictor : Predictor
        The model.
    raw : DataFrame of shape (n_patients, ...)
        Patients, not yet validated.

    Returns
    -------
    DataFrame of shape (n_patients, ...)
        ``input_rejects`` lists the values that validation removed, with rule and allowed values; a row that was
        removed is an abstention.
    """
    read = read_patients(raw, contract=predictor.contract)
    [predictions], rejects, _ = answer_patients(read, predictor.answer_each, contract=predictor.contract)
    filled = predictor.fill_left_out(predictions.to_frame(), rejects)
    return restore_index(_flatten(filled, join_rejects([rejects])), read)


def _flatten(answers: pd.DataFrame, rejects: pd.DataFrame) -> pd.DataFrame:
    texts = {name: answers[name].map(json.dumps) for name in LISTS}
    by_row = {
        row: part.to_dict("records")
        for row, part in rejects[["row", "column", "rule", "allowed", "action"]].groupby("row")
    }
    whole = by_row.get(0, [])
    row_rejects = [json.dumps(whole + by_row.get(row, [])) for row in answers.index]
    return answers.assign(**texts, input_rejects=row_rejects).astype({"n_real": "float64"})


set_model(ServedPredictor())
