"""Get from a table of patients to predictions: check the patients, predict, and report what was left out."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable

import numpy as np
import pandas as pd

from paincast.cohort.reading.patients import PatientRows
from paincast.cohort.rejects import NOTHING_LOST, WHOLE_COLUMN, list_unreadable
from paincast.cohort.validate import validate_patients
from paincast.contract import BUILT_IN, Contract
from paincast.predictor.rows import PREDICTION_COLUMNS

Answer = Callable[[pd.DataFrame, pd.Series], pd.DataFrame]
"""Takes validated episodes and the unreadable columns of each, and returns rows with the same index."""


def answer_patients(
    patients: PatientRows, answer: Answer, *, contract: Contract = BUILT_IN
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Check patients and predict for them.

    Parameters
    ----------
    patients : PatientRows
        From :func:`paincast.cohort.reading.patients.read_patients`.
    answer : callable
        Function that predicts or abstains for valid patients.
    contract : Contract
        Declares the columns of patients.

    Returns
    -------
    predictions : DataFrame
        Result of ``answer``, indexed by row number of the patient; ``cautions`` names the columns of a patient that
        could not be used. A patient whose whole row was left out has no row.
    rejects : DataFrame
        See :func:`paincast.cohort.validate.validate_patients`.
    """
    episodes, rejects = validate_patients(patients, contract=contract)
    left_out = rejects.loc[rejects["action"] == "row left out", "row"]
    places = pd.Index(patients.places[~np.isin(patients.places, left_out)])
    unreadable = list_unreadable(rejects[~rejects["rule"].isin(NOTHING_LOST)], places)
    predictions = answer(episodes.set_axis(places, axis="index"), unreadable)
    notes = unreadable.map(lambda names: f"left out as unusable: {', '.join(names)}" if names else "")
    noted = predictions.index.to_series().map(notes).astype("str")
    both = (predictions["cautions"] != "") & (noted != "")
    cautions = predictions["cautions"] + both.map({True: "; ", False: ""}) + noted
    return predictions.assign(cautions=cautions), rejects


def explain_left_out(rejects: pd.DataFrame) -> pd.Series:
    """Return the reason for each patient whose whole row was left out, indexed by row number."""
    whole = (rejects["action"] == "row left out") & (rejects["row"] != WHOLE_COLUMN)
    rows = rejects[whole & ~rejects["rule"].isin(NOTHING_LOST)].drop_duplicates("row").set_index("row")
    return rows["column"] + ": " + rows["rule"] + " (allowed: " + rows["allowed"] + ")"


def restore_index(predictions: pd.DataFrame, patients: PatientRows) -> pd.DataFrame:
    """Restore the index of the patients, instead of row numbers.

    A level of the index with the name of a prediction column loses its name: pandas cannot group or merge by an
    ambiguous name.
    """
    positions = pd.Index(patients.places).get_indexer(predictions.index)
    # A row is absent only if a file reader left it out; for files the index is the row number.
    labels = patients.rows.index.take(positions) if (positions >= 0).all() else predictions.index - 1
    names = [None if name in PREDICTION_COLUMNS else name for name in labels.names]
    return predictions.set_axis(labels.set_names(names), axis="index")


def warn_of_rejects(rejects: pd.DataFrame, *, stacklevel: int = 3) -> None:
    """Warn about values that were left out before predicting, by column and rule."""
    if len(rejects):
        kinds = Counter(zip(rejects["column"], rejects["rule"], strict=True))
        counted = "; ".join(f"{column}: {rule} ({n})" for (column, rule), n in kinds.items())
        warnings.warn(f"left out before predicting: {counted}", UserWarning, stacklevel=stacklevel)
