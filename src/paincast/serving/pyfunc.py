"""The served model as MLflow loads it, from code and without pickle.

MLflow copies this file beside the bundle and executes it; it is not meant to be imported.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from paincast.cohort.reading.patients import read_patients
from paincast.errors import DataError, PaincastError
from paincast.predictor import Predictor, answer_patients, load_predictor
from paincast.predictor.route import restore_index

TEXT_LISTS = ("reasons_for", "reasons_against")


class ServedPredictor(PythonModel):
    """A bundle behind MLflow's interface: validates patients, predicts or abstains, and never repeats a value."""

    def load_context(self, context: Any) -> None:
        """Load the bundle, and forbid MLflow to print the patients' rows when it cannot read its input."""
        os.environ.setdefault("MLFLOW_DISABLE_SCHEMA_DETAILS", "true")
        self.predictor = load_predictor(context.artifacts["bundle"])

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002
        """Predict for a table of patients.

        Parameters
        ----------
        context : mlflow.pyfunc.PythonModelContext
            Not used.
        model_input : DataFrame or what a DataFrame can be made of
            Patients; see ``paincast schema``.
        params : dict, optional
            Not used.

        Returns
        -------
        DataFrame of shape (n_patients, ...)
            One row per row of the input, in its order: the columns of a prediction, with reasons and rejects as JSON.

        Raises
        ------
        DataError
            If the input is no table of patients. The message holds no value.
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
    """Validate and predict, with a row of the answer for each row of the input.

    Parameters
    ----------
    predictor : Predictor
        The model.
    raw : DataFrame of shape (n_patients, ...)
        Patients as they come.

    Returns
    -------
    DataFrame of shape (n_patients, ...)
        ``input_rejects`` holds what validation emptied or left out, with rule and allowed values; a row left out
        as a whole is an abstention.
    """
    read = read_patients(raw)
    predictions, rejects = answer_patients(read, predictor.predict_episodes)
    return restore_index(_flatten(predictor.fill_left_out(predictions, rejects), rejects), read)


def _flatten(answers: pd.DataFrame, rejects: pd.DataFrame) -> pd.DataFrame:
    texts = {name: answers[name].map(json.dumps) for name in TEXT_LISTS}
    by_row = {
        row: part.to_dict("records")
        for row, part in rejects[["row", "column", "rule", "allowed", "action"]].groupby("row")
    }
    whole = by_row.get(0, [])
    found = [json.dumps(whole + by_row.get(place, [])) for place in answers.index]
    return answers.assign(**texts, input_rejects=found).astype({"n_real": "float64"})


set_model(ServedPredictor())
