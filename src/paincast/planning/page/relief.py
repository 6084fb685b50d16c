"""How many people get relief, with and without the procedure, in pictures and words, and for how long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from paincast.planning.benefit import NOT_RANDOMISED
from paincast.planning.contents import Benefit, Expected, TechniquePlan
from paincast.planning.expected import COUNTED, PAIN
from paincast.planning.figures import Figure
from paincast.planning.page.catalogue import Words
from paincast.planning.page.icons import PEOPLE, People, count_people, draw_people
from paincast.planning.page.view import Picture


def list_relief(item: TechniquePlan) -> list[Expected]:
    """List what is expected of half less pain, as far as a number is known."""
    return [one for one in item.expected if one.outcome == PAIN and one.figure.value is not None]


def count_figure(figure: Figure) -> People:
    """Count a share as people of 100."""
    assert figure.value is not None
    lower = figure.value if figure.lower is None else figure.lower
    upper = figure.value if figure.upper is None else figure.upper
    return count_people(figure.value, lower, upper)


def draw_treated(expected: Expected, item: TechniquePlan, month: float | None, words: Words) -> Picture:
    """Draw the people with relief after the procedure."""
    people = count_figure(expected.figure)
    assert month is not None
    when = words.write_months(month)
    approach = words.get("approaches").get(expected.approach, expected.approach)
    heading = words.write("relief", "with_approach", approach=approach) if approach else words.write("relief", "with")
    figure, is_counted = expected.figure, expected.figure.basis == "published"
    told = "with_text" if is_counted else "with_model"
    sentences = [
        words.write("relief", told, number=people.number, others=people.others, month=when),
        words.write("relief", "range", lower=people.lower, upper=people.upper),
        *write_confidence([figure], words),
        words.write("relief", "for_group" if is_counted else "for_you"),
    ]
    if is_counted and expected.support not in COUNTED:
        told = "carried_over" if expected.support == "carried over" else "not_counted"
        sentences.append(words.write("relief", told))
    if expected.borrowed_from:
        sentences.append(words.write("relief", "borrowed"))
    return _draw(
        heading, tuple(sentences), people, f"with-{item.technique}-{expected.approach or 'any'}", words, approach
    )


def write_confidence(figures: Sequence[Figure], words: Words) -> list[str]:
    """Write how often ranges like those of figures are right, each confidence once."""
    levels = dict.fromkeys(round(PEOPLE * figure.confidence) for figure in figures if figure.confidence is not None)
    return [words.write("relief", "confidence", level=level) for level in levels]


def draw_unknown_treated(item: TechniquePlan, month: float | None, words: Words) -> Picture:
    """Draw that nobody knows how many people have relief after the procedure."""
    sentences = () if month is None else (words.write("relief", "with_unknown", month=words.write_months(month)),)
    return _draw(words.write("relief", "with"), sentences, None, f"with-{item.technique}", words)


def find_control(item: TechniquePlan, month: float | None) -> Expected | None:
    """Find a control arm at the very month of the plan."""
    controls = [one for one in item.expected if one.control and one.control.value is not None]
    return next((one for one in controls if one.control and one.control.month == month), None)


def draw_control(found: Expected | None, item: TechniquePlan, month: float | None, words: Words) -> Picture:
    """Draw the people with relief without the procedure, or that nobody knows how many."""
    heading, name = words.write("relief", "without"), f"without-{item.technique}"
    if found is None or found.control is None or month is None:
        sentences = [] if month is None else [words.write("relief", "without_unknown", month=words.write_months(month))]
        return _draw(heading, tuple(sentences), None, name, words)
    people = count_figure(found.control)
    when = words.write_months(month)
    kind = found.control.note.partition(":")[0]
    sentences = [
        words.write("relief", "without_text", number=people.number, others=people.others, month=when),
        words.write("relief", "without_what", kind=words.get("controls").get(kind, kind)),
        words.write("relief", "without_range", lower=people.lower, upper=people.upper),
        *write_confidence([found.control], words),
    ]
    return _draw(heading, tuple(sentences), people, name, words)


def _draw(
    heading: str, sentences: tuple[str, ...], people: People | None, name: str, words: Words, approach: str = ""
) -> Picture:
    if people is None:
        title = words.write("relief", "picture_unknown")
    else:
        counts = {"lower": people.lower, "maybe": people.maybe, "rest": people.rest, "number": people.number}
        title = words.write("relief", "picture", **counts)
    svg = draw_people(people, name=name, title=escape(f"{heading}. {title}"))
    return Picture(heading=heading, approach=approach, sentences=sentences, people=people, svg=svg)


def write_benefit(item: TechniquePlan, month: float | None, words: Words) -> Iterator[str]:
    """Write how many more people have relief because of the procedure, or that nobody can tell."""
    told = [benefit for benefit in item.benefits if benefit.difference is not None]
    for benefit in told:
        yield " ".join(_write_difference(benefit, month, words))
    if not told:
        controls = [one for one in item.expected if one.control is not None]
        if controls:
            yield words.write("relief", "no_difference")
        yield words.write("relief", "no_benefit")


def _write_difference(benefit: Benefit, month: float | None, words: Words) -> Iterator[str]:
    difference, treated, control = benefit.difference, benefit.treated, benefit.control
    assert difference is not None
    lower, upper = (round(PEOPLE * (end or 0.0)) for end in (difference.lower, difference.upper))
    with_it, without = (round(PEOPLE * (arm.value or 0.0)) if arm else 0 for arm in (treated, control))
    counts = {"treated": with_it, "control": without, "number": with_it - without, "lower": lower, "upper": upper}
    yield words.write("relief", "difference", kind=words.get("controls").get(benefit.arm, benefit.arm), **counts)
    yield from write_confidence([difference], words)
    if benefit.counts_intended:
        yield words.write("relief", "difference_intended")
    if benefit.approach:
        by = words.get("approaches").get(benefit.approach, benefit.approach)
        yield words.write("relief", "difference_by", approach=by)
    if NOT_RANDOMISED in benefit.because:
        yield words.write("relief", "difference_chosen")
    if difference.month is not None and difference.month != month:
        yield words.write("relief", "difference_other_month", month=words.write_months(difference.month))
    if lower < 0:
        yield words.write("relief", "difference_fewer")
    if benefit.holds_zero:
        yield words.write("relief", "difference_zero")


def write_lasts(item: TechniquePlan, words: Words) -> list[str]:
    """Write how many people have relief at later months."""
    later = list_later(item)
    sentences = [_write_later(figure, words) for figure in later]
    if any(not figure.n for figure in later):
        sentences.append(words.write("lasts", "worked_out"))
    return [*sentences, *write_confidence(later, words), *_write_survival(item, words)]


def _write_survival(item: TechniquePlan, words: Words) -> Iterator[str]:
    """Write whose relief is counted where many die before."""
    survival = [one for one in item.durability if one.unit == "months" and one.value is not None]
    if survival and list_later(item):
        yield words.write("lasts", "alive", month=words.write_months(survival[0].value or 0.0))


def write_later(item: TechniquePlan, words: Words) -> list[str]:
    """Write the short form of :func:`write_lasts`; of several approaches, the lowest and the highest."""
    by_month: dict[float, list[People]] = {}
    for figure in list_later(item):
        by_month.setdefault(figure.month or 0.0, []).append(count_figure(figure))
    sentences = []
    for month, of in by_month.items():
        lower, upper = min(people.lower for people in of), max(people.upper for people in of)
        numbers = sorted({people.number for people in of})
        number = f"{numbers[0]}" if len(numbers) == 1 else words.write("lasts", "to", low=numbers[0], high=numbers[-1])
        when = words.write_months(month)
        sentences.append(words.write("lasts", "short", month=when, number=number, lower=lower, upper=upper))
    return [*sentences, *_write_survival(item, words)]


def list_later(item: TechniquePlan) -> list[Figure]:
    """List the shares with relief at later months."""
    return [one for one in item.durability if one.unit == "share" and one.value is not None and one.month is not None]


def _write_later(figure: Figure, words: Words) -> str:
    when, people = words.write_months(figure.month or 0.0), vars(count_figure(figure))
    approach = figure.name.partition(", ")[2]
    if not approach:
        return words.write("lasts", "share", month=when, **people)
    by = words.get("approaches").get(approach, approach)
    return words.write("lasts", "by_approach", month=when, approach=by, **people)
