"""Predict for a file of patients and write a file of predictions, in bounded memory and atomically."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pandas.api.types import is_integer_dtype

from paincast.cohort.coercion import NumberStyle, to_text
from paincast.cohort.reading.batches import Batch
from paincast.cohort.reading.files import PatientTable, check_table_file, count_rows, open_table
from paincast.cohort.reading.labels import spell_out
from paincast.cohort.reading.names import find_misspelt
from paincast.cohort.reading.patients import PatientRows, find_number_style
from paincast.cohort.reading.several import list_sources
from paincast.cohort.reading.types import Dialect
from paincast.cohort.rejects import (
    COLUMN_TYPE,
    NOT_A_PATIENT,
    WHOLE_COLUMN,
    compute_reject_share,
    empty_rejects,
    join_rejects,
    locate_rows,
    name_nearest,
)
from paincast.cohort.validate import reject_unknown_columns
from paincast.contract import Contract
from paincast.errors import DataError, OutputError
from paincast.files import atomic_files
from paincast.files.inputs import require_regular_file
from paincast.files.spreadsheets import restore_formula, write_csv
from paincast.models_folder import list_notes
from paincast.predictor import ANSWERS, LISTS, PREDICTION_COLUMNS, Predictor, answer_patients
from paincast.predictor.answers import MOST_REASONS
from paincast.predictor.route import Answer
from paincast.predictor.rows import UNCERTAINTY_COLUMNS
from paincast.predictor.validation import VALIDATION_COLUMNS
from paincast.progress import SILENT, Progress
from paincast.serving.asked import check_asking
from paincast.serving.layout import Layout, find_integer_ids, list_blocks
from paincast.serving.months import check_months, common_contract, select_models
from paincast.serving.predict import load_models, predict_episodes

CHUNK_ROWS = 5000
SUFFIXES = (".csv", ".parquet")
"""Formats of the predictions."""

_SIZES = ("log_odds", "points")
_REASONS = pa.list_(
    pa.struct([("variable", pa.string()), ("value", pa.string()), *((unit, pa.float64()) for unit in _SIZES)])
)
_TYPES = {
    **dict.fromkeys(("horizon_months", *ANSWERS, "level"), pa.float64()),
    **dict.fromkeys(("control_probability", "control_lower", "control_upper", "control_month"), pa.float64()),
    **dict.fromkeys((*UNCERTAINTY_COLUMNS, *VALIDATION_COLUMNS[1:]), pa.float64()),
    **dict.fromkeys(("eligible", "in_domain", "abstained"), pa.bool_()),
    **dict.fromkeys(LISTS, _REASONS),
    "n_real": pa.int64(),
}
_TEXTS = [column for column in PREDICTION_COLUMNS if column not in _TYPES]
PREDICTION_SCHEMA = pa.schema([(column, _TYPES.get(column, pa.string())) for column in PREDICTION_COLUMNS])
"""Types of the predictions in a Parquet file."""


@dataclass(frozen=True, kw_only=True)
class BatchSummary:
    """Result of a batch prediction.

    Parameters
    ----------
    n_patients : int
        Rows read.
    n_predicted, n_abstained : int
        Predictions and abstentions; a patient has one for each technique, outcome and month that is asked.
    by_technique : dict
        ``technique -> (predicted, abstained)``; an empty name counts patients of whom no technique is asked.
    marked : tuple of str
        Techniques with a prediction for research use only.
    reasons : dict
        The most common reason to abstain, by technique.
    n_rejects : int
        Lines of the rejects file.
    reject_share : float
        See :func:`paincast.cohort.rejects.compute_reject_share`.
    rejects_path : Path or None
        File with the rejects; None if there are none.
    notes : tuple of str
        Notes on the models, see :func:`paincast.models_folder.list_notes`, on how the file was read, and on columns
        that were not read but whose name is similar to that of an absent column.
    """

    n_patients: int
    n_predicted: int
    n_abstained: int
    by_technique: dict[str, tuple[int, int]]
    marked: tuple[str, ...]
    reasons: dict[str, str]
    n_rejects: int
    reject_share: float
    rejects_path: Path | None
    notes: tuple[str, ...] = ()


@dataclass
class _Tally:
    n_patients: int = 0
    predicted: Counter[str] = field(default_factory=Counter)
    abstained: Counter[str] = field(default_factory=Counter)
    marked: set[str] = field(default_factory=set)
    reasons: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    rejects: list[pd.DataFrame] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    unread: pd.DataFrame = field(default_factory=empty_rejects)
    style: NumberStyle = field(default_factory=NumberStyle)

    def learn_style(self, patients: pd.DataFrame, dialect: Dialect, contract: Contract) -> None:
        """Learn how numbers are written from the first batch that shows it."""
        if self.style == NumberStyle():
            self.style = find_number_style(patients, dialect, contract.episodes)

    def note_unread(self, rejects: pd.DataFrame) -> None:
        """Count the rows that the reader left out; a column that it rejected as a whole is unread in every batch."""
        self.rejects.append(rejects)
        rows = rejects[(rejects["action"] == "row left out") & (rejects["row"] != WHOLE_COLUMN)]
        self.n_patients += rows.loc[rows["rule"] != NOT_A_PATIENT, "row"].nunique()
        self.unread = join_rejects([self.unread, rejects[rejects["rule"] == COLUMN_TYPE]])


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
    chunk_rows: int = CHUNK_ROWS,
    progress: Progress = SILENT,
) -> BatchSummary:
    """Predict for a file of patients.

    Rows are read (see :mod:`paincast.cohort.reading.files`), checked, predicted and written in batches: memory grows
    with the number of ids only. Rules about a whole column (a wrong unit) are applied to each batch; a row whose
    ``episode_id`` is in an earlier batch is left out as a duplicate. Ids that are integers in all rows of a Parquet
    file are integers in a Parquet output.

    Parameters
    ----------
    patients : str or Path
        File, sheet, folder or pattern (:func:`paincast.cohort.reading.files.open_table`) with columns of ``episodes``.
    out : str or Path
        ``.csv`` (reasons as JSON text) or ``.parquet`` (reasons as lists).
    models : str or Path
        Folder of models, one bundle, or an MLflow address.
    techniques, outcomes, months, interval, explain, wide, allow_contradicted
        What is asked, as for :func:`paincast.predict`.
    chunk_rows, progress
        Patients per chunk, by whose number the progress is advanced.

    Returns
    -------
    BatchSummary
        ``<stem>.rejects.csv`` next to ``out`` lists everything that was left out.

    Raises
    ------
    DataError
        If the patients or the models cannot be read, or a column that every prediction needs is missing.
    SettingsError
        If a technique or outcome is unknown, a month is not a number above 0, or ``explain`` not a whole number.
    OutputError
        If the output cannot be written; no partial file is left behind.
    """
    source, target = Path(patients), Path(out)
    rejects_path = target.with_name(f"{target.stem}.rejects.csv")
    _check_output(source, target, rejects_path)
    for entry in list_sources(source):
        check_table_file(entry.file)
    months = check_months(months)
    predictors = select_models(load_models(models), months)
    contract = common_contract(predictors.values())
    shown: dict[str, Any] = {"explain": explain, "wide": wide, "allow_contradicted": allow_contradicted}
    asking = check_asking(contract, techniques=techniques, outcomes=outcomes, months=months, interval=interval, **shown)
    columns, asked_models = contract.episodes, asking.keep_models(predictors)
    answer = partial(predict_episodes, predictors, asking=asking)
    with open_table(source, used=columns, any_case=True, table="episodes", batch_rows=chunk_rows) as opened:
        _require_columns(source, opened.columns, asked_models)
        layout = Layout(
            long=PREDICTION_SCHEMA,
            blocks=list_blocks(predictors, asking) if wide else None,
            integer_ids=find_integer_ids(source, opened.columns),
        )
        tally = _Tally(rejects=[reject_unknown_columns(opened.columns, columns)])
        progress.expect(count_rows(source) or 0)
        # Rejects of an earlier run belong to the old output: if there are none now, atomic_files removes the old file.
        with atomic_files(target, rejects_path) as (draft, rejects_draft):
            with _open_predictions(draft, layout.schema) as write:
                for batch in opened.batches:
                    if len(batch.places):
                        write(layout.arrange(_predict_batch(batch, answer, tally, opened, contract), batch))
                    tally.note_unread(batch.rejects)
                    progress.advance(len(batch.places))
            rejects = locate_rows(_collect_rejects(tally), opened.extents)
            if len(rejects):
                write_csv(rejects, rejects_draft)
    of_columns = [*_note_misspelt(opened.columns, columns), *_note_absent(opened.columns, asked_models)]
    notes = [*list_notes(models, asked_models, asking.named_techniques).values(), *opened.remarks, *of_columns]
    return replace(_summarise(tally, rejects, rejects_path), notes=tuple(notes))


def read_predictions(path: str | Path) -> pd.DataFrame:
    """Read the predictions that :func:`predict_file` wrote; the result is the same for both formats.

    Parameters
    ----------
    path : str or Path
        A ``.csv`` or ``.parquet`` file of predictions.

    Returns
    -------
    DataFrame of shape (n, len(PREDICTION_COLUMNS))
        Reasons as lists; missing texts are empty. Ids are as given, without the apostrophe that protects them from
        being read as formulas by a spreadsheet; integers of a Parquet file stay integers.

    Raises
    ------
    DataError
        If the file cannot be read, or does not hold a row for each prediction.
    """
    require_regular_file(path)
    try:
        rows = _read_rows(Path(path))
        # Predictions of earlier versions lack columns that were added since.
        numbers = [name for name, kind in _TYPES.items() if kind == pa.float64()]
        added: dict[str, Any] = {"missing_values": "[]", **dict.fromkeys(numbers, float("nan"))}
        rows = rows.assign(**{name: value for name, value in added.items() if name not in rows})
        reasons = {name: rows[name].map(_read_reasons) for name in LISTS}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, pa.ArrowException) as error:
        raise DataError(f"{path} is not a predictions file ({type(error).__name__})", code="PC-SERVING-04") from error
    rows = rows.assign(**{name: "" for name in _TEXTS if name not in rows})
    texts = {name: rows[name].fillna("").astype("str") for name in _TEXTS if not is_integer_dtype(rows[name])}
    read = rows.assign(**texts, **reasons).astype({"eligible": "boolean", "in_domain": "boolean"})
    return read[list(PREDICTION_COLUMNS)]


def _read_rows(path: Path) -> pd.DataFrame:
    if path.suffix.lower() == ".parquet":
        return pd.DataFrame(pq.read_table(path).to_pandas())
    texts = [*_TEXTS, *LISTS]
    rows = pd.read_csv(
        path,
        dtype=dict.fromkeys(texts, "str"),
        keep_default_na=False,  # a patient may be called NA
        na_values={name: [""] for name in PREDICTION_COLUMNS if name not in texts},
    )
    return rows.assign(**{name: rows[name].map(restore_formula) for name in texts if name in rows})


def _read_reasons(written: Any) -> list[Any]:
    reasons = json.loads(written) if isinstance(written, str) else written
    return [{name: value for name, value in reason.items() if value is not None} for reason in reasons]


def _check_output(source: Path, target: Path, rejects_path: Path) -> None:
    if target.suffix.lower() not in SUFFIXES:
        raise OutputError(
            f"{target}: unknown suffix '{target.suffix}'; allowed: {', '.join(SUFFIXES)}", code="PC-SERVING-05"
        )
    for written in (target, rejects_path):
        for file in [entry.file for entry in list_sources(source)]:
            if written.resolve() == file.resolve() or (written.exists() and file.exists() and written.samefile(file)):
                raise OutputError(f"{written} is the input file of patients; give another output", code="PC-SERVING-06")


def _require_columns(source: Path, columns: Sequence[str], predictors: Mapping[str, Predictor]) -> None:
    measures = [predictor.measures for predictor in predictors.values()]
    # A model whose measures are absent abstains; the file is refused only if no model can predict.
    answers = any(not names or set(names) & set(columns) for names in measures)
    needed = ["indication", *([] if answers else sorted({name for names in measures for name in names}))]
    missing = [name for name in needed if name not in columns]
    if missing:
        hints = "; ".join(f"'{name}' ({name_nearest(name, columns)})" for name in missing)
        raise DataError(
            f"{source}: columns that every prediction needs are missing: {hints}; rename or add them",
            code="PC-SERVING-07",
        )


def _note_misspelt(columns: Sequence[str], known_columns: Collection[str]) -> list[str]:
    return [
        f"the column '{name}' is not read, and no patient has a value of {known}; rename it if it holds one"
        for name, known in find_misspelt(columns, known_columns).items()
    ]


def _note_absent(columns: Sequence[str], predictors: Mapping[str, Predictor]) -> list[str]:
    """Note columns of a registry's own that models use and the file does not have."""
    used = dict.fromkeys(
        name
        for model in predictors.values()
        for name in model.response.encoder.owners
        if name in model.contract.own_columns and name not in columns
    )
    return [f"the file has no column {', '.join(used)}, which the models use: taken as unknown"] if used else []


