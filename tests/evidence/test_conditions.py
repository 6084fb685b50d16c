"""Conditions of contraindications: what they may say, and what is refused with its place."""

from __future__ import annotations

from typing import Any

import pytest

from paincast.errors import DataError
from paincast.evidence.conditions import check_condition, describe_condition

PREGNANT = {"column": "pregnant", "is": True}


def _nest(depth: int) -> dict[str, Any]:
    return {"any": [_nest(depth - 1)]} if depth else PREGNANT


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (None, "a condition is a mapping"),
        ([], "a condition is a mapping"),
        ({}, "unknown column 'None'"),
        ({"column": "pregnnt", "is": True}, "unknown column 'pregnnt'; did you mean 'pregnant'"),
        ({"column": ["pregnant"], "is": True}, "unknown column"),
        ({"column": "pregnant"}, "one of is, at_least, below, any_of"),
        ({"column": "pregnant", "above": 3}, "one of is, at_least, below, any_of"),
        ({"column": "inr", "at_least": 2, "below": 3}, "one of is, at_least, below, any_of"),
        ({"column": "pregnant", "is": "yes"}, "'is' of pregnant does not fit"),
        ({"column": "pregnant", "is": 1}, "'is' of pregnant does not fit"),
        ({"column": "inr", "is": True}, "'is' of inr does not fit"),
        ({"column": "inr", "at_least": True}, "'at_least' of inr does not fit"),
        ({"column": "inr", "at_least": "2"}, "'at_least' of inr does not fit"),
        ({"column": "inr", "at_least": 21}, "'at_least' of inr does not fit"),
        ({"column": "inr", "below": 0.5}, "'below' of inr does not fit"),
        ({"column": "inr", "below": float("nan")}, "'below' of inr does not fit"),
        ({"column": "pregnant", "below": 1}, "'below' of pregnant does not fit"),
        ({"column": "sex", "any_of": ["femal"]}, "'any_of' of sex does not fit"),
        ({"column": "sex", "any_of": []}, "'any_of' of sex does not fit"),
        ({"column": "sex", "any_of": "female"}, "'any_of' of sex does not fit"),
        ({"column": "inr", "any_of": [1.0]}, "'any_of' of inr does not fit"),
        ({"column": "guidance", "any_of": ["ct"]}, "guidance is not known before the procedure"),
        ({"any": []}, "'any' stands alone and holds a list"),
        ({"any": PREGNANT}, "'any' stands alone and holds a list"),
        ({"any": [PREGNANT], "all": [PREGNANT]}, "'any' stands alone"),
        ({"all": [PREGNANT], "column": "inr"}, "'all' stands alone"),
        ({"any": [PREGNANT, {"column": "inr"}]}, "here, any 2: a comparison"),
        (_nest(9), "nested at most 8 deep"),
    ],
)
def test_a_malformed_condition_is_refused_with_its_place(condition: Any, words: str) -> None:
    with pytest.raises(DataError, match=words) as refusal:
        check_condition(condition, "here")
    assert str(refusal.value).startswith("here")


def test_conditions_read_as_words() -> None:
    condition = {
        "any": [
            {"all": [{"column": "sex", "any_of": ["female"]}, PREGNANT]},
            {"column": "platelets_10e9_per_l", "below": 50},
            {"column": "inr", "at_least": 1.5},
        ]
    }
    check_condition(condition, "here")
    assert describe_condition(condition) == (
        "(sex is female and pregnant is yes) or platelets below 50 ×10⁹/L or INR at least 1.5"
    )
