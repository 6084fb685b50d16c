"""Read the outcomes of a contract: own ones, and further instruments for those that are built in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from paincast.contract.columns import read_range, read_text
from paincast.contract.instruments import read_thresholds
from paincast.contract.keys import EXTENSIBLE, FIRST_LISTED, list_keys
from paincast.errors import suggest_name
from paincast.files.strict_yaml import Node
from paincast.outcomes import OUTCOMES, Line, Outcome
from paincast.outcomes.criteria import change_line
from paincast.outcomes.definitions import ALIVE, AT_A_VISIT, NOT_AN_EFFECT, WEIGHTED
from paincast.schema import Column
from paincast.schema.instruments import Instrument, Threshold

LAST_MONTH = 240.0


def read_outcome(name: str, node: Node, visits: Mapping[str, Column], instruments: Mapping[str, Instrument]) -> Outcome:
    """Read an outcome.

    Parameters
    ----------
    name : str
        Its name; that of a built-in outcome only to let further instruments answer it.
    node : Node
        Its block.
    visits : mapping of str to Column
        Columns of the visits.
    instruments : mapping of str to Instrument
        Instruments of the library and of the contract.

    Returns
    -------
    Outcome

    Raises
    ------
    SettingsError
        If the outcome is built in and no instruments are added, an instrument is unknown, or there is no threshold.
    """
    keys = node.section(list_keys("outcome"))
    if name in OUTCOMES:
        return _add_instruments(name, node, keys, instruments)
    for key in ("any_of", "answered_by"):
        if key in keys:
            raise keys[key].refuse(f"is for {', '.join(EXTENSIBLE)}; an outcome of your own has 'from'")
    if "from" not in keys:
        raise node.refuse("the key 'from' is missing; name the instrument that answers")
    instrument = _find_instrument(keys["from"], visits, instruments)
    thresholds = _read_responder(keys, instrument)
    line = make_line(instrument, thresholds)
    if line is None:
        raise node.refuse(f"{instrument.name} has no responder threshold; give a 'responder'")
    criterion = _describe(instrument, line)
    month, window = _read_time(keys)
    return Outcome(
        name=name,
        kind="binary",
        assessed_by="visit",
        question=read_text(keys["title"]) if "title" in keys else criterion,
        is_not=read_text(keys["is_not"]) if "is_not" in keys else NOT_AN_EFFECT,
        horizon_rule=AT_A_VISIT,
        denominator=f"episodes with {instrument.title} before the procedure from which this is possible, {ALIVE}",
        missing=WEIGHTED,
        lines=(line,),
        references=tuple(dict.fromkeys(threshold.source for threshold in thresholds)),
        horizon_months=month,
        follow_up_months=window,
    )


def _read_responder(keys: Mapping[str, Node], instrument: Instrument) -> tuple[Threshold, ...]:
    if "responder" not in keys:
        return instrument.responder
    return read_thresholds(keys["responder"], instrument.low, instrument.high)


def make_line(instrument: Instrument, thresholds: Sequence[Threshold]) -> Line | None:
    """Make the criterion of an instrument from its thresholds; None where it has none of a change."""
    amounts = {threshold.kind: threshold.value for threshold in reversed(thresholds)}
    points, share = amounts.get("absolute"), amounts.get("relative")
    if points is None and share is None:
        return None
    return change_line(instrument, points=points, share=share)


def _describe(instrument: Instrument, line: Line) -> str:
    amounts = [f"{line.points:g} {instrument.unit}"] if line.points is not None else []
    amounts += [f"{100 * line.share:g} % of the way to the best score"] if line.share is not None else []
    way = "lower" if line.direction == "fall" else "higher"
    return f"{instrument.title} {way} by at least {' or '.join(amounts)} than before the procedure"


def _find_instrument(node: Node, visits: Mapping[str, Column], instruments: Mapping[str, Instrument]) -> Instrument:
    by_column = {instrument.column: instrument for instrument in instruments.values()}
    known = {**by_column, **instruments}
    name = node.text()
    if name not in known or known[name].column not in visits:
        possible = [name for name, instrument in instruments.items() if instrument.column in visits]
        raise node.refuse(f"no instrument '{name}' is recorded at visits; {suggest_name(name, possible)}")
    return known[name]


def _read_time(keys: Mapping[str, Node]) -> tuple[float | None, tuple[float, float] | None]:
    month = keys["at_month"].number(above=0, at_most=LAST_MONTH) if "at_month" in keys else None
    if "window" not in keys:
        return month, None
    first, last = read_range(keys["window"])
    if month is None or not 0 <= first <= month <= last:
        raise keys["window"].refuse("must hold 'at_month', and begin at 0 or later")
    return month, (first, last)


def _add_instruments(name: str, node: Node, keys: Mapping[str, Node], instruments: Mapping[str, Instrument]) -> Outcome:
    """Let further instruments answer a built-in outcome; what it asks of those built in stays."""
    if name not in EXTENSIBLE or "any_of" not in keys:
        raise node.refuse(
            f"'{name}' is built in and cannot be declared again; 'any_of' adds instruments to {', '.join(EXTENSIBLE)}"
        )
    for key in keys:
        if key not in ("any_of", "answered_by"):
            raise keys[key].refuse(f"does not apply to '{name}', which is built in")
    if "answered_by" in keys:
        keys["answered_by"].choice((FIRST_LISTED,))
    built_in = {line.measure: line for line in OUTCOMES[name].lines}
    lines = []
    for entry in keys["any_of"].entries():
        instrument = instruments.get(entry.text())
        if instrument is None:
            raise entry.refuse(f"unknown instrument '{entry.text()}'; {suggest_name(entry.text(), instruments)}")
        own = make_line(instrument, instrument.responder)
        line = built_in.get(instrument.column, own)
        if line is None:
            raise entry.refuse(f"{instrument.name} has no responder threshold; declare one under 'instruments'")
        lines.append(line)
    return replace(OUTCOMES[name], lines=tuple(lines))
