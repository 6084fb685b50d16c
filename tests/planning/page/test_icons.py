from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from paincast.planning.page.icons import PEOPLE, count_people, draw_people

SHARES = st.lists(st.floats(0, 1), min_size=3, max_size=3).map(sorted)


@given(SHARES)
def test_people_hold_their_number_and_its_interval(shares):
    lower, share, upper = shares
    people = count_people(share, lower, upper)
    assert 0 <= people.lower <= people.number <= people.upper <= PEOPLE
    assert people.lower <= PEOPLE * lower + 1e-6
    assert people.upper >= PEOPLE * upper - 1e-6
    assert people.lower + people.maybe + people.rest == PEOPLE
    assert people.number + people.others == PEOPLE


@given(SHARES)
def test_a_picture_shows_what_is_counted(shares):
    lower, share, upper = shares
    people = count_people(share, lower, upper)
    kinds = re.findall(r'class="(sure|maybe|rest|best)"', draw_people(people, name="n", title="t"))
    assert kinds[:PEOPLE] == ["sure"] * people.lower + ["maybe"] * people.maybe + ["rest"] * people.rest
    assert kinds[PEOPLE:] == ["best"] * (people.number > 0)


def test_what_is_unknown_is_as_large_as_what_is_known():
    known, unknown = (draw_people(one, name="n", title="t") for one in (count_people(0.5, 0.4, 0.6), None))
    box = re.compile(r'viewBox="[^"]*"')
    assert box.findall(known) == box.findall(unknown)
    assert "?</text>" in unknown
    assert 'class="sure"' not in unknown
