"""Complications in words: people of the same 100, the serious ones first, and how often nobody has counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from paincast.planning.contents import Harm
from paincast.planning.figures import Figure
from paincast.planning.page.catalogue import Words
from paincast.planning.page.icons import PEOPLE, round_outwards

FEW = 1 / PEOPLE
"""A share below it is less than one of 100 people."""


def write_harms(harms: Sequence[Harm], words: Words) -> Mapping[str, list[str]]:
    """Write a sentence for each kind of harm, by severity.

    Of several figures of a kind, as of several approaches, the one with most patients is told; a rate per lead or
    lesion is no rate of people, and counts as not counted.

    Parameters
    ----------
    harms : sequence of Harm
        Of a technique.
    words : Words
        The language.

    Returns
    -------
    mapping of str to list of str
    """
    best: dict[tuple[str, str], Harm] = {}
    for harm in harms:
        key = (harm.severity, harm.kind)
        if key not in best or _rank(harm.figure) > _rank(best[key].figure):
            best[key] = harm
    told: dict[str, list[str]] = {}
    for (severity, kind), harm in best.items():
        name = words.get("complications").get(kind, kind.replace("_", " "))
        told.setdefault(severity, []).append(_write(name, harm.figure, words))
    return told


def _rank(figure: Figure) -> tuple[bool, int]:
    return _is_counted(figure), figure.n or 0


def _is_counted(figure: Figure) -> bool:
    return figure.value is not None and figure.unit == "share"


def _write(kind: str, figure: Figure, words: Words) -> str:
    if not _is_counted(figure) or figure.value is None:
        return words.write("harms", "uncounted", kind=kind)
    has_interval = figure.lower is not None and figure.upper is not None
    lower, upper = round_outwards(figure.lower or 0.0, figure.upper or 0.0)
    if figure.value == 0.0:
        if figure.n and has_interval:
            return words.write("harms", "none_seen", kind=kind, n=f"{figure.n:,}", upper=upper)
        return words.write("harms", "none_alone", kind=kind)
    if figure.value < FEW:
        return words.write("harms", "few" if has_interval else "few_alone", kind=kind, upper=upper)
    number = round(PEOPLE * figure.value)
    if not has_interval:
        return words.write("harms", "rate_alone", kind=kind, number=number)
    return words.write("harms", "rate", kind=kind, number=number, lower=lower, upper=upper)
