"""Plain names for what the contract and the evidence name: techniques, indications, columns and their values."""

from __future__ import annotations

from paincast.contract import BUILT_IN
from paincast.planning.contents import TechniquePlan
from paincast.planning.page.catalogue import Words


def name_technique(item: TechniquePlan, words: Words) -> str:
    """Name a technique; one of the patient's own registry has the title that it declares."""
    known = words.get("techniques").get(item.technique)
    return str(known["name"]) if known else item.title


def name_indication(indication: str, words: Words) -> str:
    """Name an indication; an unknown or missing one is ``your pain``."""
    known = words.get("indications").get(indication)
    return str(known["name"]) if known else words.write("choice", "any_pain")


def name_column(column: str, words: Words) -> str:
    """Name a column: in plain words, or by the title of its questionnaire."""
    known = words.get("columns").get(column)
    if known:
        return str(known)
    declared = BUILT_IN.episodes.get(column)
    title = (declared.label or declared.description) if declared else column.replace("_", " ")
    return words.write("facts", "score" if declared and declared.unit else "other", title=title)


def write_value(column: str, value: object, words: Words) -> str:
    """Write a value of a patient with its unit.

    Examples
    --------
    >>> from paincast.planning.page.catalogue import load_words
    >>> words = load_words("en")
    >>> write_value("age_years", 57.0, words), write_value("diabetes", False, words)
    ('57 years', 'No')
    """
    if isinstance(value, bool) or str(value) in ("True", "False"):
        return words.write("page", "is_true" if str(value) == "True" else "is_false")
    if column == "indication":
        return name_indication(str(value), words)
    if isinstance(value, int | float):
        declared = BUILT_IN.episodes.get(column)
        number = f"{value:g}"
        unit = words.get("units").get(declared.unit, declared.unit) if declared and declared.unit else ""
        return words.write("facts", "with_unit", value=number, unit=unit).strip()
    text = str(value)
    return str(words.get("answers").get(text, text.replace("_", " ")))
