"""Read prices of techniques, and the quality-adjusted years that they add."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from paincast.effects.trial import LATEST_MONTH
from paincast.files.strict_yaml import Node
from paincast.planning.figures import CONFIDENCE, Figure, Z
from paincast.planning.stated.values import (
    Measured,
    open_yaml,
    read_count,
    read_currency,
    read_measured,
    read_number,
    read_size,
    read_text,
    read_year,
    state,
)
from paincast.schema import TECHNIQUES
from paincast.settings import find_configs

PRICE_KEYS = ("amount", "currency", "year", "source", "what", "sd", "n", "lower", "upper", "quality_adjusted_years")
QALY_KEYS = ("gain", "lower", "upper", "months", "against", "source", "year")
AMOUNTS = (0.01, 1e9)
"""Lowest and highest amount of a price."""

GAINS = (1e-6, 100.0)
"""Smallest and largest size of a gain of quality-adjusted years other than 0."""


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
        If a key or technique is unknown, a number, year or source is missing, a number is out of its limits, or the
        currency is not a code of three capital letters.

    Examples
    --------
    >>> price = read_prices()["epidural_steroid_injection"].price
    >>> price.value, price.unit, [round(end) for end in (price.lower, price.upper)]
    (219.0, 'GBP of 2012', [193, 245])
    """
    root = open_yaml(find_configs() / "prices.yaml" if source is None else source, "prices")
    entries = root.section(("prices",), required=("prices",))["prices"].section(TECHNIQUES)
    return {technique: _read_price(entry) for technique, entry in entries.items()}


def _read_price(entry: Node) -> Price:
    keys = entry.section(PRICE_KEYS, required=("amount", "currency", "year", "source"))
    amount = read_measured(keys, "amount", _read_amount)
    if amount.lower is None and "sd" in keys and "n" in keys:
        half = Z * _read_amount(keys["sd"]) / math.sqrt(read_count(keys["n"]))
        amount = Measured(amount.value, max(amount.value - half, 0.0), amount.value + half)
    figure = state(
        "price of one procedure",
        f"{read_currency(keys['currency'])} of {read_year(keys['year'])}",
        read_text(keys["source"]),
        amount,
        interval="95 % interval of the mean",
        confidence=CONFIDENCE,
        n=read_count(keys["n"]) if "n" in keys else None,
        note=read_text(keys["what"]) if "what" in keys else "",
    )
    gain = _read_gain(keys["quality_adjusted_years"]) if "quality_adjusted_years" in keys else None
    return Price(price=figure, gain=gain)


def _read_amount(node: Node) -> float:
    return read_number(node, *AMOUNTS)


def _read_years(node: Node) -> float:
    return read_size(node, *GAINS)


def _read_gain(entry: Node) -> Figure:
    keys = entry.section(QALY_KEYS, required=("gain", "months", "against", "source", "year"))
    gain = read_measured(keys, "gain", _read_years)
    return state(
        "quality-adjusted years gained",
        "years",
        read_text(keys["source"]),
        gain,
        interval="95 % interval",
        confidence=CONFIDENCE,
        month=read_number(keys["months"], 0.01, LATEST_MONTH),
        note=f"against {read_text(keys['against'])}; {read_year(keys['year'])}",
    )
