"""Read the weights of a patient or clinic, the ranges of components, and the clinic's own days of recovery."""

from __future__ import annotations

from paincast.files.strict_yaml import Node
from paincast.planning.figures import Figure
from paincast.planning.preferences import SCALES, Scale, Weights
from paincast.planning.stated.values import (
    open_yaml,
    read_measured,
    read_number,
    read_size,
    read_text,
    read_year,
    state,
)
from paincast.schema import TECHNIQUES

RECOVERY_KEYS = ("days", "lower", "upper", "source", "year")
WEIGHTS = (0.001, 1000.0)
"""Smallest and largest weight other than 0."""

NARROWEST, FARTHEST = 0.001, 1e9
"""Least width of a range, and farthest end."""

MOST_DAYS = 3650.0


def read_weights(source: object) -> Weights:
    """Read weights from a YAML file or a mapping: ``weights``, and optionally ``ranges`` and ``recovery``.

    Raises
    ------
    SettingsError
        If a key is unknown, a weight is below 0 or not within :data:`WEIGHTS`, none is above 0, or a range has no
        width.

    Examples
    --------
    >>> read_weights({"weights": {"complications": 2, "visits": 1}}).weights
    {'complications': 2.0, 'visits': 1.0}
    """
    keys = open_yaml(source, "preferences").section(("weights", "ranges", "recovery"), required=("weights",))
    nodes = keys["weights"].section(SCALES)
    weights = {name: _read_weight(node) for name, node in nodes.items()}
    if not any(weights.values()):
        raise keys["weights"].refuse("at least one weight must be above 0")
    ranges = keys["ranges"].section(SCALES) if "ranges" in keys else {}
    recovery = keys["recovery"].section(TECHNIQUES) if "recovery" in keys else {}
    return Weights(
        weights=weights,
        scales={name: _read_scale(name, ranges[name]) if name in ranges else scale for name, scale in SCALES.items()},
        recovery={technique: _read_recovery(node) for technique, node in recovery.items()},
    )


def _read_weight(node: Node) -> float:
    weight = read_size(node, *WEIGHTS)
    if weight < 0:
        raise node.refuse("a weight is at least 0")
    return weight


def _read_scale(name: str, node: Node) -> Scale:
    keys = node.section(("worst", "best"), required=("worst", "best"))
    worst, best = (read_number(keys[end], -FARTHEST, FARTHEST) for end in ("worst", "best"))
    direction = 1.0 if SCALES[name].best > SCALES[name].worst else -1.0
    if direction * (best - worst) < NARROWEST:
        raise node.refuse(f"worst and best are exchanged, equal, or closer than {NARROWEST:g}")
    return Scale(SCALES[name].unit, worst, best)


def _read_recovery(node: Node) -> Figure:
    keys = node.section(RECOVERY_KEYS, required=("days", "source", "year"))
    days = read_measured(keys, "days", _read_days)
    return state(
        "days of recovery",
        "days",
        read_text(keys["source"]),
        days,
        interval="as stated",
        confidence=None,
        note=f"stated in {read_year(keys['year'])}",
    )


def _read_days(node: Node) -> float:
    return read_number(node, 0.0, MOST_DAYS)
