"""A part of longer work passes its steps on in proportion, never back and never beyond its share."""

from __future__ import annotations

import pytest

from paincast.progress import PartialProgress


def test_steps_are_passed_on_in_proportion(counted_steps):
    part = PartialProgress(counted_steps, 3, "facet_rfa")
    part.expect(4)
    for _ in range(4):
        part.advance()
    part.finish()
    assert counted_steps.done == [0.75] * 4
    part.describe("fitting")
    assert counted_steps.texts == ["facet_rfa: fitting"]


def test_more_steps_than_were_expected_do_not_go_back(counted_steps):
    part = PartialProgress(counted_steps, 1)
    part.expect(2)
    part.advance()
    part.expect(6)
    part.advance()
    assert counted_steps.done == [0.5]
    part.advance(3)
    assert sum(counted_steps.done) == pytest.approx(5 / 8)


def test_what_is_given_up_counts_as_done_once(counted_steps):
    part = PartialProgress(counted_steps, 2)
    part.advance()
    part.expect(1)
    part.advance(10)
    part.finish()
    part.finish()
    assert sum(counted_steps.done) == pytest.approx(2)
