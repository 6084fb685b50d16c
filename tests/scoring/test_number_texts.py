"""Numbers that look the same are written once, and never otherwise than one by one."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from paincast.scoring import number_texts
from paincast.scoring.number_texts import NumberTexts


def _write_one(column: str, number: float) -> str:
    return f"{number + 0.0:.4g} {column}"


def _near_ties() -> st.SearchStrategy[float]:
    """Halves of the fourth significant digit, and the numbers beside them."""
    halves = st.builds(lambda digits, power: (digits + 0.5) * 10.0**power, st.integers(0, 99_999), st.integers(-12, 12))
    return st.builds(lambda half, steps: half * (1.0 + steps * 2.0**-52), halves, st.integers(-3, 3))


@given(
    st.lists(
        st.one_of(
            st.floats(allow_nan=False, allow_infinity=False), st.integers(-(10**6), 10**6).map(float), _near_ties()
        ),
        max_size=40,
    )
)
def test_texts_are_those_of_single_numbers(numbers):
    texts = NumberTexts(_write_one)
    for part in (numbers, numbers[::-1]):
        codes, words = texts.write("mm", np.array(part, dtype=float))
        assert [words[code] for code in codes] == [_write_one("mm", number) for number in part]


def test_numbers_that_look_the_same_are_written_once():
    written: list[float] = []
    texts = NumberTexts(lambda column, number: written.append(number) or _write_one(column, number))
    for _ in range(3):
        texts.write("mm", np.linspace(10.0, 11.0, 100_001))
    assert len(written) <= 2 * 101


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(number_texts, "MOST_TEXTS", 50)
    texts = NumberTexts(_write_one)
    for start in range(20):
        texts.write("mm", 1000.0 * start + np.arange(30.0))
    assert len(texts._texts["mm"]) <= 80
