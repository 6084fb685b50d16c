"""Predict for a file of patients and write a file of predictions: in bounded memory, part by part, and atomically."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from paincast.cohort.reading.batches import Batch
from paincast.cohort.reading.files import PatientTable, check_table_file, count_rows, open_table
from paincast.cohort.reading.several import Source, list_sources
from paincast.cohort.rejects import COLUMN_TYPE, WHOLE_COLUMN, gather_rejects, locate_rows
from paincast.cohort.survey import Survey, WholeColumns, decide
from paincast.cohort.validate import reject_unknown_columns
from paincast.contract import Contract
from paincast.deferred import pandas as pd
from paincast.deferred import parquet as pq
from paincast.errors import OutputError
from paincast.files import atomic_files
from paincast.files.inputs import refuse_changed_file
from paincast.files.working_folder import sync_file, sync_folder
from paincast.models_folder import list_notes
from paincast.predictor.answers import MOST_REASONS
from paincast.predictor.ids import ID_COLUMNS
from paincast.predictor.route import Answer, Blocks
from paincast.predictor.rows import PREDICTION_SCHEMA
from paincast.progress import SILENT, Progress
from paincast.serving.answering import make_answer
from paincast.serving.asked import check_asking
from paincast.serving.batch.checks import check_output, note_absent, note_misspelt, require_columns
from paincast.serving.batch.ids import Contents, SeenIds, hash_ids, read_repeated
from paincast.serving.batch.output import PredictionsDraft, RejectsDraft, join_predictions, join_rejects_parts
from paincast.serving.batch.parts import IDS, REJECTS, PartsFolder, WholeInput, hold_parts
from paincast.serving.batch.plan import make_plan
from paincast.serving.batch.scoring import BatchScorer, keep_rows, name_patients, set_ids
from paincast.serving.batch.summary import BatchSummary, summarize, write_summary
from paincast.serving.batch.tally import Tally, sum_tallies
from paincast.serving.layout import Layout, find_integer_ids, list_blocks
from paincast.serving.months import check_months, common_contract, select_models
from paincast.serving.predict import Trusted, load_models

CHUNK_ROWS = 32_768
PART_ROWS = 131_072
"""Rows of predictions, or patients, after which a part is finished: what a run that ends early loses at most."""

ANSWERS_AT_ONCE = 65_536
"""Answers that are made together, about: where many models are asked, those of a batch come in blocks of patients."""


def predict_file(
    patients: str | Path,
    out: str | Path,
    *,
    models: str | Path,
    techniques: Sequence[str] | str | None = None,
    outcomes: Sequence[str] | str | None = None,
    months: Sequence[float] | None = None,
    interval: bool = True,
    explain: int = MOST_REASONS,
    wide: bool = False,
    allow_contradicted: bool = False,
    trusted_keys: Trusted = None,
    resume: bool = False,
    chunk_rows: int = CHUNK_ROWS,
    part_rows: int = PART_ROWS,
    progress: Progress = SILENT,
) -> BatchSummary:
    """Predict for a file of patients.

    Rows are read (see :mod:`paincast.cohort.reading.files`), checked, predicted and written in batches, in memory that
    does not grow with the file. Rules about a whole column (a wrong unit, decimal commas) and rows that share an
    ``episode_id`` are judged by all rows: where these show something else than the first batch, the file is predicted
    again. Ids come back as they stand in the file; those that are integers in all rows of a Parquet file are integers
    in a Parquet output.

    Finished parts are kept in the folder ``.<name>.parts`` beside the output until it is written. A run that ended
    early, in whatever way, leaves the output as it was, and ``resume`` goes on from the last finished part.

    Parameters
    ----------
    patients : str or Path
        A file of any format that :data:`paincast.cohort.reading.formats.FORMATS` lists, with columns of the
        ``episodes`` table; a sheet, a folder or a pattern, as for :func:`paincast.cohort.reading.files.open_table`.
    out : str or Path
        ``.csv`` (reasons as JSON text) or ``.parquet`` (reasons as lists).
    models : str or Path
        Folder of models, one bundle, or an MLflow address.
    techniques, outcomes, months, interval, explain, wide, allow_contradicted, trusted_keys
        As for :func:`paincast.predict`.
    resume : bool
        Go on with a run of the same output that ended early, to exactly the files of an undisturbed run; without one,
        begin. By default what such a run left is discarded, which a note tells.
    chunk_rows : int
        Patients per batch.
    part_rows : int
        See :data:`PART_ROWS`.
    progress : Progress
        Advanced by the number of patients in each batch.

    Returns
    -------
    BatchSummary
        ``<stem>.rejects.csv`` next to ``out`` lists everything that was left out, ``<stem>.summary.json`` counts,
        versions and digests.

    Raises
    ------
    DataError
        If the patients or the models cannot be read, a column that every prediction needs is missing, or a file changed
        while it was read.
    SettingsError
        If a technique or outcome is unknown, a month is not a number above 0, or ``explain`` not a whole number.
    OutputError
        If the output cannot be written, another run is writing it, or a run is to be resumed whose input, models,
        software or options have changed. No partial file is left behind.
    """
    source, target = Path(patients), Path(out)
    beside = tuple(target.with_name(f"{target.stem}.{ending}") for ending in ("rejects.csv", "summary.json"))
    check_output(source, target, *beside)
    sources = list_sources(source)
    facts = [check_table_file(entry.file) for entry in sources]
    months = check_months(months)
    predictors = select_models(load_models(models, trusted_keys=trusted_keys), months)
    contract = common_contract(predictors.values())
    shown: dict[str, Any] = {"explain": explain, "wide": wide, "allow_contradicted": allow_contradicted}
    asking = check_asking(contract, techniques=techniques, outcomes=outcomes, months=months, interval=interval, **shown)
    options = {**asdict(asking), "wide": wide}
    columns, asked_models = contract.episodes, asking.keep_models(predictors)
    reading: dict[str, Any] = {"used": columns, "any_case": True, "verbatim": ID_COLUMNS, "table": "episodes"}
    reopen = partial(open_table, source, batch_rows=chunk_rows, **reading)
    with reopen() as opened:
        require_columns(source, opened.columns, asked_models)
        layout = Layout(
            long=PREDICTION_SCHEMA,
            blocks=list_blocks(predictors, asking) if wide else None,
            integer_ids=find_integer_ids(source, opened.columns),
        )
        with hold_parts(target) as folder:
            sizes = {"batch": chunk_rows, "part": part_rows}
            plan = make_plan(sources, facts, predictors, contract, options=options, sizes=sizes, suffix=folder.suffix)
            discarded = folder.prepare(plan, resume=resume)
            watched = list(zip(sources, facts, strict=True))
            answer = make_answer(predictors, asking)
            make_pass = partial(
                _Run,
                answer=answer,
                folder=folder,
                contract=contract,
                layout=layout,
                part_rows=part_rows,
                blocks=Blocks(max(1, ANSWERS_AT_ONCE // max(1, len(asked_models))), ANSWERS_AT_ONCE),
                watched=watched,
            )
            _predict_all(make_pass, opened, reopen, progress)
            of_columns = [*note_misspelt(opened.columns, columns), *note_absent(opened.columns, asked_models)]
            notes = [*list_notes(models, asked_models, asking.named_techniques).values(), *opened.remarks, *of_columns]
            progress.describe("writing")
            summary = _place_output(folder, beside, plan, notes, layout.schema)
            folder.remove()
    return replace(summary, notes=(discarded, *summary.notes)) if discarded else summary


def _predict_all(
    make_pass: Callable[[PatientTable], _Run],
    opened: PatientTable,
    reopen: Callable[[], AbstractContextManager[PatientTable]],
    progress: Progress,
) -> None:
    """Predict for the file, and again for as long as all its rows decide otherwise than the parts were made by.

    How numbers are written depends on the texts alone, units on how numbers are read, and which rows differ on both:
    after three times nothing changes any more.
    """
    run = make_pass(opened)
    run.predict_batches(progress)
    while not run.is_settled():
        with reopen() as again:
            run.start_again(again)
        with reopen() as again:
            run = make_pass(again)
            run.predict_batches(progress)


class _Run:
    """Predict the batches of an open file, and finish a part whenever it is large enough.

    Parameters
    ----------
    opened : PatientTable
        The file.
    answer : callable
        Predicts for checked patients, from :func:`paincast.serving.answering.make_answer`.
    folder : PartsFolder
        Keeps the parts; those that are finished are not made again.
    contract : Contract
        Declares the columns of patients.
    layout : Layout
        Columns and types of the output.
    part_rows : int
        See :data:`PART_ROWS`.
    blocks : Blocks
        How many patients are answered together.
    watched : sequence of (Source, os.stat_result)
        Input files, and their status before they were hashed.
    """

    def __init__(
        self,
        opened: PatientTable,
        *,
        answer: Answer,
        folder: PartsFolder,
        contract: Contract,
        layout: Layout,
        part_rows: int,
        blocks: Blocks,
        watched: Sequence[tuple[Source, os.stat_result]],
    ) -> None:
        self._opened, self._folder, self._columns = opened, folder, contract.episodes
        self._layout, self._part_rows, self._watched = layout, part_rows, watched
        whole = folder.whole.columns if folder.whole else None
        self._scorer = BatchScorer(answer, contract, opened.labels, whole, blocks)
        self._unread: pd.DataFrame | None = None
        self._ahead = reject_unknown_columns(opened.columns, contract.episodes)
        self._seen = SeenIds()
        self._listed: dict[tuple[Any, ...], None] = {}
        for part, ids in zip(folder.finished, folder.list_files(IDS), strict=True):
            self._seen.resume_part(ids)
            self._listed |= dict.fromkeys(part.columns)
        self._n_skipped = sum(part.batches for part in folder.finished)
        self._draft: _PartDraft | None = None

    def predict_batches(self, progress: Progress) -> None:
        """Predict all batches that no finished part covers.

        Raises
        ------
        DataError
            If the file cannot be read, or changed while it was.
        """
        progress.expect(sum(count_rows(source.file) or 0 for source, _ in self._watched))
        for number, batch in enumerate(self._opened.batches):
            if number == 0 and self._n_skipped:
                progress.describe("resuming")
            if number == self._n_skipped:
                progress.describe("predicting")
            if number >= self._n_skipped:
                self._predict_batch(batch)
            self._note_unread_columns(batch.rejects)
            progress.advance(len(batch.places))
        self._finish_part()

    def is_settled(self) -> bool:
        """Whether all rows decide what the parts were made by."""
        whole = self._folder.whole
        if whole is None or whole.columns != self._decide():
            return whole is None
        return whole.is_compared or not len(read_repeated(self._folder.list_files(IDS)).ids)

    def start_again(self, opened: PatientTable) -> None:
        """Decide by all rows, compare those that share an id, and discard the parts.

        Parameters
        ----------
        opened : PatientTable
            The file, opened once more.
        """
        contents = Contents(read_repeated(self._folder.list_files(IDS)))
        self._scorer.whole = columns = self._decide()
        for batch in opened.batches if len(contents) else ():
            positions = contents.find(name_patients(batch)) if len(batch.places) else np.empty(0, dtype=np.int64)
            if (positions >= 0).any():
                some = keep_rows(batch, positions >= 0)
                contents.note(positions[positions >= 0], self._scorer.list_contents(some))
        self._folder.start_again(WholeInput(columns, contents.list_contradicted(), is_compared=True))

    def _decide(self) -> WholeColumns:
        total = Survey()
        for part in self._folder.finished:
            total.add(part.survey)
        return decide(total, self._columns, self._opened.dialect.separator)

    def _predict_batch(self, batch: Batch) -> None:
        if self._draft is None:
            self._draft = _PartDraft(self._folder, self._layout.schema)
        draft = self._draft
        rejects: list[pd.DataFrame | None] = []
        if not self._folder.finished and not draft.batches:
            rejects.append(self._ahead)
        if len(batch.places):
            draft.tally.n_patients += len(batch.places)
            ids = name_patients(batch)
            named = set_ids(batch, ids)
            if self._unread is not None:
                named = named._replace(rejects=gather_rejects([self._unread, batch.rejects]))
            scored = self._scorer.score(named, self._opened.dialect, self._find_apart(ids))
            draft.survey.add(scored.survey)
            for predictions in scored.predictions:
                arranged = self._layout.arrange(predictions, batch)
                draft.predictions.write(arranged)
                draft.tally.note_answers(predictions.table, len(arranged))
            rejects.append(scored.rejects)
        draft.tally.note_unread(batch.rejects)
        self._list_rejects([*rejects, batch.rejects], draft)
        draft.batches += 1
        if max(draft.tally.n_answers, draft.tally.n_patients) >= self._part_rows:
            self._finish_part()

    def _find_apart(self, ids: pa.Array) -> npt.NDArray[np.bool_]:
        """Flag rows whose id an earlier batch holds, or whose rows differ somewhere in the file."""
        apart = self._seen.find_repeated(ids)
        if self._folder.whole and len(self._folder.whole.contradicted.ids):
            apart |= self._folder.whole.contradicted.find(hash_ids(ids), ids) >= 0
        return apart

    def _note_unread_columns(self, rejects: pd.DataFrame | None) -> None:
        """Remember columns that the reader left out as a whole: they are unread in every batch."""
        if rejects is not None:
            self._unread = gather_rejects([self._unread, rejects[rejects["rule"] == COLUMN_TYPE]])

    def _list_rejects(self, frames: Sequence[pd.DataFrame | None], draft: _PartDraft) -> None:
        """Write the rejects of a batch, each once."""
        gathered = gather_rejects(frames)
        if gathered is None:
            return
        repeats = gathered.duplicated().to_numpy()
        listed = gathered[~repeats] if repeats.any() else gathered
        listed = self._drop_known_columns(locate_rows(listed, self._opened.extents), draft)
        draft.rejects.write(listed)
        draft.tally.note_rejects(listed)

    def _drop_known_columns(self, rejects: pd.DataFrame, draft: _PartDraft) -> pd.DataFrame:
        """Leave out rejects of whole columns that an earlier batch has listed: every batch finds them anew."""
        is_whole = (rejects["row"] == WHOLE_COLUMN).to_numpy()
        keys = [tuple(row) for row in rejects[is_whole].astype(object).to_numpy().tolist()]
        new = [key not in self._listed for key in keys]
        draft.columns += [key for key, is_new in zip(keys, new, strict=True) if is_new]
        self._listed |= dict.fromkeys(keys)
        kept = ~is_whole
        kept[is_whole] = new
        return rejects if kept.all() else rejects[kept]

    def _finish_part(self) -> None:
        for source, before in self._watched:
            refuse_changed_file(source.file, before)
        if self._draft is None:
            return
        draft, self._draft = self._draft, None
        draft.predictions.close()
        self._seen.write_part(self._folder.draft(IDS))
        if self._folder.whole is None:
            self._folder.keep_whole(WholeInput(self._scorer.whole or WholeColumns()))
        self._folder.finish_part(
            batches=draft.batches, survey=draft.survey, columns=tuple(draft.columns), tally=draft.tally
        )
        self._seen.open_part(self._folder.list_files(IDS)[-1])


class _PartDraft:
    """The part that is being made."""

    def __init__(self, folder: PartsFolder, schema: pa.Schema) -> None:
        self.predictions = PredictionsDraft(folder.draft(folder.suffix), folder.suffix, schema)
        self.rejects = RejectsDraft(folder.draft(REJECTS))
        self.batches = 0
        self.columns: list[tuple[Any, ...]] = []
        self.survey = Survey()
        self.tally = Tally()


def _place_output(
    folder: PartsFolder, beside: tuple[Path, ...], plan: dict[str, Any], notes: list[str], schema: pa.Schema
) -> BatchSummary:
    """Put the parts together and move predictions, rejects and summary to their places, together."""
    total = sum_tallies(part.tally for part in folder.finished)
    rejects_path, summary_path = beside
    summary = summarize(total, rejects_path=rejects_path, summary_path=summary_path, notes=tuple(notes))
    # Rejects of an earlier run belong to the old output: if there are none now, atomic_files removes the old file.
    with atomic_files(folder.target, rejects_path, summary_path) as (draft, rejects_draft, summary_draft):
        digest = join_predictions(folder.list_files(folder.suffix), draft, folder.suffix, schema)
        if folder.suffix == ".parquet" and pq.read_metadata(draft).num_rows != total.n_written:
            raise OutputError(f"cannot write {folder.target}: its parts do not fit together", code="PC-SERVING-63")
        files = {"predictions": {"file": folder.target.name, "rows": total.n_written, "sha256": digest}}
        if total.n_rejects:
            digest = join_rejects_parts(folder.list_files(REJECTS), rejects_draft)
            files["rejects"] = {"file": rejects_path.name, "rows": total.n_rejects, "sha256": digest}
        write_summary(summary_draft, summary, total, plan, files)
        for written in (draft, rejects_draft, summary_draft):
            if written.is_file():
                sync_file(written)
    sync_folder(folder.target.parent)
    return summary
