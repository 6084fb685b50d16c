"""Prices, and the cost of a treated patient with half less pain and of a quality-adjusted year, with intervals."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from paincast.deferred import yaml
from paincast.errors import SettingsError
from paincast.evidence.records import load_sources
from paincast.files.strict_yaml import Node, parse_yaml, read_yaml
from paincast.planning.contents import Expected
from paincast.planning.expected import PAIN
from paincast.planning.figures import NOT_VALIDATED, Figure
from paincast.schema import TECHNIQUES
from paincast.settings import find_configs

Z = 1.96
DELTA = "95 % interval, delta method on the log scale, price and outcome taken as independent"
NO_INTERVAL = "no interval: one of the two figures is known without"
PRICE_KEYS = ("amount", "currency", "year", "source", "what", "sd", "n", "lower", "upper", "quality_adjusted_years")
QALY_KEYS = ("gain", "lower", "upper", "months", "against", "source", "year")


@dataclass(frozen=True, kw_only=True)
class Price:
    """The price of a technique, and the quality-adjusted years that it adds, if they are known.

    Parameters
    ----------
    price : Figure
        Price of one procedure, with the interval of the mean.
    gain : Figure, optional
        Quality-adjusted years gained over what ``note`` says.
    """

    price: Figure
    gain: Figure | None = None


def read_prices(source: object = None) -> Mapping[str, Price]:
    """Read prices by technique.

    Parameters
    ----------
    source : str, Path or mapping, optional
        A YAML file or its content; by default ``configs/prices.yaml``.

    Returns
    -------
    mapping of str to Price

    Raises
    ------
    SettingsError
        If a key or technique is unknown, or a number, year or source is missing.

    Examples
    --------
    >>> price = read_prices()["epidural_steroid_injection"].price
    >>> price.value, price.unit, [round(end) for end in (price.lower, price.upper)]
    (219.0, 'GBP of 2012', [193, 245])
    """
    root = open_yaml(find_configs() / "prices.yaml" if source is None else source, "prices")
    entries = root.section(("prices",), required=("prices",))["prices"].section(TECHNIQUES)
    return {technique: _read_price(entry) for technique, entry in entries.items()}


def open_yaml(source: object, name: str) -> Node:
    """Open a YAML file, or a mapping with the same content."""
    if isinstance(source, Mapping):
        return parse_yaml(yaml.safe_dump(_to_plain(source)), name)
    if isinstance(source, (str, os.PathLike)):
        return read_yaml(Path(source))
    raise SettingsError(f"{name}: give the path of a YAML file, or a mapping", code="PC-PLANNING-05")


def _to_plain(value: Any) -> Any:
    """Turn nested mappings and sequences into what YAML writes."""
    if isinstance(value, Mapping):
        return {str(key): _to_plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_plain(entry) for entry in value]
    return value if isinstance(value, (bool, int, float, str)) else str(value)


def _read_price(entry: Node) -> Price:
    keys = entry.section(PRICE_KEYS, required=("amount", "currency", "year", "source"))
    amount = keys["amount"].number(above=0.0)
    lower, upper = read_interval(keys, amount)
    if lower is None and "sd" in keys and "n" in keys:
        half = Z * keys["sd"].number(above=0.0) / math.sqrt(keys["n"].number(above=1.0))
        lower, upper = amount - half, amount + half
    year = int(keys["year"].number(above=1900, at_most=2100))
    figure = state(
        "price of one procedure",
        f"{keys['currency'].text()} of {year}",
        keys["source"].text(),
        value=amount,
        lower=lower,
        upper=upper,
        interval="95 % interval of the mean" if lower is not None else "",
        n=int(keys["n"].number(above=1.0)) if "n" in keys else None,
        note=keys["what"].text() if "what" in keys else "",
    )
    gain = _read_gain(keys["quality_adjusted_years"]) if "quality_adjusted_years" in keys else None
    return Price(price=figure, gain=gain)


def _read_gain(entry: Node) -> Figure:
    keys = entry.section(QALY_KEYS, required=("gain", "months", "against", "source", "year"))
    gain = keys["gain"].number()
    lower, upper = read_interval(keys, gain)
    return state(
        "quality-adjusted years gained",
        "years",
        keys["source"].text(),
        value=gain,
        lower=lower,
        upper=upper,
        interval="95 % interval" if lower is not None else "",
        month=keys["months"].number(above=0.0),
        note=f"against {keys['against'].text()}; {keys['year'].number(above=1900, at_most=2100):g}",
    )


def read_interval(keys: Mapping[str, Node], value: float) -> tuple[float | None, float | None]:
    """Read ``lower`` and ``upper``, which stand together and hold the value."""
    if not {"lower", "upper"} & set(keys):
        return None, None
    held = keys.get("lower", keys.get("upper"))
    assert held is not None
    if not {"lower", "upper"} <= set(keys):
        raise held.refuse("lower and upper stand together")
    lower, upper = keys["lower"].number(), keys["upper"].number()
    if not lower <= value <= upper:
        raise held.refuse("the interval does not hold its figure")
    return lower, upper


def state(name: str, unit: str, source: str, **more: Any) -> Figure:
    """Make a figure that a file of prices or preferences states; one of a known source is published."""
    is_known = source in load_sources()
    return Figure(
        name=name,
        unit=unit,
        source=(source,),
        basis="published" if is_known else "stated",
        tag="FOUND" if is_known else "",
        validation=NOT_VALIDATED if is_known else "stated by the file; not held against anything",
        **more,
    )


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
        basis="stated" if "stated" in (price.basis, effect.basis) else effect.basis,
        tag="DERIVED",
        source=tuple(dict.fromkeys((*price.source, *effect.source))),
        n=effect.n,
        validation=effect.validation,
    )


def _find_log_error(figure: Figure) -> float | None:
    """Find the standard error of the logarithm of a figure from its interval; None without one above 0."""
    if figure.lower is None or figure.upper is None or figure.lower <= 0:
        return None
    return (math.log(figure.upper) - math.log(figure.lower)) / (2.0 * Z)
