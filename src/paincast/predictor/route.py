"""Get from a table of patients to predictions: check the patients, predict, and report what was left out."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from paincast.cohort.reading.patients import PatientRows
from paincast.cohort.rejects import NOTHING_LOST, WHOLE_COLUMN
from paincast.cohort.survey import Survey
from paincast.contract import BUILT_IN, Contract
from paincast.deferred import pandas as pd
from paincast.predictor.answering.frames import to_frame
from paincast.predictor.answering.ready import ReadyPatients, Unreadable, check_patients, join_patients
from paincast.predictor.rows import PREDICTION_COLUMNS
from paincast.scoring.arrays import join_texts, make_texts
from paincast.scoring.linear import load_machine_code


class Answered(NamedTuple):
    """Predictions, and for each row the position of its patient, ascending."""

    table: pa.Table
    rows: npt.NDArray[np.intp]


Answer = Callable[[ReadyPatients], Answered]
"""Predicts or abstains for checked patients."""


class Predictions(NamedTuple):
    """Predictions, and for each row the place of its patient in the source."""

    table: pa.Table
    places: npt.NDArray[np.int64]

    def to_frame(self) -> pd.DataFrame:
        """Convert to a data frame indexed by place."""
        return to_frame(self.table).set_axis(pd.Index(self.places), axis="index")


class Blocks(NamedTuple):
    """How many patients are answered together, so that their answers fit into memory.

    Parameters
    ----------
    patients : int
        In the first block of a batch.
    answers : int
        Of each further block, judged by the one before.
    """

    patients: int
    answers: int


class PredictionBlocks:
    """Predictions of a block of patients after the other, each made when it is asked for."""

    def __init__(self, blocks: Iterator[Predictions]) -> None:
        self._blocks = blocks

    def __iter__(self) -> Iterator[Predictions]:
        return self._blocks

    def to_frame(self) -> pd.DataFrame:
        """Convert those of a single block: the code in models that MLflow keeps from earlier versions asks so."""
        [predictions] = self
        return predictions.to_frame()


class Answers(NamedTuple):
    """Predictions, what was left out, and counts of whole columns."""

    predictions: PredictionBlocks
    rejects: pd.DataFrame | None
    survey: Survey


def answer_patients(
    patients: PatientRows, answer: Answer, *, contract: Contract = BUILT_IN, blocks: Blocks | None = None
) -> Answers:
    """Check patients and predict for them.

    Parameters
    ----------
    patients : PatientRows
        From :func:`paincast.cohort.reading.patients.read_patients`.
    answer : callable
        Function that predicts or abstains for valid patients.
    contract : Contract
        Declares the columns of patients.
    blocks : Blocks, optional
        By default all patients are in one block.

    Returns
    -------
    predictions : PredictionBlocks
        Of each block the result of ``answer``; ``cautions`` names the columns of a patient that could not be used. A
        patient whose whole row was left out has no row.
    rejects : DataFrame or None
        None for nothing. See :func:`paincast.cohort.validate.validate_patients`.
    survey : Survey
        Counts of all rows, also of those left out.
    """
    ready, checked = check_patients(patients, contract)
    return Answers(PredictionBlocks(_answer_blocks(ready, answer, blocks)), checked.rejects, checked.survey)


def _answer_blocks(ready: ReadyPatients, answer: Answer, blocks: Blocks | None) -> Iterator[Predictions]:
    n, start = len(ready), 0
    size = blocks.patients if blocks else n
    if size < n:
        load_machine_code(n)
    while start < n or not start:
        block = ready.take(np.arange(start, min(start + size, n)))
        predictions = predict_ready(block, answer)
        yield predictions
        start += max(len(block), 1)
        if blocks:
            size = max(1, blocks.answers * len(block) // max(len(predictions.table), 1))


def predict_ready(ready: ReadyPatients, answer: Answer) -> Predictions:
    """Predict for checked patients, with a caution that names the columns that could not be used."""
    answered = answer(ready)
    return Predictions(_note_unreadable(answered, ready.unreadable), ready.places[answered.rows])


class Jointly(NamedTuple):
    """Predictions for patients of several sources, each by its places, and the rows of each source."""

    predictions: Predictions
    parts: list[slice]


def answer_jointly(parts: Sequence[ReadyPatients], answer: Answer) -> Jointly:
    """Predict for the checked patients of several sources at once; each source gets what it gets alone.

    Parameters
    ----------
    parts : sequence of ReadyPatients
        One or more, of one contract.
    answer : callable
        Function that predicts or abstains for them.

    Returns
    -------
    Jointly
    """
    joined = predict_ready(parts[0] if len(parts) == 1 else join_patients(parts), answer)
    if len(parts) == 1:
        return Jointly(joined, [slice(len(joined.places))])
    ends = np.searchsorted(joined.places, np.cumsum([len(part) for part in parts])).tolist()
    places = np.concatenate([part.places for part in parts])[joined.places]
    return Jointly(joined._replace(places=places), [slice(*bounds) for bounds in pairwise([0, *ends])])


def _note_unreadable(answered: Answered, unreadable: Unreadable) -> pa.Table:
    """Add to the cautions which columns could not be used."""
    if not any(unreadable.sets):
        return answered.table
    notes = [f"left out as unusable: {', '.join(names)}" if names else "" for names in unreadable.sets]
    cautions = answered.table["cautions"].combine_chunks()
    encoded = cautions if pa.types.is_dictionary(cautions.type) else cautions.dictionary_encode()
    noted = join_texts(encoded, make_texts(unreadable.codes[answered.rows], notes))
    return answered.table.set_column(answered.table.schema.get_field_index("cautions"), "cautions", noted)


def explain_left_out(rejects: pd.DataFrame | None) -> pd.Series:
    """Return the reason for each patient whose whole row was left out, indexed by row number."""
    if rejects is None:
        return pd.Series(dtype="str")
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
    labels = patients.index.take(positions) if (positions >= 0).all() else predictions.index - 1
    names = [None if name in PREDICTION_COLUMNS else name for name in labels.names]
    return predictions.set_axis(labels.set_names(names), axis="index")


def warn_of_rejects(rejects: pd.DataFrame | None, *, stacklevel: int = 3) -> None:
    """Warn about values that were left out before predicting, by column and rule."""
    if rejects is not None and len(rejects):
        kinds = Counter(zip(rejects["column"], rejects["rule"], strict=True))
        counted = "; ".join(f"{column}: {rule} ({n})" for (column, rule), n in kinds.items())
        warnings.warn(f"left out before predicting: {counted}", UserWarning, stacklevel=stacklevel)
