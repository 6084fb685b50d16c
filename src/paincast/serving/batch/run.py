"""Predict for a file of patients and write a file of predictions: in bounded memory, part by part, and atomically."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from paincast.cohort.reading.files import PatientTable, check_table_file
from paincast.cohort.reading.several import Source, list_sources
from paincast.cohort.reading.stretches import PatientFiles, Stretch, count_all_rows, open_files, open_stretch
from paincast.cohort.rejects import REJECT_COLUMNS, gather_rejects
from paincast.cohort.survey import Survey, WholeColumns, decide
from paincast.cohort.validate import reject_unknown_columns
from paincast.deferred import pandas as pd
from paincast.deferred import parquet as pq
from paincast.errors import OutputError
from paincast.files import atomic_files
from paincast.files.inputs import refuse_changed_file
from paincast.files.working_folder import sync_file, sync_folder
from paincast.models_folder import list_notes
from paincast.predictor.answers import MOST_REASONS
from paincast.predictor.ids import ID_COLUMNS
from paincast.predictor.route import Blocks
from paincast.predictor.rows import PREDICTION_SCHEMA
from paincast.progress import SILENT, Progress
from paincast.serving.answering import make_answer
from paincast.serving.asked import check_asking
from paincast.serving.batch.checks import check_output, note_absent, note_misspelt, require_columns
from paincast.serving.batch.ids import Contents, IdRun, find_repeated, holds_any
from paincast.serving.batch.output import join_predictions, join_rejects_parts
from paincast.serving.batch.part import IDS, REJECTS, PartFiles, WholeInput
from paincast.serving.batch.parts import PartsFolder, hold_parts
from paincast.serving.batch.plan import make_plan
from paincast.serving.batch.scoring import BatchScorer, PartMaker, ReadBatch, cut_parts, keep_rows, name_patients
from paincast.serving.batch.summary import BatchSummary, summarize, write_summary
from paincast.serving.batch.tally import sum_tallies
from paincast.serving.layout import Layout, find_integer_ids, list_blocks
from paincast.serving.months import check_months, common_contract, select_models
from paincast.serving.predict import Trusted, load_models

CHUNK_ROWS = 32_768
PART_ROWS = 131_072
"""Patients after which a part is finished: what a run that ends early loses at most."""

ANSWERS_AT_ONCE = 65_536
"""Answers that are made together, about: where many models are asked, those of a batch come in blocks of patients."""

_NOWHERE = np.empty(0, dtype=np.int64)


class Engine(Protocol):
    """Makes the parts of a run."""

    def check(self, sources: Sequence[Source]) -> None:
        """Refuse what it cannot do, before anything is read."""

    def make_parts(self, run: Run) -> None:
        """Make the parts that are not finished."""


@dataclass(kw_only=True)
class Run:
    """A batch prediction under way.

    Parameters
    ----------
    patients : PatientFiles
        The input.
    facts : mapping of Source to os.stat_result
        Status of each file before it was hashed.
    maker : PartMaker
        Makes parts.
    folder : PartsFolder
        Keeps them; those that are finished are not made again.
    part_rows : int
        Rows of a part.
    plan : dict
        What the run is made from.
    progress : Progress
        Advanced by the patients of each batch.
    """

    patients: PatientFiles
    facts: Mapping[Source, os.stat_result]
    maker: PartMaker
    folder: PartsFolder
    part_rows: int
    plan: dict[str, Any]
    progress: Progress
    opened: PatientTable | None = field(default=None, init=False)

    def list_unfinished(self) -> list[Stretch]:
        """List the stretches of which a part is missing, or whose parts are not known."""
        finished = self.folder.finished
        return [
            stretch
            for stretch in self.patients.stretches
            if stretch.n_parts is None or any(number not in finished for number in stretch.numbers)
        ]

    def make_parts(self, *, most: int | None = None) -> None:
        """Make the parts that are not finished in this process, or the first of them.

        Raises
        ------
        DataError
            If a file cannot be read, or changed while it was.
        """
        n_made = 0
        for stretch in self.list_unfinished():
            with open_stretch(self.patients, stretch) as self.opened:
                for number, batches in cut_parts(self.opened, stretch, self.part_rows):
                    if number in self.folder.finished:
                        continue
                    self._make_part(number, self._watch(batches), self.opened)
                    self.refuse_changed(stretch)
                    n_made += 1
                    if n_made == most:
                        return
            self.refuse_changed(stretch)

    def refuse_changed(self, stretch: Stretch) -> None:
        """Refuse files that changed since they were hashed."""
        for source in self.patients.list_sources(stretch):
            refuse_changed_file(source.file, self.facts[source])

    def is_settled(self) -> bool:
        """Whether all rows decide what the parts were made by."""
        whole = self.folder.whole
        if whole is None or whole.columns != self._decide():
            return whole is None
        return whole.is_compared or not len(self._find_repeated().ids)

    def start_again(self) -> None:
        """Decide by all rows, compare those that share an id, and discard the parts."""
        repeated, columns = self._find_repeated(), self._decide()
        contents = Contents(repeated)
        for stretch in self.patients.stretches if len(repeated.ids) else ():
            held = [self.folder.finished[number] for number in stretch.numbers]
            if held and not any(holds_any(self.folder.find_file(part, IDS), repeated) for part in held):
                continue
            with open_stretch(self.patients, stretch) as opened:
                scorer = BatchScorer(self.maker.answer, self.maker.contract, opened.labels, columns)
                for batch in opened.batches:
                    positions = contents.find(name_patients(batch)) if len(batch.places) else _NOWHERE
                    if (positions >= 0).any():
                        rows = scorer.list_contents(keep_rows(batch, positions >= 0))
                        contents.note(positions[positions >= 0], rows)
        self.folder.start_again(WholeInput(columns, contents.list_repeated(), is_compared=True))

    def _make_part(self, number: int, batches: Iterable[ReadBatch], opened: PatientTable) -> None:
        files = PartFiles(self.folder.path, number, self.folder.suffix)
        made = self.maker.make(batches, opened, self.folder.whole, files)
        if self.folder.whole is None:
            self.folder.keep_whole(WholeInput(made.whole))
        self.folder.finish_part(files, **made.facts)

    def _watch(self, batches: Iterator[ReadBatch]) -> Iterator[ReadBatch]:
        for read in batches:
            yield read
            self.progress.advance(len(read.batch.places))

    def _decide(self) -> WholeColumns:
        total = Survey()
        for part in self.folder.parts:
            total.add(part.survey)
        separator = self.opened.dialect.separator if self.opened else None
        return decide(total, self.maker.contract.episodes, separator)

    def _find_repeated(self) -> IdRun:
        n_ids = sum(part.tally.n_patients for part in self.folder.parts)
        return find_repeated(self.folder.list_files(IDS), n_ids)


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
    engine: Engine | None = None,
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
    engine : Engine, optional
        Makes the parts; :class:`paincast.serving.spark.SparkEngine` has several machines do it. By default this process
        does. The output is the same, and each goes on with what the other left.
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
    if engine is not None:
        engine.check(sources)
    facts = [check_table_file(entry.file) for entry in sources]
    months = check_months(months)
    predictors = select_models(load_models(models, trusted_keys=trusted_keys), months)
    contract = common_contract(predictors.values())
    shown: dict[str, Any] = {"explain": explain, "wide": wide, "allow_contradicted": allow_contradicted}
    asking = check_asking(contract, techniques=techniques, outcomes=outcomes, months=months, interval=interval, **shown)
    columns, asked_models = contract.episodes, asking.keep_models(predictors)
    sizes = {"batch": chunk_rows, "part": -(-part_rows // chunk_rows) * chunk_rows}
    reading: dict[str, Any] = {"any_case": True, "verbatim": ID_COLUMNS, "table": "episodes", "batch_rows": chunk_rows}
    with open_files(source, part_rows=sizes["part"], used=dict.fromkeys(columns), **reading) as files:
        require_columns(source, files.columns, asked_models)
        layout = Layout(
            long=PREDICTION_SCHEMA,
            blocks=list_blocks(predictors, asking) if wide else None,
            integer_ids=find_integer_ids(source, files.columns),
        )
        maker = PartMaker(
            answer=make_answer(predictors, asking),
            contract=contract,
            layout=layout,
            ahead=reject_unknown_columns(files.columns, columns),
            blocks=Blocks(max(1, ANSWERS_AT_ONCE // max(1, len(asked_models))), ANSWERS_AT_ONCE),
        )
        with hold_parts(target) as folder:
            options = {**asdict(asking), "wide": wide}
            plan = make_plan(sources, facts, predictors, contract, options=options, sizes=sizes, suffix=folder.suffix)
            discarded = folder.prepare(plan, resume=resume)
            run = Run(
                patients=files,
                facts=dict(zip(sources, facts, strict=True)),
                maker=maker,
                folder=folder,
                part_rows=sizes["part"],
                plan=plan,
                progress=progress,
            )
            _predict_all(run, engine)
            remarks = run.opened.remarks if run.opened else []
            of_columns = [*note_misspelt(files.columns, columns), *note_absent(files.columns, asked_models)]
            notes = [*list_notes(models, asked_models, asking.named_techniques).values(), *remarks, *of_columns]
            progress.describe("writing")
            summary = _place_output(folder, beside, plan, notes, layout.schema)
            folder.remove()
    return replace(summary, notes=(discarded, *summary.notes)) if discarded else summary


def _predict_all(run: Run, engine: Engine | None) -> None:
    """Predict for the input, and again for as long as all its rows decide otherwise than the parts were made by.

    How numbers are written depends on the texts alone, units on how numbers are read, and which rows differ on both:
    after three times nothing changes any more.
    """
    while True:
        run.progress.expect(count_all_rows(run.patients))
        run.progress.describe("resuming" if run.folder.finished else "predicting")
        run.progress.advance(sum(part.tally.n_patients for part in run.folder.parts))
        if engine is None:
            run.make_parts()
        else:
            engine.make_parts(run)
        for stretch in run.patients.stretches:
            run.refuse_changed(stretch)
        if run.is_settled():
            return
        run.start_again()


def _place_output(
    folder: PartsFolder, beside: tuple[Path, ...], plan: dict[str, Any], notes: list[str], schema: pa.Schema
) -> BatchSummary:
    """Put the parts together and move predictions, rejects and summary to their places, together."""
    total = sum_tallies(part.tally for part in folder.parts)
    columns = _list_columns(folder)
    if columns is not None:
        total.note_rejects(columns)
    rejects_path, summary_path = beside
    summary = summarize(total, rejects_path=rejects_path, summary_path=summary_path, notes=tuple(notes))
    # Rejects of an earlier run belong to the old output: if there are none now, atomic_files removes the old file.
    with atomic_files(folder.target, rejects_path, summary_path) as (draft, rejects_draft, summary_draft):
        digest = join_predictions(folder.list_files(folder.suffix), draft, folder.suffix, schema)
        if folder.suffix == ".parquet" and pq.read_metadata(draft).num_rows != total.n_written:
            raise OutputError(f"cannot write {folder.target}: its parts do not fit together", code="PC-SERVING-63")
        files = {"predictions": {"file": folder.target.name, "rows": total.n_written, "sha256": digest}}
        if total.n_rejects:
            digest = join_rejects_parts(columns, folder.list_files(REJECTS), rejects_draft)
            files["rejects"] = {"file": rejects_path.name, "rows": total.n_rejects, "sha256": digest}
        write_summary(summary_draft, summary, total, plan, files)
        for written in (draft, rejects_draft, summary_draft):
            if written.is_file():
                sync_file(written)
    sync_folder(folder.target.parent)
    return summary


def _list_columns(folder: PartsFolder) -> pd.DataFrame | None:
    """List the rejects of whole columns, each once: they are found anew wherever the column is read."""
    found = dict.fromkeys(key for part in folder.parts for key in part.columns)
    return gather_rejects([pd.DataFrame(list(found), columns=list(REJECT_COLUMNS))]) if found else None
