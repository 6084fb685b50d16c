"""The model that MLflow serves: a bundle behind MLflow's interface."""

from __future__ import annotations

import json
import os
from typing import Any

import pandas as pd
from mlflow.pyfunc.model import PythonModel

from paincast.cohort.reading.patients import read_patients
from paincast.cohort.rejects import REJECT_FACTS, WHOLE_COLUMN
from paincast.errors import DataError, PaincastError
from paincast.predictor import LISTS, SERVED_COLUMNS, Predictor, answer_patients, load_predictor
from paincast.predictor.answering.frames import list_reasons
from paincast.predictor.route import restore_index
from paincast.serving.mlflow_server.bodies import PatientFile, put_code_in_front, refuse_path
from paincast.serving.mlflow_server.guard import guard_server


class ServedPredictor(PythonModel):
    """A bundle behind MLflow's interface: validates patients and predicts or abstains; errors contain no values."""

    def load_context(self, context: Any) -> None:
        """Load the bundle, and keep MLflow from repeating what it is sent."""
        os.environ.setdefault("MLFLOW_DISABLE_SCHEMA_DETAILS", "true")
        guard_server()
        self.predictor = load_predictor(context.artifacts["bundle"])

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002
        """Predict for a table of patients.

        Parameters
        ----------
        context : mlflow.pyfunc.PythonModelContext
            Not used.
        model_input : DataFrame, Arrow table, list of dict, dict or PatientFile
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
            return predict_raw(self.predictor, model_input)
        except PaincastError as error:
            raise put_code_in_front(error) from None
        except Exception as error:
            raise DataError(
                f"PC-SERVING-21: the input could not be predicted ({type(error).__name__}); "
                "give a table with a row per patient and the columns that 'paincast schema' lists",
                code="PC-SERVING-21",
            ) from None


def predict_raw(predictor: Predictor, patients: object) -> pd.DataFrame:
    """Validate and predict; the result has one row per input row.

    Parameters
    ----------
    predictor : Predictor
        The model.
    patients : DataFrame, Arrow table, list of dict, dict or PatientFile
        Patients, not yet validated.

    Returns
    -------
    DataFrame of shape (n_patients, len(SERVED_COLUMNS))
        ``input_rejects`` lists the values that validation removed, with rule and allowed values; a row that was
        removed is an abstention, and nobody knows that it is eligible.
    """
    refuse_path(patients)
    contract = predictor.contract
    read = patients.read(contract) if isinstance(patients, PatientFile) else read_patients(patients, contract=contract)
    [predictions], rejects, _ = answer_patients(read, predictor.answer_each, contract=contract)
    lists = {name: list(map(json.dumps, list_reasons(predictions.table[name]))) for name in LISTS}
    plain = predictions._replace(table=predictions.table.drop_columns([*LISTS]))
    filled = predictor.fill_left_out(plain.to_frame().assign(**lists), rejects)
    if len(filled) > len(predictions.table):
        filled = filled.assign(**{name: [cell or "[]" for cell in filled[name]] for name in LISTS})
    # MLflow makes true or false of a missing truth value, or fails.
    known = {name: filled[name].fillna(False) for name in ("eligible", "in_domain")}
    answers = filled.assign(**known, input_rejects=_write_rejects(rejects, filled.index))
    types = {**dict.fromkeys(LISTS, "str"), **dict.fromkeys(known, "bool"), "n_real": "float64"}
    return restore_index(answers[[*SERVED_COLUMNS]].astype(types), read)


def _write_rejects(rejects: pd.DataFrame | None, places: pd.Index) -> list[str]:
    """Write the rejects of each row, those of whole columns first."""
    if rejects is None:
        return ["[]"] * len(places)
    by_row = {row: part.to_dict("records") for row, part in rejects[[*REJECT_FACTS]].groupby("row")}
    whole = by_row.get(WHOLE_COLUMN, [])
    of_whole = json.dumps(whole)
    return [json.dumps(whole + by_row[place]) if place in by_row else of_whole for place in places]
