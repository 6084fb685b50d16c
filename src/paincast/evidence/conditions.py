"""Check and describe conditions on the columns of an episode, stored as plain data; used by contraindications.

A condition is a comparison, or a combination of conditions::

    {column: stimulation_trial_success, is: false}
    {column: platelets_10e9_per_l, below: 50}
    {any: [{column: coagulation_disorder, is: true}, {column: inr, at_least: 1.5}]}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from types import MappingProxyType
from typing import Any

from paincast.errors import DataError, suggest_name
from paincast.schema import EPISODES, IMPLIED_FACTS, Column

Condition = Mapping[str, Any]

COMBINATIONS: Mapping[str, str] = MappingProxyType({"any": " or ", "all": " and "})
"""Ways to combine conditions, and the word between them in descriptions."""

MAXIMUM_DEPTH = 8


def check_condition(condition: Any, where: str, *, depth: int = 0) -> None:
    """Check that a condition can be assessed on declared columns.

    Parameters
    ----------
    condition : mapping
        ``{column, is | at_least | below | any_of}``, or ``{any | all: [conditions]}``.
    where : str
        Location to name in errors.

    Raises
    ------
    DataError
        If a key or column is unknown, or a value has the wrong type or is outside the range of the column.
    """
    if not isinstance(condition, Mapping) or depth > MAXIMUM_DEPTH:
        raise DataError(
            f"{where}: a condition is a mapping, nested at most {MAXIMUM_DEPTH} deep", code="PC-EVIDENCE-01"
        )
    for combination in COMBINATIONS:
        if combination in condition:
            parts = condition[combination]
            if len(condition) != 1 or not isinstance(parts, list) or not parts:
                raise DataError(
                    f"{where}: '{combination}' stands alone and holds a list of conditions", code="PC-EVIDENCE-02"
                )
            for number, part in enumerate(parts, 1):
                check_condition(part, f"{where}, {combination} {number}", depth=depth + 1)
            return
    _check_comparison(condition, where)


def _check_comparison(condition: Condition, where: str) -> None:
    name = condition.get("column")
    if not isinstance(name, str) or name not in EPISODES:
        raise DataError(f"{where}: unknown column '{name}'; {suggest_name(str(name), EPISODES)}", code="PC-EVIDENCE-03")
    column = EPISODES[name]
    comparisons = [key for key in condition if key != "column"]
    if len(comparisons) != 1 or comparisons[0] not in _CHECKS:
        raise DataError(f"{where}: a comparison has a 'column' and one of {', '.join(_CHECKS)}", code="PC-EVIDENCE-04")
    if column.timing != "before":
        raise DataError(f"{where}: {name} is not known before the procedure", code="PC-EVIDENCE-05")
    [comparison] = comparisons
    if not _CHECKS[comparison](column, condition[comparison]):
        raise DataError(
            f"{where}: '{comparison}' of {name} does not fit the column, which is {column.allowed}",
            code="PC-EVIDENCE-06",
        )


def _is_boolean(column: Column, value: Any) -> bool:
    return column.type == "boolean" and isinstance(value, bool)


def _is_within(column: Column, value: Any) -> bool:
    """Check that a bound splits the range of the column; the lowest value does not, because nothing lies below it."""
    if column.type not in ("number", "integer") or isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    low, high = column.low, column.high
    return isfinite(value) and (low is None or value > low) and (high is None or value <= high)


def _are_categories(column: Column, value: Any) -> bool:
    known = isinstance(value, list) and all(isinstance(name, str) and name in column.categories for name in value)
    return column.type == "category" and known and 0 < len(value) < len(column.categories)


_CHECKS: Mapping[str, Callable[[Column, Any], bool]] = MappingProxyType(
    {"is": _is_boolean, "at_least": _is_within, "below": _is_within, "any_of": _are_categories}
)


def add_implied(condition: Condition) -> Condition:
    """Let a condition hold for the indications that imply it.

    Examples
    --------
    >>> add_implied({"column": "prior_spine_surgery", "is": True})["any"][1]
    {'column': 'indication', 'any_of': ['failed_back_surgery']}
    >>> add_implied({"column": "pregnant", "is": True})
    {'column': 'pregnant', 'is': True}
    """
    if "column" not in condition:
        return {combination: [*map(add_implied, parts)] for combination, parts in condition.items()}
    asked, name = condition.get("is"), condition["column"]
    implying = [indication for indication, facts in IMPLIED_FACTS.items() if facts.get(name, not asked) is asked]
    return {"any": [condition, {"column": "indication", "any_of": implying}]} if implying else condition


def describe_condition(condition: Condition) -> str:
    """Describe a condition in words.

    Examples
    --------
    >>> describe_condition({"any": [{"column": "inr", "at_least": 1.5}, {"column": "pregnant", "is": False}]})
    'INR at least 1.5 or pregnant is no'
    """
    if "column" in condition:
        return _describe_comparison(condition)
    [(combination, parts)] = condition.items()
    descriptions = [describe_condition(part) for part in parts]
    nested = [f"({words})" if "column" not in part else words for part, words in zip(parts, descriptions, strict=True)]
    return COMBINATIONS[combination].join(nested)


def _describe_comparison(condition: Condition) -> str:
    column = EPISODES[condition["column"]]
    [(comparison, value)] = [(key, value) for key, value in condition.items() if key != "column"]
    unit = f" {column.unit}" if column.unit else ""
    words = {
        "is": lambda: f"is {'yes' if value else 'no'}",
        "at_least": lambda: f"at least {value:g}{unit}",
        "below": lambda: f"below {value:g}{unit}",
        "any_of": lambda: f"is {' or '.join(name.replace('_', ' ') for name in value)}",
    }
    return f"{column.display_name} {words[comparison]()}"