def _predict_batch(
    batch: Batch, answer: Answer, tally: _Tally, opened: PatientTable, contract: Contract
) -> pd.DataFrame:
    patients, places = _name_rows(batch)
    patients = spell_out(patients, opened.labels, contract.episodes)
    tally.learn_style(patients, opened.dialect, contract)
    tally.n_patients += len(patients)
    repeated = patients["episode_id"].isin(tally.seen)
    tally.rejects.append(_reject_repeated(places[repeated]))
    fresh, fresh_places = patients[~repeated], places[~repeated].to_numpy()
    tally.seen.update(fresh["episode_id"])
    unread = join_rejects([tally.unread, batch.rejects])
    read = PatientRows(rows=fresh, places=fresh_places, rejects=unread, style=tally.style)
    rows, rejects = answer_patients(read, answer, contract=contract)
    tally.rejects.append(rejects)
    answers = rows[~rows["abstained"]]
    tally.predicted.update(answers["technique"])
    tally.marked.update(answers.loc[answers["use"] != "", "technique"])
    silent = rows.loc[rows["abstained"], ["technique", "abstained_because"]]
    tally.abstained.update(silent["technique"])
    for technique, reasons in silent.groupby("technique")["abstained_because"]:
        tally.reasons[str(technique)].update(reasons)
    return rows


