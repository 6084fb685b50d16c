"""Predict for one batch of patients: the one place of a batch prediction where rows become answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd
import pyarrow as pa

from paincast.cohort.checking import name_rows, take_columns
from paincast.cohort.coercion import NumberStyle
from paincast.cohort.reading.batches import Batch, to_frame
from paincast.cohort.reading.labels import spell_out
from paincast.cohort.reading.patients import PatientRows, find_number_style
from paincast.cohort.reading.types import ColumnNotes, Dialect
from paincast.contract import Contract
from paincast.predictor.route import Answer, Predictions, answer_patients


class Scored(NamedTuple):
    """What came of a batch.

    Parameters
    ----------
    predictions : Predictions
        Rows to write, in the order of the patients.
    rejects : DataFrame with columns table, file, row, column, rule, allowed, action
        What was left out, those that the batch came with first.
    """

    predictions: Predictions
    rejects: pd.DataFrame


def name_patients(batch: Batch) -> pa.Array:
    """Return the id of each patient as text: the given one, or one made from the position (``row-17``)."""
    return name_rows(take_columns(batch.rows, ("episode_id",)), batch.places)["episode_id"]


class BatchScorer:
    """Predict batch by batch; of earlier batches it remembers only how numbers are written.

    Parameters
    ----------
    answer : callable
        Predicts for checked patients, from :func:`paincast.serving.answering.make_answer`.
    contract : Contract
        Declares the columns of patients.
    labels : mapping of str to ColumnNotes
        Of :class:`paincast.cohort.reading.files.PatientTable`.

    Attributes
    ----------
    style : NumberStyle
        Learnt from the first batch that shows it; a run that is resumed sets it.
    """

    def __init__(self, answer: Answer, contract: Contract, labels: Mapping[str, ColumnNotes]) -> None:
        self._answer, self._contract, self._labels = answer, contract, labels
        self.style = NumberStyle()

    def score(self, batch: Batch, dialect: Dialect) -> Scored:
        """Predict for a batch.

        Parameters
        ----------
        batch : Batch
            At least one row, and for each its id as text in ``episode_id``; ids of earlier batches are left out
            already. Its rejects include the columns that the reader left out.
        dialect : Dialect
            How the files are written that were read so far.

        Returns
        -------
        Scored
        """
        columns = self._contract.episodes
        rows = spell_out(to_frame(batch.rows), self._labels, columns) if self._labels else batch.rows
        if self.style == NumberStyle():
            self.style = find_number_style(rows, dialect, columns)
        read = PatientRows(rows=rows, places=batch.places, rejects=batch.rejects, style=self.style)
        return Scored(*answer_patients(read, self._answer, contract=self._contract))
