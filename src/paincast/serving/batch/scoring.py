"""Predict for batches of patients, and make parts of them: the one place where rows become answers.

A part depends on its own rows and on what is decided of the whole input, so that any process makes the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from paincast.cohort.checking import join_chunks, list_contents, name_rows, take_columns
from paincast.cohort.reading.batches import Batch, to_frame
from paincast.cohort.reading.files import PatientTable
from paincast.cohort.reading.labels import spell_out
from paincast.cohort.reading.patients import PatientRows
from paincast.cohort.reading.stretches import Stretch
from paincast.cohort.reading.types import ColumnNotes, Dialect
from paincast.cohort.rejects import COLUMN_TYPE, WHOLE_COLUMN, Extent, gather_rejects, locate_rows
from paincast.cohort.survey import Survey, WholeColumns, decide, survey_marks
from paincast.contract import Contract
from paincast.deferred import pandas as pd
from paincast.predictor.route import Answer, Answers, Blocks, answer_patients
from paincast.scoring.arrays import to_arrow
from paincast.serving.batch.ids import IdRun, join_ids, list_ids, write_ids
from paincast.serving.batch.output import PredictionsDraft, RejectsDraft
from paincast.serving.batch.part import IDS, REJECTS, PartFiles, WholeInput
from paincast.serving.batch.tally import Tally
from paincast.serving.layout import Layout


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


class ReadBatch(NamedTuple):
    """A batch, and the columns of its file that the reader left out as a whole: they are unread in each batch."""

    batch: Batch
    unread: pd.DataFrame | None


def read_batches(opened: PatientTable) -> Iterator[ReadBatch]:
    """Read the batches of an open table."""
    unread: pd.DataFrame | None = None
    for batch in opened.batches:
        if batch.rejects is not None:
            unread = gather_rejects([unread, batch.rejects[batch.rejects["rule"] == COLUMN_TYPE]])
        if unread is not None and len(batch.places):
            unread = unread[unread["file"] == _find_file(opened.extents, int(batch.places[0]))]
        yield ReadBatch(batch, unread)


def _find_file(extents: Sequence[Extent], place: int) -> str:
    return next(extent.file for extent in reversed(extents) if extent.before < place)


def cut_parts(opened: PatientTable, stretch: Stretch, part_rows: int) -> Iterator[tuple[int, Iterator[ReadBatch]]]:
    """Cut an open stretch into parts.

    Parameters
    ----------
    opened : PatientTable
        The stretch.
    stretch : Stretch
        Tells the number of its first part, and into how many it is cut, if that is known.
    part_rows : int
        Rows after which a part ends.

    Yields
    ------
    number : int
        Of a part.
    batches : iterator of ReadBatch
        Its batches; those that are not taken before the next part is asked for are passed over.
    """
    number = stretch.first - 1
    for number, numbered in groupby(_number_batches(opened, stretch, part_rows), key=lambda pair: pair[0]):
        yield number, (read for _, read in numbered)
    for empty in range(number + 1, stretch.numbers.stop):  # rows that are not patients were planned as some
        yield empty, iter(())


def _number_batches(opened: PatientTable, stretch: Stretch, part_rows: int) -> Iterator[tuple[int, ReadBatch]]:
    number, n_rows = stretch.first, 0
    for read in read_batches(opened):
        yield number, read
        n_rows += len(read.batch.places)
        if n_rows >= part_rows and stretch.n_parts != 1:
            number, n_rows = number + 1, 0


@dataclass(frozen=True, kw_only=True)
class PartMaker:
    """What makes parts; it can be sent to other processes.

    Parameters
    ----------
    answer : callable
        Predicts for checked patients, from :func:`paincast.serving.answering.make_answer`.
    contract : Contract
        Declares the columns of patients.
    layout : Layout
        Columns and types of the output.
    ahead : DataFrame or None
        Rejects of columns that are known before a row is read.
    blocks : Blocks
        How many patients are answered together.
    """

    answer: Answer
    contract: Contract
    layout: Layout
    ahead: pd.DataFrame | None
    blocks: Blocks

    def make(
        self, batches: Iterable[ReadBatch], opened: PatientTable, whole: WholeInput | None, files: PartFiles
    ) -> MadePart:
        """Make a part.

        Parameters
        ----------
        batches : iterable of ReadBatch
            Its rows.
        opened : PatientTable
            The open table from which they are.
        whole : WholeInput or None
            What is decided of the whole input; by default what the first rows show.
        files : PartFiles
            Where to write it; the names stay temporary.
        """
        scorer = BatchScorer(self.answer, self.contract, opened.labels, whole.columns if whole else None, self.blocks)
        draft = _PartDraft(files, self.layout.schema)
        if files.number == 1:
            draft.list_rejects([self.ahead], ())
        for batch, unread in batches:
            rejects: list[pd.DataFrame | None] = []
            if len(batch.places):
                ids = name_patients(batch)
                named = set_ids(batch, ids)
                if unread is not None:
                    named = named._replace(rejects=gather_rejects([unread, batch.rejects]))
                apart = (whole or _NOTHING).repeated.find_apart(ids, batch.places)
                scored = scorer.score(named, opened.dialect, apart)
                draft.note_rows(scored.survey, ids, batch.places)
                for predictions in scored.predictions:
                    draft.note_answers(predictions.table, self.layout.arrange(predictions, batch))
                rejects.append(scored.rejects)
            draft.tally.note_unread(batch.rejects)
            draft.list_rejects([*rejects, batch.rejects], opened.extents)
        draft.close()
        return MadePart(draft.survey, tuple(draft.columns), draft.tally, scorer.whole or WholeColumns())


_NOTHING = WholeInput(WholeColumns())


class MadePart(NamedTuple):
    """What a part tells beside its files; see :class:`paincast.serving.batch.part.Part`."""

    survey: Survey
    columns: tuple[tuple[Any, ...], ...]
    tally: Tally
    whole: WholeColumns

    @property
    def facts(self) -> dict[str, Any]:
        """What stands in its line."""
        return {"survey": self.survey, "columns": self.columns, "tally": self.tally}


class _PartDraft:
    """The part that is being made."""

    def __init__(self, files: PartFiles, schema: pa.Schema) -> None:
        self._files = files
        self._predictions = PredictionsDraft(files.draft(files.suffix), files.suffix, schema)
        self._rejects = RejectsDraft(files.draft(REJECTS))
        self._ids: list[IdRun] = []
        self.columns: dict[tuple[Any, ...], None] = {}
        self.survey, self.tally = Survey(), Tally()

    def note_rows(self, survey: Survey, ids: pa.Array, places: npt.NDArray[np.int64]) -> None:
        """Count the rows of a batch, and remember their ids."""
        self.tally.n_patients += len(places)
        self.survey.add(survey)
        self._ids.append(list_ids(ids, places))

    def note_answers(self, predictions: pa.Table, arranged: pa.Table) -> None:
        """Write some answers."""
        self._predictions.write(arranged)
        self.tally.note_answers(predictions, len(arranged))

    def list_rejects(self, frames: Sequence[pd.DataFrame | None], extents: Sequence[Extent]) -> None:
        """Write the rejects of the rows of a batch, each once; those of whole columns are found anew in every batch."""
        gathered = gather_rejects(frames)
        if gathered is None:
            return
        repeats = gathered.duplicated().to_numpy()
        listed = locate_rows(gathered[~repeats] if repeats.any() else gathered, extents)
        is_whole = (listed["row"] == WHOLE_COLUMN).to_numpy()
        if is_whole.any():
            self.columns |= dict.fromkeys(map(tuple, listed[is_whole].astype(object).to_numpy().tolist()))
            listed = listed[~is_whole]
        self._rejects.write(listed)
        self.tally.note_rejects(listed)

    def close(self) -> None:
        self._predictions.close()
        write_ids(self._files.draft(IDS), join_ids(self._ids))
