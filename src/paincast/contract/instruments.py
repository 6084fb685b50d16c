"""Read the instruments of a contract: further ones, and thresholds that differ from those of the library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from paincast.contract.columns import LONGEST_VALUE, read_range, read_text
from paincast.contract.keys import DIRECTIONS, list_keys
from paincast.errors import suggest_name
from paincast.files.strict_yaml import Node
from paincast.schema.instruments import INSTRUMENTS, Instrument, Scoring, Threshold

_OWN_PATIENTS = "as the contract declares"


def read_instrument(name: str, node: Node) -> Instrument:
    """Read an instrument: one of the library, perhaps with another threshold, or one of the registry's own.

    Raises
    ------
    SettingsError
        If the library does not hold it, or a fact of an own one is missing.
    """
    keys = node.section(list_keys("instrument"))
    if "from" in keys:
        keys["from"].choice(("library",))
        return _take_from_library(name, node, keys)
    if name in INSTRUMENTS:
        raise node.refuse(f"the library holds {name}, which cannot be declared again; write 'from: library'")
    for key in ("title", "range", "direction"):
        if key not in keys:
            raise node.refuse(f"the key '{key}' is missing; an instrument of your own needs it")
    low, high = read_range(keys["range"])
    return Instrument(
        name=name,
        title=read_text(keys["title"]),
        domain="function",
        low=low,
        high=high,
        unit=read_text(keys["unit"], LONGEST_VALUE) if "unit" in keys else "points",
        direction=DIRECTIONS[keys["direction"].choice(DIRECTIONS)],
        scoring=Scoring(method="single"),
        responder=read_thresholds(keys["responder"], low, high) if "responder" in keys else (),
    )


def _take_from_library(name: str, node: Node, keys: Mapping[str, Node]) -> Instrument:
    if name not in INSTRUMENTS:
        raise node.refuse(f"the library holds no instrument '{name}'; {suggest_name(name, INSTRUMENTS)}")
    for key in keys:
        if key not in ("from", "responder"):
            raise keys[key].refuse("comes with the library; leave it out")
    if "responder" not in keys:
        return INSTRUMENTS[name]
    known, reason = INSTRUMENTS[name], keys["responder"].section(list_keys("responder"))
    thresholds = read_thresholds(keys["responder"], known.low, known.high)
    published = {(threshold.kind, threshold.value) for threshold in INSTRUMENTS[name].responder}
    if {(threshold.kind, threshold.value) for threshold in thresholds} <= published:
        return INSTRUMENTS[name]
    if not {"source", "because"} & {*reason}:
        raise keys["responder"].refuse("a threshold other than that of the library needs a 'source' or 'because'")
    return replace(INSTRUMENTS[name], responder=thresholds)


def read_thresholds(node: Node, low: float, high: float) -> tuple[Threshold, ...]:
    """Read a responder of an instrument with a range: points, a share, or both."""
    keys = node.section(list_keys("responder"))
    source = "; ".join(read_text(keys[key]) for key in ("source", "because") if key in keys) or _OWN_PATIENTS
    thresholds = []
    if "absolute" in keys:
        thresholds.append(
            Threshold("absolute", keys["absolute"].number(above=0, at_most=high - low), _OWN_PATIENTS, source)
        )
    if "relative" in keys:
        thresholds.append(Threshold("relative", keys["relative"].number(above=0, at_most=1), _OWN_PATIENTS, source))
    if not thresholds:
        raise node.refuse("needs 'absolute', 'relative' or both")
    return tuple(thresholds)
