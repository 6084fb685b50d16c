"""Pictures of 100 people: how many are counted, how many may be, and how many are not.

The dots of a picture stand together and fill row by row, and all pictures count the same 100: scattered dots and
different denominators are read wrongly (Trevena et al. 2013, 10.1186/1472-6947-13-S2-S7). What differs by colour
differs by filling too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

ROW, STEP, RADIUS, MARGIN = 10, 20, 7.5, 4
PEOPLE = 100
ROUNDING = 1e-9
"""What a share may miss a whole number by: 0.07 times 100 is a little more than 7."""


@dataclass(frozen=True)
class People:
    """People of 100: a number with its interval.

    Parameters
    ----------
    lower, number, upper : int
        Out of 100.
    """

    lower: int
    number: int
    upper: int

    @property
    def maybe(self) -> int:
        """People within the interval."""
        return self.upper - self.lower

    @property
    def rest(self) -> int:
        """People above the interval."""
        return PEOPLE - self.upper

    @property
    def others(self) -> int:
        """People who are not counted in the number."""
        return PEOPLE - self.number


def count_people(share: float, lower: float, upper: float) -> People:
    """Count people of 100; the interval is rounded outwards, and holds the number.

    Parameters
    ----------
    share, lower, upper : float
        Between 0 and 1.

    Returns
    -------
    People

    Examples
    --------
    >>> count_people(0.552, 0.191, 0.865)
    People(lower=19, number=55, upper=87)
    >>> count_people(0.0, 0.0, 0.0)
    People(lower=0, number=0, upper=0)
    """
    number = round(share * PEOPLE)
    low, high = round_outwards(lower, upper)
    return People(lower=max(min(low, number), 0), number=number, upper=min(max(high, number), PEOPLE))


def round_outwards(lower: float, upper: float) -> tuple[int, int]:
    """Round an interval of shares to people of 100, outwards.

    Examples
    --------
    >>> round_outwards(0.191, 0.865), round_outwards(0.07, 0.0004)
    ((19, 87), (7, 1))
    """
    return math.floor(lower * PEOPLE + ROUNDING), math.ceil(upper * PEOPLE - ROUNDING)


def draw_people(people: People | None, *, name: str, title: str) -> str:
    """Draw 100 people.

    Parameters
    ----------
    people : People or None
        None where the number is not known: empty dots and a question mark.
    name : str
        Unique on the page.
    title : str
        What the picture shows, in words; it is escaped by the caller.

    Returns
    -------
    str
        SVG. Filled dots are people up to the lower end of the interval, dots with stripes those up to its upper end; a
        ring marks the number itself.
    """
    side = ROW * STEP + 2 * MARGIN
    dots = "".join(_draw_dot(place, _find_kind(place, people)) for place in range(PEOPLE))
    ring = _draw_dot(people.number - 1, "best") if people and people.number else ""
    mark = "" if people else f'<text class="unknown" x="{side / 2:g}" y="{side / 2 + 34:g}">?</text>'
    return (
        f'<svg class="people" viewBox="0 0 {side} {side}" role="img" aria-labelledby="{name}">'
        f'<title id="{name}">{title}</title>{dots}{ring}{mark}</svg>'
    )


def _find_kind(place: int, people: People | None) -> str:
    if people is None or place >= people.upper:
        return "rest"
    return "sure" if place < people.lower else "maybe"


def _draw_dot(place: int, kind: str) -> str:
    x = MARGIN + STEP / 2 + STEP * (place % ROW)
    y = MARGIN + STEP / 2 + STEP * (place // ROW)
    return f'<circle class="{kind}" cx="{x:g}" cy="{y:g}" r="{RADIUS:g}"/>'
