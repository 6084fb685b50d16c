"""Arrange predictions: in one row for each patient, as a warehouse takes them, and with ids as they were given."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from paincast.cohort.reading.batches import Batch
from paincast.cohort.reading.files import list_integers
from paincast.deferred import pandas as pd
from paincast.outcomes import name_model
from paincast.predictor import Predictor
from paincast.predictor.ids import ID_COLUMNS
from paincast.predictor.route import Predictions
from paincast.scoring.arrays import to_arrow
from paincast.serving.asked import Asking
from paincast.serving.months import Asked, choose_model

OF_PATIENT = (*ID_COLUMNS, "use", "basis", "abstained_because")
"""Columns that each patient has once."""

_POINT = {"binary": ("probability",), "time_to_event": ("probability", "expected"), "continuous": ("expected",)}
_LIMITS = {
    "binary": ("lower", "upper"),
    "time_to_event": ("lower", "upper"),
    "continuous": ("expected_lower", "expected_upper"),
}
"""Numbers of an answer, by kind of outcome."""

_WORDS = ("eligible", "cautions", "abstained_because")


class WideBlock(NamedTuple):
    """The columns of one technique, outcome and month.

    Parameters
    ----------
    technique, outcome : str
        Of the model that answers.
    month : float or None
        The requested month; None if none is.
    columns : dict of str to str
        Names of the columns, by column of the predictions.
    """

    technique: str
    outcome: str
    month: float | None
    columns: dict[str, str]


def list_blocks(models: Mapping[str, Predictor], asking: Asking) -> list[WideBlock]:
    """List the columns of the wide layout, which follow from the models and from what is asked.

    Parameters
    ----------
    models : mapping of Predictor
        Models in the canonical order.
    asking : Asking
        From :func:`paincast.serving.asked.check_asking`.

    Returns
    -------
    list of WideBlock
        One for each technique, outcome and month that is asked and has a model.
    """
    blocks = []
    named = asking.named_techniques
    for technique, outcome in dict.fromkeys((model.technique, model.outcome) for model in models.values()):
        if (named is not None and technique not in named) or outcome not in (asking.outcomes or (outcome,)):
            continue
        for month in asking.months or (None,):
            model = choose_model(models, Asked(technique, outcome, month))
            if model is not None:
                kind, prefix = model.question.kind, name_model(technique, outcome, month).replace("/", ".")
                names = (*_POINT[kind], *(_LIMITS[kind] if asking.interval else ()), *_WORDS)
                blocks.append(WideBlock(technique, outcome, month, {name: f"{prefix}.{name}" for name in names}))
    return blocks


def list_columns(blocks: Sequence[WideBlock]) -> dict[str, str]:
    """List the columns of the wide layout in order, each with the column of predictions that has its type."""
    return {
        **dict(zip(OF_PATIENT, OF_PATIENT, strict=True)),
        **{column: name for block in blocks for name, column in block.columns.items()},
    }


def widen(predictions: pd.DataFrame, blocks: Sequence[WideBlock]) -> pd.DataFrame:
    """Arrange predictions in one row for each patient.

    Parameters
    ----------
    predictions : DataFrame of shape (m, len(PREDICTION_COLUMNS))
        Indexed by row number of the patient, in ascending order.
    blocks : sequence of WideBlock
        From :func:`list_blocks`.

    Returns
    -------
    DataFrame of shape (n_patients, ...)
        Ids; ``use`` and ``basis`` of the patient's answers; ``abstained_because``, which holds the reasons of what was
        asked and has no columns of its own (a technique without a model, no technique at all). Then for each technique,
        outcome and month ``TECHNIQUE.OUTCOME.NAME`` or, if months are asked, ``TECHNIQUE.OUTCOME.month-06.NAME``: the
        numbers that its kind of outcome has, ``eligible``, ``cautions`` and ``abstained_because``. All of them are
        empty for a patient of whom the technique is not asked. Indexed by row number.
    """
    patients = pd.Index(predictions.index.unique())
    told: dict[str, pd.Series] = {}
    has_columns = np.zeros(len(predictions), dtype=bool)
    by_outcome = predictions.groupby(["technique", "outcome"], sort=False).indices
    for block in blocks:
        rows = by_outcome.get((block.technique, block.outcome), np.empty(0, dtype=np.intp))
        if block.month is not None:
            rows = rows[np.isclose(predictions["horizon_months"].to_numpy(float)[rows], block.month, rtol=1e-9)]
        has_columns[rows] = True
        told |= _spread(predictions.iloc[rows], block, patients)
    first = predictions[~predictions.index.duplicated()]
    answered = predictions[~predictions["abstained"].to_numpy(bool)]
    beside = predictions[~has_columns]
    once = {
        **{name: first[name] for name in ID_COLUMNS},
        **{name: _join(answered[name], patients) for name in ("use", "basis")},
        "abstained_because": _join(beside["abstained_because"], patients),
    }
    return pd.DataFrame({**once, **told}, index=patients)[list(list_columns(blocks))]


def _spread(rows: pd.DataFrame, block: WideBlock, patients: pd.Index) -> dict[str, pd.Series]:
    spread = rows[list(block.columns)].reindex(patients)
    return {
        column: spread[name].fillna("").astype("str") if name in _WORDS[1:] else spread[name]
        for name, column in block.columns.items()
    }


def _join(texts: pd.Series, patients: pd.Index) -> pd.Series:
    """Join the distinct texts of each patient; empty for a patient without any."""
    told = texts[texts != ""]
    distinct = told[~pd.DataFrame({"place": told.index, "text": told.to_numpy(object)}).duplicated().to_numpy()]
    joined = distinct if distinct.index.is_unique else distinct.groupby(level=0, sort=False).agg("; ".join)
    return joined.reindex(patients).fillna("").astype("str")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Columns and types of a file of predictions; all of them are known before the first row.

    Parameters
    ----------
    long : pyarrow.Schema
        Types of predictions whose ids are text.
    blocks : sequence of WideBlock or None
        From :func:`list_blocks`, for one row for each patient; None for one row for each prediction.
    integer_ids : dict of str to pyarrow.DataType
        From :func:`find_integer_ids`.
    """

    long: pa.Schema
    blocks: Sequence[WideBlock] | None = None
    integer_ids: Mapping[str, pa.DataType] = field(default_factory=dict)

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""
        types = {**dict(zip(self.long.names, self.long.types, strict=True)), **self.integer_ids}
        columns = {name: name for name in types} if self.blocks is None else list_columns(self.blocks)
        return pa.schema([(column, types[name]) for column, name in columns.items()])

    def arrange(self, predictions: Predictions, batch: Batch) -> pa.Table:
        """Arrange the predictions of a batch in the columns of :attr:`schema`; long ones keep texts as dictionaries."""
        table = self._restore_ids(predictions, batch)
        if self.blocks is None:
            return table
        wide = widen(predictions._replace(table=table).to_frame(), self.blocks)
        return pa.Table.from_pandas(wide, schema=self.schema, preserve_index=False).replace_schema_metadata()

    def _restore_ids(self, predictions: Predictions, batch: Batch) -> pa.Table:
        table, rows = predictions.table, to_arrow(np.searchsorted(batch.places, predictions.places))
        for name, kind in self.integer_ids.items():
            given = batch.rows[name if name in batch.rows.column_names else ID_COLUMNS[0]]
            table = table.set_column(table.schema.get_field_index(name), name, given.take(rows).cast(kind))
        texts = {name: batch.rows[name] for name in ID_COLUMNS if name in batch.rows.column_names}
        texts = {name: given for name, given in texts.items() if pa.types.is_string(given.type)}
        if not any(map(_has_spaces, texts.values())):
            return table
        known = {name: predictions.table[name].cast(pa.string()) for name in ID_COLUMNS}
        episodes = known[ID_COLUMNS[0]]
        for name, trimmed in known.items():
            # A patient without an id of its own has that of the episode.
            ids = pc.if_else(pc.equal(trimmed, known[ID_COLUMNS[0]]), episodes, trimmed)
            ids = _restore(texts[name].take(rows), trimmed, ids) if name in texts else ids
            episodes = ids if name == ID_COLUMNS[0] else episodes
            if name not in self.integer_ids:
                table = table.set_column(table.schema.get_field_index(name), name, ids)
        return table


def _has_spaces(texts: pa.ChunkedArray) -> bool:
    """Whether white space is around any text."""
    return bool(pc.any(pc.not_equal(texts, pc.utf8_trim_whitespace(texts))).as_py())


def _restore(given: pa.ChunkedArray, trimmed: pa.ChunkedArray, made: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return texts as they were given where they are those of the row, and what was made elsewhere."""
    is_given = pc.equal(pc.utf8_trim_whitespace(given), trimmed).fill_null(False)
    return pc.if_else(is_given, given, made)


def find_integer_ids(source: str | Path, columns: Collection[str]) -> dict[str, pa.DataType]:
    """Find the ids that are integers in every row of a file, by their types; only Parquet declares that.

    Parameters
    ----------
    source : str or Path
        A file, a folder or a pattern.
    columns : collection of str
        Columns of the file; an absent ``patient_id`` is the ``episode_id``.
    """
    found = list_integers(source, ID_COLUMNS)
    episode, patient = ID_COLUMNS
    return found if patient in columns or episode not in found else {**found, patient: found[episode]}
