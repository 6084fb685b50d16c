"""Predict for one batch of patients: the one place of a batch prediction where rows become answers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from paincast.cohort.checking import join_chunks, list_contents, name_rows, take_columns
from paincast.cohort.reading.batches import Batch, to_frame
from paincast.cohort.reading.labels import spell_out
from paincast.cohort.reading.patients import PatientRows
from paincast.cohort.reading.types import ColumnNotes, Dialect
from paincast.cohort.survey import WholeColumns, decide, survey_marks
from paincast.contract import Contract
from paincast.deferred import pandas as pd
from paincast.predictor.route import Answer, Answers, Blocks, answer_patients
from paincast.scoring.arrays import to_arrow


def name_patients(batch: Batch) -> pa.Array:
    """Return the id of each patient as text: the given one, or one made from the position (``row-17``)."""
    return name_rows(take_columns(batch.rows, ("episode_id",)), batch.places)["episode_id"]


def set_ids(batch: Batch, ids: pa.Array) -> Batch:
    """Give each row of a batch its id as text."""
    rows, name = batch.rows, "episode_id"
    position = rows.schema.get_field_index(name)
    return batch._replace(rows=rows.append_column(name, ids) if position < 0 else rows.set_column(position, name, ids))


def keep_rows(batch: Batch, is_kept: npt.NDArray[np.bool_]) -> Batch:
    """Keep some rows of a batch."""
    return batch._replace(rows=batch.rows.filter(to_arrow(is_kept)), places=batch.places[is_kept])


class BatchScorer:
    """Predict batch by batch, as all rows of the source decide on its columns.

    Parameters
    ----------
    answer : callable
        Predicts for checked patients, from :func:`paincast.serving.answering.make_answer`.
    contract : Contract
        Declares the columns of patients.
    labels : mapping of str to ColumnNotes
        Of :class:`paincast.cohort.reading.files.PatientTable`.
    whole : WholeColumns, optional
        What is decided; by default what the first batch shows.
    blocks : Blocks, optional
        Of :func:`paincast.predictor.route.answer_patients`.

    Attributes
    ----------
    whole : WholeColumns or None
        What the batches so far were read by.
    """

    def __init__(
        self,
        answer: Answer,
        contract: Contract,
        labels: Mapping[str, ColumnNotes],
        whole: WholeColumns | None = None,
        blocks: Blocks | None = None,
    ) -> None:
        self._answer, self._contract, self._labels, self._blocks = answer, contract, labels, blocks
        self.whole = whole

    def score(self, batch: Batch, dialect: Dialect, apart: npt.NDArray[np.bool_]) -> Answers:
        """Predict for a batch.

        Parameters
        ----------
        batch : Batch
            At least one row. Its rejects include the columns that the reader left out.
        dialect : Dialect
            How the files are written that were read so far.
        apart : ndarray of bool, shape (n,)
            Rows to leave out as duplicates because of other batches.

        Returns
        -------
        Answers
        """
        rows, columns = self._spell_out(batch), self._contract.episodes
        survey = survey_marks(take_columns(rows, columns), columns)
        style = decide(survey, columns, dialect.separator).style
        read = PatientRows(
            rows=rows, places=batch.places, rejects=batch.rejects, style=style, whole=self.whole, apart=apart
        )
        answers = answer_patients(read, self._answer, contract=self._contract, blocks=self._blocks)
        survey.add(answers.survey)
        if self.whole is None:
            self.whole = decide(survey, columns, dialect.separator)
        return answers._replace(survey=survey)

    def list_contents(self, batch: Batch) -> pd.DataFrame:
        """List the values by which rows of the same id are compared."""
        assert self.whole is not None
        raw = take_columns(self._spell_out(batch), self._contract.episodes)
        return list_contents(raw, batch.places, self.whole, self._contract)

    def _spell_out(self, batch: Batch) -> pa.Table | pd.DataFrame:
        if not self._labels:
            return join_chunks(batch.rows, self._contract.episodes)
        return spell_out(to_frame(batch.rows), self._labels, self._contract.episodes)