def _name_rows(batch: Batch) -> tuple[pd.DataFrame, pd.Series]:
    """Return the patients with an id each (the given id, or one made from the row number), and the row numbers."""
    patients, places = batch.rows.to_pandas(), pd.Series(batch.places)
    made = "row-" + places.astype("str")
    given = to_text(patients["episode_id"]).fillna(made) if "episode_id" in patients else made
    return patients.assign(episode_id=given), places


def _reject_repeated(places: pd.Series) -> pd.DataFrame:
    columns = {
        "column": "episode_id",
        "rule": "duplicate",
        "allowed": "one row for each episode_id; an earlier row holds it",
        "action": "row left out",
    }
    return pd.DataFrame({"table": "episodes", "row": places.to_numpy(), **columns})


def _collect_rejects(tally: _Tally) -> pd.DataFrame:
    """Join the rejects of all chunks; a rejected column is listed once."""
    return join_rejects(tally.rejects).drop_duplicates(ignore_index=True)


@contextmanager
def _open_predictions(path: Path, schema: pa.Schema = PREDICTION_SCHEMA) -> Iterator[Callable[[pd.DataFrame], None]]:
    if path.suffix.lower() == ".parquet":
        with pq.ParquetWriter(path, schema) as writer:
            yield lambda rows: writer.write_table(pa.Table.from_pandas(rows, schema=schema, preserve_index=False))
    else:
        with path.open("w", encoding="utf-8", newline="") as stream:
            stream.write(",".join(schema.names) + "\n")
            lists = [name for name in LISTS if name in schema.names]
            yield lambda rows: write_csv(
                rows.assign(**{name: rows[name].map(json.dumps) for name in lists}), stream, header=False
            )


def _summarise(tally: _Tally, rejects: pd.DataFrame, rejects_path: Path) -> BatchSummary:
    techniques = dict.fromkeys([*tally.predicted, *tally.abstained])
    return BatchSummary(
        n_patients=tally.n_patients,
        n_predicted=tally.predicted.total(),
        n_abstained=tally.abstained.total(),
        by_technique={name: (tally.predicted[name], tally.abstained[name]) for name in techniques},
        marked=tuple(name for name in techniques if name in tally.marked),
        reasons={name: counted.most_common(1)[0][0] for name, counted in tally.reasons.items()},
        n_rejects=len(rejects),
        reject_share=compute_reject_share(rejects, tally.n_patients),
        rejects_path=rejects_path if len(rejects) else None,
    )
