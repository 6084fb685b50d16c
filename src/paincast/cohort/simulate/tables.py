"""From simulated blocks to the tables of the contract as Arrow tables, and the truth beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from paincast.cohort.simulate.block import Screened, Treated, list_guidance
from paincast.cohort.simulate.defaults import FACTORS
from paincast.cohort.simulate.marginals import count_decimals
from paincast.cohort.simulate.observation import is_in_time
from paincast.cohort.simulate.sites import Truths, Whole
from paincast.cohort.simulate.world import Ground, World
from paincast.schema import EPISODES, EVENTS, INDICATIONS, TABLES, Column

DIGITS = 10
"""Digits of the number in an id."""

CHOSEN_ROLES = ("funnel", "technique")
"""Roles of columns that only exist where a technique has them."""

Tables = dict[str, pa.Table]
Values = NDArray[Any]

_VISIT_SCALE: Mapping[str, float] = {"pain_nrs": 10.0, "eq5d_index": 1000.0}


def arrow_type(column: Column) -> pa.DataType:
    """Give the Arrow type in which a column of the contract is written."""
    kinds = {
        "text": pa.string(),
        "category": pa.dictionary(pa.int8(), pa.string()),
        "number": pa.float64(),
        "integer": pa.int64(),
        "boolean": pa.bool_(),
    }
    return kinds[column.type]


def make_schemas(world: World) -> dict[str, pa.Schema]:
    """Give the Arrow schema of each table of a world: those of the contract, and the truth."""
    schemas = {
        name: pa.schema([(column.name, arrow_type(column)) for column in columns.values()])
        for name, columns in TABLES.items()
    }
    sums = max(len(ground.leads) for ground in world.grounds.values())
    options = max(len(ground.options) for ground in world.grounds.values())
    numbers = [*FACTORS, "shared", *_name_parts("effect", sums)]
    numbers += [*_name_parts("propensity", options), *_name_parts("selection", options)]
    words = pa.dictionary(pa.int8(), pa.string())
    schemas["truth"] = pa.schema(
        [
            ("episode_id", pa.string()),
            ("indication", words),
            ("option", pa.int8()),
            ("opioid_user", pa.bool_()),
            *((name, pa.float32()) for name in numbers),
        ]
    )
    return schemas


def _name_parts(name: str, n: int) -> list[str]:
    return [f"{name}_{place}" for place in range(n)]


def make_tables(
    world: World,
    ground: Ground,
    screened: Screened,
    treated: Treated,
    n: int,
    first_row: int,
    schemas: Mapping[str, pa.Schema],
) -> Tables:
    """Make the tables of the first ``n`` episodes that received one option.

    Parameters
    ----------
    world, ground, screened, treated
        What was simulated.
    n : int
        How many to keep.
    first_row : int
        Number of the first row of the block within its indication; it makes the ids unique.
    schemas : mapping of str to Schema
        From :func:`make_schemas`.

    Returns
    -------
    dict of str to Table
        ``episodes``, ``visits``, ``events``, ``truth``.
    """
    code = INDICATIONS.index(ground.background.indication)
    rows = treated.rows[:n]
    ids = spell_ids(f"E{code:02d}-", first_row + rows)
    return {
        "episodes": _make_episodes(world, ground, screened, treated, n, first_row, ids, schemas["episodes"]),
        "visits": _make_visits(ground, treated, n, ids, schemas["visits"]),
        "events": _make_events(world, screened, treated, n, ids, schemas["events"]),
        "truth": _make_truth(ground, screened, treated, n, ids, schemas["truth"]),
    }


def spell_ids(prefix: str, numbers: Whole) -> NDArray[np.uint8]:
    """Spell ids of a prefix and a number of ten digits.

    Returns
    -------
    ndarray of shape (n, width)
        ASCII codes.
    """
    start = np.frombuffer(prefix.encode("ascii"), dtype=np.uint8)
    spelled = np.empty((len(numbers), len(start) + DIGITS), dtype=np.uint8)
    spelled[:, : len(start)] = start
    left = numbers.astype(np.int64)
    for place in range(len(start) + DIGITS - 1, len(start) - 1, -1):
        left, digit = np.divmod(left, 10)
        spelled[:, place] = digit + ord("0")
    return spelled


def _text(spelled: NDArray[np.uint8]) -> pa.Array:
    n, width = spelled.shape
    offsets = np.arange(0, (n + 1) * width, width, dtype=np.int32)
    return pa.StringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(spelled)))


def _constant(word: str | None, n: int) -> pa.Array:
    if word is None:
        return pa.nulls(n, pa.dictionary(pa.int8(), pa.string()))
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, dtype=np.int8)), pa.array([word]))


def _coded(places: Values, words: Sequence[str], missing: Truths | None = None) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(places.astype(np.int8), mask=missing), pa.array(list(words)))


def _numbers(values: Values, decimals: int, missing: Truths | None, wrong: Truths | None, column: Column) -> pa.Array:
    exact = values.astype(np.float64)
    if decimals:
        exact = np.round(exact, decimals)
    if wrong is not None and column.high is not None:
        exact = np.where(wrong, column.high + 1.0 + np.abs(exact), exact)
    return pa.array(exact, mask=missing)


def _make_episodes(
    world: World,
    ground: Ground,
    screened: Screened,
    treated: Treated,
    n: int,
    first_row: int,
    ids: NDArray[np.uint8],
    schema: pa.Schema,
) -> pa.Table:
    rows, record = treated.rows[:n], ground.options[treated.place].record
    referred = screened.referred
    code = INDICATIONS.index(ground.background.indication)
    held = {
        "episode_id": _text(ids),
        "patient_id": _text(spell_ids(f"P{code:02d}-", first_row // 2 + referred.patient[rows])),
        "site_id": _name_sites(world, referred.site[rows]),
        "procedure_year": pa.array(referred.year[rows]),
        "technique": _constant(record.technique, n),
        "indication": _constant(ground.background.indication, n),
        "approach": _constant(record.approach, n),
        "guidance": _coded(treated.guidance[:n], list(list_guidance(world, record.technique))),
    }
    for name in treated.columns:
        if EPISODES[name].role not in CHOSEN_ROLES or name in record.baseline:
            held[name] = _make_column(EPISODES[name], treated, n)
    columns = [held[name] if name in held else pa.nulls(n, schema.field(name).type) for name in schema.names]
    return pa.table(columns, schema=schema)


def _name_sites(world: World, site: Whole) -> pa.Array:
    names = pa.array([f"site-{place + 1:02d}" for place in range(world.assumptions.n_sites)])
    return names.take(pa.array(site))


def _make_column(column: Column, treated: Treated, n: int) -> pa.Array:
    values = treated.columns[column.name][:n]
    missing = treated.missing[column.name][:n] if column.name in treated.missing else None
    if column.type == "boolean":
        return pa.array(values, mask=missing)
    if column.type == "category":
        return _coded(values, column.categories, missing)
    wrong = treated.wrong[column.name][:n] if column.name in treated.wrong else None
    return _numbers(values, count_decimals(column.name), missing, wrong, column)


def _make_visits(ground: Ground, treated: Treated, n: int, ids: NDArray[np.uint8], schema: pa.Schema) -> pa.Table:
    months = np.array(ground.options[treated.place].model.months)
    seen = np.flatnonzero(treated.seen[:n].ravel())
    row, place = np.divmod(seen, len(months))
    held = {"episode_id": _text(ids[row]), "month": pa.array(months[place])}
    measures = {**treated.course.measures, "pain_nrs": treated.pain}
    for name, values in measures.items():
        column = TABLES["visits"][name]
        exact = values.ravel()[seen].astype(np.float64)
        exact /= _VISIT_SCALE.get(name, 1.0)
        wrong = treated.wrong_at_visits[name].ravel()[seen] if name in treated.wrong_at_visits else None
        held[name] = _numbers(exact, 0, treated.missing_at_visits[name].ravel()[seen], wrong, column)
    columns = [held[name] if name in held else pa.nulls(len(seen), schema.field(name).type) for name in schema.names]
    return pa.table(columns, schema=schema)


def _make_events(
    world: World, screened: Screened, treated: Treated, n: int, ids: NDArray[np.uint8], schema: pa.Schema
) -> pa.Table:
    year = screened.referred.year[treated.rows]
    rows, months, kinds, details = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.float32)], [], []
    for happened in treated.events:
        known = (happened.rows < n) & is_in_time(year[happened.rows], happened.month, world.assumptions)
        known &= happened.month < treated.death_month[happened.rows]
        rows.append(happened.rows[known])
        months.append(happened.month[known])
        kinds += [happened.risk.event_kind] * int(known.sum())
        details += [happened.risk.detail] * int(known.sum())
    died = treated.death_month[:n]
    dead = np.flatnonzero(np.isfinite(died) & is_in_time(year[:n], died, world.assumptions))
    row, month = np.concatenate([*rows, dead]), np.concatenate([*months, died[dead]])
    kinds += ["death"] * len(dead)
    order = np.argsort(row, kind="stable")
    kind = pa.array(kinds, type=pa.string()).take(pa.array(order))
    detail = pa.array(details + [None] * len(dead), type=pa.string()).take(pa.array(order))
    held = {
        "episode_id": _text(ids[row[order]]),
        "month": pa.array(np.round(month[order].astype(np.float64), 2)),
        "kind": kind.dictionary_encode().cast(schema.field("kind").type),
        "detail": detail,
    }
    return pa.table([held[name] for name in EVENTS], schema=schema)


def _make_truth(
    ground: Ground, screened: Screened, treated: Treated, n: int, ids: NDArray[np.uint8], schema: pa.Schema
) -> pa.Table:
    rows = treated.rows[:n]
    held = {
        "episode_id": _text(ids),
        "indication": _constant(ground.background.indication, n),
        "option": pa.array(np.full(n, treated.place, dtype=np.int8)),
        "opioid_user": pa.array(treated.columns["opioid_mme"][:n] > 0),
        "shared": pa.array(treated.shared[:n]),
    }
    for name, factor in zip(FACTORS, screened.referred.latents.factors, strict=True):
        held[name] = pa.array(factor[rows])
    for place, effect in enumerate(treated.effects):
        held[f"effect_{place}"] = pa.array(effect[:n])
    for place in range(len(ground.options)):
        held[f"propensity_{place}"] = pa.array(screened.propensity[place][rows])
        held[f"selection_{place}"] = pa.array(screened.going[place][rows])
    columns = [held[name] if name in held else pa.nulls(n, schema.field(name).type) for name in schema.names]
    return pa.table(columns, schema=schema)
