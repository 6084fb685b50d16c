"""The cost of a treated patient with half less pain and of a quality-adjusted year, with intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import NormalDist

from paincast.planning.contents import Expected
from paincast.planning.expected import PAIN
from paincast.planning.figures import CONFIDENCE, Figure, Z
from paincast.planning.stated.prices import Price

DELTA = "95 % interval, delta method on the log scale, price and outcome taken as independent"
NO_INTERVAL = "no interval: one of the two figures is known without"


def compute_costs(price: Price | None, expected: Sequence[Expected]) -> tuple[Figure, ...]:
    """Compute the cost of a treated patient with half less pain, and of a quality-adjusted year.

    Parameters
    ----------
    price : Price or None
        None where no price is known.
    expected : sequence of Expected
        What is expected at the month of the plan; half less pain counts.

    Returns
    -------
    tuple of Figure
        Price, cost per responder by approach, cost per quality-adjusted year; an unknown one has no value and says so.
        The cost per responder is gross: patients who would have responded anyway count too.
    """
    if price is None:
        return (_unknown("price of one procedure"), _unknown("cost per responder"), _unknown("cost per QALY"))
    return (price.price, *_per_responder(price.price, expected), _per_qaly(price))


def _unknown(name: str, note: str = "no price is known; give one with --prices") -> Figure:
    return Figure(name=name, unit="none", basis="stated", validation="unknown", note=note)


def _per_responder(price: Figure, expected: Sequence[Expected]) -> Iterator[Figure]:
    for item in expected:
        if item.outcome != PAIN:
            continue
        by = f", {item.approach}" if item.approach else ""
        name = f"cost per responder{by}"
        if not item.figure.value:
            yield _unknown(name, "no response is known at the month of the plan")
        else:
            note = "gross: patients who would have responded without the procedure count too"
            yield replace(_divide(price, item.figure), name=name, month=item.figure.month, note=note)


def _per_qaly(price: Price) -> Figure:
    gain = price.gain
    if gain is None or gain.value is None:
        return _unknown("cost per QALY", "no gain of quality-adjusted years over a control is known for this price")
    if gain.value <= 0 or (gain.lower is not None and gain.lower <= 0):
        return _unknown("cost per QALY", "the interval of the gain holds no gain, so that no cost per QALY is finite")
    return replace(_divide(price.price, gain), name="cost per QALY", month=gain.month, note=gain.note)


def _divide(price: Figure, effect: Figure) -> Figure:
    """Divide a price by an effect; the interval is that of the ratio on the log scale."""
    assert price.value is not None
    assert effect.value is not None
    errors = [_find_log_error(figure) for figure in (price, effect)]
    ratio = price.value / effect.value
    lower = upper = None
    if None not in errors:
        half = Z * math.hypot(*(error for error in errors if error is not None))
        lower, upper = ratio * math.exp(-half), ratio * math.exp(half)
    return replace(
        price,
        value=ratio,
        lower=lower,
        upper=upper,
        interval=NO_INTERVAL if lower is None else DELTA,
        confidence=None if lower is None else CONFIDENCE,
        basis="stated" if "stated" in (price.basis, effect.basis) else effect.basis,
        tag="DERIVED",
        source=tuple(dict.fromkeys((*price.source, *effect.source))),
        n=effect.n,
        validation=effect.validation,
    )


def _find_log_error(figure: Figure) -> float | None:
    """Find the standard error of the logarithm of a figure from its interval; None without one above 0."""
    if figure.lower is None or figure.upper is None or figure.lower <= 0 or figure.confidence is None:
        return None
    half = NormalDist().inv_cdf(0.5 + figure.confidence / 2.0)
    return (math.log(figure.upper) - math.log(figure.lower)) / (2.0 * half)
