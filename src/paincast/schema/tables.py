"""The tables of a cohort, and which of their columns are model inputs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from paincast.schema.column import Column, by_name
from paincast.schema.column import category_column as _category
from paincast.schema.column import number_column as _number
from paincast.schema.column import text_column as _text
from paincast.schema.episodes import EPISODES
from paincast.schema.instruments import INSTRUMENTS
from paincast.schema.names import EVENT_KINDS
from paincast.schema.scores import score_at_visit, scores_after

_DECLARED: Mapping[str, Column] = by_name(
    _text("episode_id", "the episode followed up", required=True),
    _number(
        "month", 0, 240, "months after the procedure", "time of the visit", role="id", timing="after", required=True
    ),
    score_at_visit(INSTRUMENTS["nrs_average"], "average pain at the visit"),
    score_at_visit(INSTRUMENTS["odi"]),
    score_at_visit(INSTRUMENTS["womac"], "WOMAC total score at the visit"),
    _number("eq5d_index", -1, 1, None, "EQ-5D index value at the visit", role="outcome", timing="after"),
    _number("opioid_mme", 0, 3000, "mg/day", "opioid dose at the visit", role="outcome", timing="after"),
    score_at_visit(INSTRUMENTS["pgic"], "Patient Global Impression of Change, 1 is very much improved"),
)

VISITS: Mapping[str, Column] = by_name(*_DECLARED.values(), *scores_after(_DECLARED))

EVENTS: Mapping[str, Column] = by_name(
    _text("episode_id", "the episode concerned", required=True),
    _number(
        "month",
        0,
        240,
        "months after the procedure",
        "time of the event; missing where the source does not tell it",
        role="id",
        timing="after",
    ),
    _category("kind", EVENT_KINDS, "what happened", role="outcome", timing="after", required=True),
    _text("detail", "which complication or operation", role="outcome", timing="after"),
)

TABLES: Mapping[str, Mapping[str, Column]] = MappingProxyType(
    {"episodes": EPISODES, "visits": VISITS, "events": EVENTS}
)

MODEL_ROLES = frozenset({"predictor", "technique", "funnel"})


def is_model_input(column: Column) -> bool:
    """Check whether a column is a model input: known before the procedure, and predictor, technique or funnel."""
    return column.timing == "before" and column.role in MODEL_ROLES and column.name not in ("technique",)
