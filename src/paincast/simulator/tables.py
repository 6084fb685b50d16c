"""Convert simulated blocks to Arrow tables: the tables of the contract, and the truth."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from paincast.evidence.figures import Record
from paincast.schema import EPISODES, EVENTS, INDICATIONS, NO_PROCEDURE, TABLES, VISITS, Column
from paincast.simulator.block import Followed, Screened, list_guidance
from paincast.simulator.course.events import NEVER
from paincast.simulator.course.visit_process import is_in_time
from paincast.simulator.defaults import FACTORS
from paincast.simulator.population.marginals import count_decimals
from paincast.simulator.population.sites import Truths, Whole
from paincast.simulator.scenario import Scenario, Stratum

DIGITS = 10
"""Number of digits in an id."""

WORDS = pa.dictionary(pa.int8(), pa.string())

Tables = dict[str, pa.Table]
Values = NDArray[Any]

_PAIRS = np.frombuffer("".join(f"{number:02d}" for number in range(100)).encode("ascii"), dtype=np.uint16)
_VISIT_SCALE: Mapping[str, float] = {"pain_nrs": 10.0, "eq5d_index": 1000.0}


def arrow_type(column: Column) -> pa.DataType:
    """Return the Arrow type of a column of the contract."""
    kinds = {
        "text": pa.string(),
        "category": WORDS,
        "number": pa.float64(),
        "integer": pa.int64(),
        "boolean": pa.bool_(),
    }
    return kinds[column.type]


def make_schemas(scenario: Scenario, *, keep_untreated: bool) -> dict[str, pa.Schema]:
    """Make the Arrow schema of each table of a scenario: those of the contract, and the truth.

    The truth says who was treated if there are others.
    """
    schemas = {
        name: pa.schema([(column.name, arrow_type(column)) for column in columns.values()])
        for name, columns in TABLES.items()
    }
    sums = max(len(stratum.leads) for stratum in scenario.strata.values())
    options = max(len(stratum.options) for stratum in scenario.strata.values())
    numbers = [*FACTORS, "shared", *_name_parts("effect", sums)]
    numbers += [*_name_parts("propensity", options), *_name_parts("selection", options)]
    if scenario.assumptions.hidden_choice or scenario.assumptions.hidden_response:
        numbers.append("hidden")
    schemas["truth"] = pa.schema(
        [
            ("episode_id", pa.string()),
            ("indication", WORDS),
            ("option", pa.int8()),
            ("opioid_user", pa.bool_()),
            *([("treated", pa.bool_())] if keep_untreated else []),
            *((name, pa.float32()) for name in numbers),
        ]
    )
    return schemas


class Layout(NamedTuple):
    """The columns of a table.

    Parameters
    ----------
    schema : Schema
        Arrow schema.
    kinds : mapping of str to str
        Type name of each column.
    types : mapping of str to DataType
        Types by name.
    """

    schema: pa.Schema
    kinds: Mapping[str, str]
    types: Mapping[str, pa.DataType]


def make_layouts(scenario: Scenario, *, keep_untreated: bool) -> dict[str, Layout]:
    """Make the layout of each table of a scenario."""
    return {
        name: Layout(
            schema=schema,
            kinds={field.name: str(field.type) for field in schema},
            types={str(field.type): field.type for field in schema},
        )
        for name, schema in make_schemas(scenario, keep_untreated=keep_untreated).items()
    }


def _name_parts(name: str, n: int) -> list[str]:
    return [f"{name}_{index}" for index in range(n)]


def make_tables(
    scenario: Scenario,
    stratum: Stratum,
    screened: Screened,
    followed: Followed,
    first_row: int,
    layouts: Mapping[str, Layout],
) -> Tables:
    """Make the tables of the episodes that received an option, or that were to receive it.

    Parameters
    ----------
    scenario, stratum, screened, followed
        Simulated episodes.
    first_row : int
        Number of the first row of the block within its indication; it makes the ids unique.
    layouts : mapping of str to Layout
        From :func:`make_layouts`.

    Returns
    -------
    dict of str to Table
        ``episodes``, ``visits``, ``events``, ``truth``.
    """
    code = INDICATIONS.index(stratum.population.indication)
    ids = format_ids(f"E{code:02d}-", first_row + followed.rows)
    patients = format_ids(f"P{code:02d}-", first_row // 2 + screened.referred.patient[followed.rows])
    return {
        "episodes": _make_episodes(scenario, stratum, screened, followed, ids, patients, layouts["episodes"]),
        "visits": _make_visits(stratum, followed, ids, layouts["visits"]),
        "events": _make_events(scenario, stratum, screened, followed, ids, layouts["events"]),
        "truth": _make_truth(stratum, screened, followed, ids, layouts["truth"]),
    }


def format_ids(prefix: str, numbers: Whole) -> NDArray[np.uint8]:
    """Format ids as a prefix and a ten-digit number.

    Returns
    -------
    ndarray of shape (n, width)
        ASCII codes.
    """
    start = np.frombuffer(prefix.encode("ascii"), dtype=np.uint8)
    spelled = np.empty((len(numbers), len(start) + DIGITS), dtype=np.uint8)
    spelled[:, : len(start)] = start
    pairs = np.empty((len(numbers), DIGITS // 2), dtype=np.uint16)
    remaining = numbers
    for pair_index in reversed(range(DIGITS // 2)):
        remaining, pair = np.divmod(remaining, 100)
        pairs[:, pair_index] = _PAIRS[pair]
    spelled[:, len(start) :] = pairs.view(np.uint8)
    return spelled


def _text(spelled: NDArray[np.uint8]) -> pa.Array:
    n, width = spelled.shape
    offsets = np.arange(0, (n + 1) * width, width, dtype=np.int32)
    return pa.StringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(spelled)))


@cache
def _words(words: tuple[str | None, ...]) -> pa.Array:
    return pa.array(words, type=pa.string())


def _constant(word: str | None, n: int) -> pa.Array:
    if word is None:
        return pa.nulls(n, WORDS)
    return _coded(np.zeros(n, dtype=np.int8), (word,))


def _coded(places: NDArray[np.int8], words: tuple[str, ...], missing: Truths | None = None) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(places, mask=missing), _words(words))


def _numbers(values: Values, decimals: int, missing: Truths | None, wrong: Truths | None, column: Column) -> pa.Array:
    exact = values.astype(np.float64)
    if decimals:
        exact.round(decimals, out=exact)
    if wrong is not None and column.high is not None:
        exact = np.where(wrong, column.high + 1.0 + np.abs(exact), exact)
    return pa.array(exact, mask=missing)


def _assemble(held: Mapping[str, pa.Array], n: int, layout: Layout) -> pa.Table:
    """Make a table of the columns of a layout; absent ones are filled with missing values."""
    absent = {kind for name, kind in layout.kinds.items() if name not in held}
    nothing = {kind: pa.nulls(n, layout.types[kind]) for kind in absent}
    columns = [held[name] if name in held else nothing[kind] for name, kind in layout.kinds.items()]
    return pa.Table.from_arrays(columns, schema=layout.schema)


def _make_episodes(
    scenario: Scenario,
    stratum: Stratum,
    screened: Screened,
    followed: Followed,
    ids: NDArray[np.uint8],
    patients: NDArray[np.uint8],
    layout: Layout,
) -> pa.Table:
    rows, record, referred = followed.rows, stratum.options[followed.place].record, screened.referred
    n = len(rows)
    columns = {
        "episode_id": _text(ids),
        "patient_id": _text(patients),
        "site_id": _name_sites(scenario.assumptions.n_sites).take(pa.array(referred.site[rows])),
        "procedure_year": pa.array(referred.year[rows]),
        "indication": _constant(stratum.population.indication, n),
        **_describe_treatment(scenario, record, followed),
    }
    for name in followed.columns:
        if _is_recorded(EPISODES[name], record, followed.is_treated):
            columns[name] = _make_column(EPISODES[name], followed)
    stage = stratum.options[followed.place].stage
    if not followed.is_treated and stage and record.baseline[stage].share == 1.0:
        # All who are treated have passed: here the result says who has not.
        columns[stage] = pa.array(np.zeros(n, dtype=bool))
    return _assemble(columns, n, layout)


def _describe_treatment(scenario: Scenario, record: Record, followed: Followed) -> dict[str, pa.Array]:
    n = len(followed.rows)
    if not followed.is_treated:
        return {"technique": _constant(NO_PROCEDURE, n), "intended_technique": _constant(record.technique, n)}
    return {
        "technique": _constant(record.technique, n),
        "approach": _constant(record.approach, n),
        "guidance": _coded(followed.guidance, tuple(list_guidance(scenario, record.technique))),
    }


def _is_recorded(column: Column, record: Record, is_treated: bool) -> bool:
    """Return whether a column is filled: what belongs to a technique with it alone, results of stages before it too."""
    if column.role == "technique":
        return is_treated and column.name in record.baseline
    return column.role != "funnel" or column.name in record.baseline


@cache
def _name_sites(n_sites: int) -> pa.Array:
    return pa.array([f"site-{index + 1:02d}" for index in range(n_sites)])


def _make_column(column: Column, followed: Followed) -> pa.Array:
    values, missing = followed.columns[column.name], followed.missing.get(column.name)
    if column.type == "boolean":
        return pa.array(values, mask=missing)
    if column.type == "category":
        return _coded(values, column.categories, missing)
    return _numbers(values, count_decimals(column.name), missing, followed.wrong.get(column.name), column)


def _make_visits(stratum: Stratum, followed: Followed, ids: NDArray[np.uint8], layout: Layout) -> pa.Table:
    months = np.array(stratum.options[followed.place].model.months)
    seen = np.flatnonzero(followed.seen)
    row, month_index = np.divmod(seen, len(months))
    columns = {"episode_id": _text(ids[row]), "month": pa.array(months[month_index])}
    measures = {**followed.course.measures, "pain_nrs": followed.pain}
    for name, values in measures.items():
        exact = values.ravel()[seen].astype(np.float64)
        exact /= _VISIT_SCALE.get(name, 1.0)
        wrong = followed.wrong_at_visits[name].ravel()[seen] if name in followed.wrong_at_visits else None
        columns[name] = _numbers(exact, 0, followed.missing_at_visits[name].ravel()[seen], wrong, VISITS[name])
    return _assemble(columns, len(seen), layout)


def _make_events(
    scenario: Scenario, stratum: Stratum, screened: Screened, followed: Followed, ids: NDArray[np.uint8], layout: Layout
) -> pa.Table:
    risks = stratum.options[followed.place].risks if followed.is_treated else ()
    kinds = EVENTS["kind"].categories
    code = np.array([kinds.index(kind) for kind in (*(risk.event_kind for risk in risks), "death")], dtype=np.int8)
    died, events = followed.death_month, followed.events
    dead = np.flatnonzero(died < NEVER)
    row = np.concatenate([events.rows, dead])
    month = np.concatenate([events.month, died[dead]])
    risk_index = np.concatenate([events.risk, np.full(len(dead), len(risks))])
    known = is_in_time(screened.referred.year[followed.rows[row]], month, scenario.assumptions)
    known &= (month < died[row]) | (risk_index == len(risks))
    kept = np.flatnonzero(known)
    kept = kept[np.argsort(row[kept], kind="stable")]
    columns = {
        "episode_id": _text(ids[row[kept]]),
        "month": pa.array(month[kept].astype(np.float64).round(2)),
        "kind": _coded(code[risk_index[kept]], kinds),
        "detail": _words((*(risk.detail for risk in risks), None)).take(pa.array(risk_index[kept])),
    }
    return _assemble(columns, len(kept), layout)


def _make_truth(
    stratum: Stratum, screened: Screened, followed: Followed, ids: NDArray[np.uint8], layout: Layout
) -> pa.Table:
    rows, n = followed.rows, len(followed.rows)
    columns = {
        "episode_id": _text(ids),
        "indication": _constant(stratum.population.indication, n),
        "option": pa.array(np.full(n, followed.place, dtype=np.int8)),
        "opioid_user": pa.array(followed.columns["opioid_mme"] > 0),
        "treated": pa.array(np.full(n, followed.is_treated)),
        "shared": pa.array(followed.shared),
        "hidden": pa.array(screened.referred.hidden[rows]),
    }
    parts = {
        "effect": followed.effects,
        "propensity": screened.propensity.take(rows, axis=1),
        "selection": screened.selection_probability.take(rows, axis=1),
    }
    for name, values in parts.items():
        columns |= {f"{name}_{index}": pa.array(part) for index, part in enumerate(values)}
    columns |= dict(zip(FACTORS, map(pa.array, screened.referred.latents.factors.take(rows, axis=1)), strict=True))
    return _assemble(columns, n, layout)
