"""Predict for a file of patients and write a file of predictions: in bounded memory, part by part, and atomically."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from paincast.cohort.reading.batches import Batch
from paincast.cohort.reading.files import PatientTable, check_table_file, count_rows, open_table
from paincast.cohort.reading.several import Source, list_sources
from paincast.cohort.rejects import COLUMN_TYPE, WHOLE_COLUMN, empty_rejects, join_rejects, locate_rows
from paincast.cohort.validate import reject_unknown_columns
from paincast.contract import Contract
from paincast.errors import OutputError
from paincast.files import atomic_files
from paincast.files.inputs import refuse_changed_file
from paincast.files.working_folder import sync_file, sync_folder
from paincast.models_folder import list_notes
from paincast.predictor.answers import MOST_REASONS
from paincast.predictor.rows import PREDICTION_SCHEMA
from paincast.progress import SILENT, Progress
from paincast.serving.answering import make_answer
from paincast.serving.asked import check_asking
from paincast.serving.batch.checks import check_output, note_absent, note_misspelt, require_columns
from paincast.serving.batch.ids import SeenIds
from paincast.serving.batch.output import PredictionsDraft, RejectsDraft, join_predictions, join_rejects_parts
from paincast.serving.batch.parts import IDS, REJECTS, PartsFolder, hold_parts
from paincast.serving.batch.plan import make_plan
from paincast.serving.batch.scoring import BatchScorer, name_patients
from paincast.serving.batch.summary import BatchSummary, summarize, write_summary
from paincast.serving.batch.tally import Tally, sum_tallies
from paincast.serving.layout import Layout, find_integer_ids, list_blocks
from paincast.serving.months import check_months, common_contract, select_models
from paincast.serving.predict import Trusted, load_models

CHUNK_ROWS = 32_768
PART_ROWS = 131_072
"""Rows of predictions, or patients, after which a part is finished: what a run that ends early loses at most."""


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
    does not grow with the file. Rules about a whole column (a wrong unit) are applied to each batch; a row whose
    ``episode_id`` is in an earlier batch is left out as a duplicate. Ids that are integers in all rows of a Parquet
    file are integers in a Parquet output.

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
    with open_table(source, used=columns, any_case=True, table="episodes", batch_rows=chunk_rows) as opened:
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
            progress.expect(count_rows(source) or 0)
            scorer = BatchScorer(make_answer(predictors, asking), contract, opened.labels)
            watched = list(zip(sources, facts, strict=True))
            run = _Run(opened, scorer, folder, contract, layout, part_rows=part_rows, watched=watched)
            run.predict_batches(progress)
            of_columns = [*note_misspelt(opened.columns, columns), *note_absent(opened.columns, asked_models)]
            notes = [*list_notes(models, asked_models, asking.named_techniques).values(), *opened.remarks, *of_columns]
            progress.describe("writing")
            summary = _place_output(folder, beside, plan, notes, layout.schema)
            folder.remove()
    return replace(summary, notes=(discarded, *summary.notes)) if discarded else summary


class _Run:
    """Predict the batches of an open file, and finish a part whenever it is large enough.

    Parameters
    ----------
    opened : PatientTable
        The file.
    scorer : BatchScorer
        Predicts for a batch.
    folder : PartsFolder
        Keeps the parts; those that are finished are not made again.
    contract : Contract
        Declares the columns of patients.
    layout : Layout
        Columns and types of the output.
    part_rows : int
        See :data:`PART_ROWS`.
    watched : sequence of (Source, os.stat_result)
        Input files, and their status before they were hashed.
    """

    def __init__(
        self,
        opened: PatientTable,
        scorer: BatchScorer,
        folder: PartsFolder,
        contract: Contract,
        layout: Layout,
        *,
        part_rows: int,
        watched: Sequence[tuple[Source, os.stat_result]],
    ) -> None:
        self._opened, self._scorer, self._folder = opened, scorer, folder
        self._layout, self._part_rows, self._watched = layout, part_rows, watched
        self._unread = empty_rejects()
        self._ahead = reject_unknown_columns(opened.columns, contract.episodes)
        self._seen = SeenIds()
        self._columns: dict[tuple[Any, ...], None] = {}
        for part, ids in zip(folder.finished, folder.list_files(IDS), strict=True):
            self._seen.resume_part(ids)
            self._columns |= dict.fromkeys(part.columns)
            scorer.style = part.style
        self._n_skipped = sum(part.batches for part in folder.finished)
        self._draft: _PartDraft | None = None

    def predict_batches(self, progress: Progress) -> None:
        """Predict all batches that no finished part covers.

        Raises
        ------
        DataError
            If the file cannot be read, or changed while it was.
        """
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

    def _predict_batch(self, batch: Batch) -> None:
        if self._draft is None:
            self._draft = _PartDraft(self._folder, self._layout.schema)
        draft, rejects = self._draft, []
        if not self._folder.finished and not draft.batches:
            rejects.append(self._ahead)
        if len(batch.places):
            draft.tally.n_patients += len(batch.places)
            ids = name_patients(batch)
            repeated = self._seen.find_repeated(ids)
            if repeated.any():
                rejects.append(_reject_repeated(batch.places[repeated]))
            fresh = _keep_rows(batch, ids, ~repeated)
            if len(self._unread):
                fresh = fresh._replace(rejects=join_rejects([self._unread, batch.rejects]))
            if len(fresh.places):
                scored = self._scorer.score(fresh, self._opened.dialect)
                arranged = self._layout.arrange(scored.predictions, batch)
                draft.predictions.write(arranged)
                draft.tally.note_answers(scored.predictions.table, len(arranged))
                rejects.append(scored.rejects)
        draft.tally.note_unread(batch.rejects)
        self._list_rejects([*rejects, batch.rejects], draft)
        draft.batches += 1
        if max(draft.tally.n_answers, draft.tally.n_patients) >= self._part_rows:
            self._finish_part()

    def _note_unread_columns(self, rejects: pd.DataFrame) -> None:
        """Remember columns that the reader left out as a whole: they are unread in every batch."""
        if len(rejects) and len(unread := rejects[rejects["rule"] == COLUMN_TYPE]):
            self._unread = join_rejects([self._unread, unread])

    def _list_rejects(self, frames: Sequence[pd.DataFrame], draft: _PartDraft) -> None:
        """Write the rejects of a batch, each once."""
        filled = [frame for frame in frames if len(frame)]
        if not filled:  # as in most batches of a clean file: the tables would cost as much as predicting
            return
        listed = join_rejects(filled).drop_duplicates(ignore_index=True)
        listed = self._drop_known_columns(locate_rows(listed, self._opened.extents), draft)
        draft.rejects.write(listed)
        draft.tally.note_rejects(listed)

    def _drop_known_columns(self, rejects: pd.DataFrame, draft: _PartDraft) -> pd.DataFrame:
        """Leave out rejects of whole columns that an earlier batch has listed: every batch finds them anew."""
        is_whole = (rejects["row"] == WHOLE_COLUMN).to_numpy()
        keys = [tuple(row) for row in rejects[is_whole].astype(object).to_numpy().tolist()]
        new = [key not in self._columns for key in keys]
        draft.columns += [key for key, is_new in zip(keys, new, strict=True) if is_new]
        self._columns |= dict.fromkeys(keys)
        kept = ~is_whole
        kept[is_whole] = new
        return rejects[kept]

    def _finish_part(self) -> None:
        for source, before in self._watched:
            refuse_changed_file(source.file, before)
        if self._draft is None:
            return
        draft, self._draft = self._draft, None
        draft.predictions.close()
        self._seen.write_part(self._folder.draft(IDS))
        self._folder.finish_part(
            batches=draft.batches, style=self._scorer.style, columns=tuple(draft.columns), tally=draft.tally
        )
        self._seen.open_part(self._folder.list_files(IDS)[-1])


class _PartDraft:
    """The part that is being made."""

    def __init__(self, folder: PartsFolder, schema: pa.Schema) -> None:
        self.predictions = PredictionsDraft(folder.draft(folder.suffix), folder.suffix, schema)
        self.rejects = RejectsDraft(folder.draft(REJECTS))
        self.batches = 0
        self.columns: list[tuple[Any, ...]] = []
        self.tally = Tally()


def _keep_rows(batch: Batch, ids: pa.Array, is_kept: npt.NDArray[np.bool_]) -> Batch:
    """Keep some rows of a batch, each with its id as text."""
    rows, name = batch.rows, "episode_id"
    position = rows.schema.get_field_index(name)
    rows = rows.append_column(name, ids) if position < 0 else rows.set_column(position, name, ids)
    if is_kept.all():
        return batch._replace(rows=rows)
    return batch._replace(rows=rows.filter(pa.array(is_kept)), places=batch.places[is_kept])


def _reject_repeated(places: npt.NDArray[np.int64]) -> pd.DataFrame:
    columns = {
        "column": "episode_id",
        "rule": "duplicate",
        "allowed": "one row for each episode_id; an earlier row holds it",
        "action": "row left out",
    }
    return pd.DataFrame({"table": "episodes", "row": places, **columns})


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
