"""Complications in words: people of the same 100, the serious ones first, whose they are, and by when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from paincast.planning.contents import Harm
from paincast.planning.figures import Figure
from paincast.planning.page.catalogue import Words
from paincast.planning.page.icons import PEOPLE, round_outwards

FEW = 1 / PEOPLE
"""A share below it is less than one of 100 people."""

PER = "share of each "
"""How the unit of a rate begins that is of leads or lesions, and not of people."""


def write_harms(harms: Sequence[Harm], words: Words) -> Mapping[str, list[tuple[str, list[str]]]]:
    """Write the sentences of each kind of harm, by severity.

    A rate is of the approach by which its patients were treated: where approaches differ, each has its own sentence.

    Parameters
    ----------
    harms : sequence of Harm
        Of a technique.
    words : Words
        The language.

    Returns
    -------
    mapping of str to list of (str, list of str)
        Each kind with what is told of it, by approach where approaches differ.
    """
    told: dict[str, list[tuple[str, list[str]]]] = {}
    approaches = {harm.approach for harm in harms}
    for severity, kind in dict.fromkeys((harm.severity, harm.kind) for harm in harms):
        own = [harm for harm in harms if harm.kind == kind]
        name = words.get("complications").get(kind, kind.replace("_", " "))
        told.setdefault(severity, []).append((name, list(_join_approaches(own, approaches, words))))
    return told


def _join_approaches(own: Sequence[Harm], approaches: set[str], words: Words) -> Iterator[str]:
    """Write what is told of a kind, once for all approaches of which the same is told."""
    by_text: dict[str, dict[str, None]] = {}
    for harm in own:
        by_text.setdefault(" ".join(_write(harm, words)), {})[harm.approach] = None
    for text, of in by_text.items():
        if {*of} == approaches:
            yield text
        else:
            names = [words.get("approaches").get(name, name) for name in of]
            either = words.write("harms", "or").join(names)
            yield words.write("harms", "by_approach", approach=either, told=text)


def _write(harm: Harm, words: Words) -> Iterator[str]:
    figure = harm.figure
    yield _count(figure, words)
    if figure.value is None:
        return
    when = figure.month
    yield words.write("harms", "within", time=words.write_months(when)) if when else words.write("harms", "no_time")
    if harm.counted_in:
        yield _write_others(harm.counted_in, words)


def _write_others(counted_in: Sequence[str], words: Words) -> str:
    """Write whose rate it is, where it is not of people like the patient."""
    [first, *more] = counted_in
    if first in words.get("techniques"):
        by = "".join(words.write("harms", "done", approach=words.get("approaches", name)) for name in more)
        return words.write("harms", "other_procedure", procedure=words.get("techniques", first)["name"], by=by)
    names = [words.get("indications", name)["name"] for name in counted_in if name in words.get("indications")]
    if not names:
        return words.write("harms", "several")
    return words.write("harms", "other_pain", pain=words.write("harms", "or").join(names))


def _count(figure: Figure, words: Words) -> str:
    if figure.value is None:
        return words.write("harms", "uncounted")
    number = round(PEOPLE * figure.value)
    if figure.unit.startswith(PER):
        return words.write("harms", "each", number=number, each=words.get("harms", "of", figure.unit[len(PER) :]))
    has_interval = figure.lower is not None and figure.upper is not None
    lower, upper = round_outwards(figure.lower or 0.0, figure.upper or 0.0)
    if figure.value == 0.0:
        if figure.n and has_interval:
            return words.write("harms", "none_seen", n=f"{figure.n:,}", upper=upper)
        return words.write("harms", "none_alone")
    if figure.value < FEW:
        return words.write("harms", "few" if has_interval else "few_alone", upper=upper)
    if not has_interval:
        return words.write("harms", "rate_alone", number=number)
    return words.write("harms", "rate", number=number, lower=lower, upper=upper)
