"""Merge the figures of ``computed.yaml`` into the content of a record file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from paincast.errors import DataError

Figures = Mapping[str, Any]

ENOUGH = 300
"""Patients counted for a complication from which they replace a rate that was read elsewhere."""

_COMPUTED = ("comparators", "untreated", "published", "implied")
_ASKED = ("months", "denominator", "note")
"""Keys of a curve in a record file."""


def merge_computed(content: Figures, computed: Figures, where: str) -> dict[str, Any]:
    """Merge what was computed into the content of a record file; where nothing was, the file's own figures stay."""
    merged = dict(content)
    _check_typed(content, computed, where)
    if "curve" in content:
        if "curve" not in computed:
            raise DataError(
                f"{where}: its curve is not computed yet; run paincast evidence diff --write", code="PC-EVIDENCE-15"
            )
        described = {key: value for key, value in content["curve"].items() if key != "months"}
        merged["curve"] = {
            **described,
            **{key: computed[key] for key in ("curve", "scenarios")},
            **_merge_passes(computed.get("passes", {})),
        }
    merged |= {key: computed[key] for key in _COMPUTED if key in computed}
    if "baseline" in content:
        merged["baseline"] = {**content["baseline"], **computed.get("baseline", {})}
    if "predictors" in content:
        estimates = computed.get("predictors", [])
        if len(estimates) != len(content["predictors"]):
            raise DataError(
                f"{where}: its predictors are not computed yet; run paincast evidence diff --write",
                code="PC-EVIDENCE-16",
            )
        merged["predictors"] = [_merge_predictor(*pair) for pair in zip(content["predictors"], estimates, strict=True)]
    harms = dict(computed.get("complications", {}))
    if harms:
        merged["complications"] = [_merge_complication(entry, harms) for entry in content.get("complications", ())]
    return merged


def _merge_passes(passes: Figures) -> Figures:
    """Name the share of those who pass a test as a curve does; empty where no study tells it."""
    if not passes:
        return {}
    ends = (passes["lower"], passes["upper"])
    told = {"success": passes["share"], "interval": ends, "n": passes["n"], "source": passes["source"]}
    return {f"trial_{name}": value for name, value in told.items()}


def _check_typed(content: Figures, computed: Figures, where: str) -> None:
    """Refuse figures of a record file that would give way in silence to what is computed."""
    typed = [key for key in _COMPUTED if key in content and key in computed]
    typed += [f"curve.{key}" for key in content.get("curve", ()) if key not in _ASKED]
    if typed:
        raise DataError(
            f"{where}: {', '.join(typed)} must not be typed in a record file: it is computed from the studies; a curve "
            f"has {', '.join(_ASKED)} only",
            code="PC-EVIDENCE-39",
        )


_TAG_OF_BASIS = {"size": "FOUND", "null": "FOUND", "direction": "FOUND/ASSUMED", "judged": "ASSUMED"}


def _merge_predictor(entry: Figures, estimate: Figures) -> dict[str, Any]:
    named = entry.get("source", ())
    return {
        **{key: value for key, value in entry.items() if key != "tag"},
        **{key: estimate[key] for key in ("log_odds", "sd", "basis")},
        "source": estimate["studies"] or ([named] if isinstance(named, str) else list(named)),
        "tag": _TAG_OF_BASIS[estimate["basis"]],
    }


def _merge_complication(entry: Figures, harms: dict[str, Figures]) -> Figures:
    """Put the pooled rate of a kind into its first entry.

    A rate that was read, mostly of a review or a large series, stays unless as many patients were counted.
    """
    pooled = None if entry.get("repeats") else harms.pop(entry.get("kind", ""), None)
    was_read = entry.get("tag") == "FOUND" and "rate" in entry
    if pooled is None or (was_read and pooled["n"] < ENOUGH):
        return entry
    kept = {key: entry[key] for key in ("event", "kind", "event_kind", "by_month", "note") if key in entry}
    return {
        **kept,
        "estimate": pooled["share"],
        "rate": [pooled["lower"], pooled["upper"]],
        "events": pooled["events"],
        "n": pooled["n"],
        "source": pooled["source"],
        "tag": "FOUND",
    }
