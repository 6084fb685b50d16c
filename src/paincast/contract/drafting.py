"""Draft a first contract from the data dictionary of a REDCap project, to be completed by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence

from paincast.contract.contract import BUILT_IN
from paincast.contract.keys import VERSION
from paincast.files.redcap_dictionary import DictionaryField
from paincast.files.strict_yaml import UNFINISHED

LEFT_OUT = {"descriptive": "text of the form", "file": "a file", "notes": "free text", "sql": "a query"}
_NUMBERS = {"number": "number", "integer": "integer"}


def draft_contract(name: str, fields: Sequence[DictionaryField], *, built_in: Collection[str] = ()) -> str:
    """Draft the contract of a REDCap project: its fields as predictors, each with the timing left to be filled in.

    Parameters
    ----------
    name : str
        Name of the contract.
    fields : sequence of DictionaryField
        From :func:`paincast.files.redcap_dictionary.read_dictionary`.
    built_in : collection of str
        Fields that a column of the built-in contract can hold: they belong into the mapping.

    Returns
    -------
    str
        YAML text. ``known: TODO`` stands at every field, since no dictionary tells when a value is known;
        :func:`paincast.contract.load_contract` refuses the file until each is filled in or taken out.
    """
    declared: list[str] = []
    remarks: list[str] = []
    for field in fields:
        why_not = _explain_left_out(field, built_in)
        if why_not:
            remarks.append(f"#   {field.name}: {why_not}")
        else:
            declared += _write_predictors(field)
    lines = [
        "# A first contract, from the data dictionary. Keep what a model may use, and take out the rest.",
        "# 'known' says when the value is known, relative to the procedure: before, during or after.",
        f"contract: {VERSION}",
        f"name: {_quote(name)}",
        *(["", "predictors:", *declared] if declared else []),
        *(["", "# Fields that are not declared here:", *remarks] if remarks else []),
    ]
    return "\n".join(lines) + "\n"


def _explain_left_out(field: DictionaryField, built_in: Collection[str]) -> str:
    if field.identifier:
        return "marked as an identifier of persons"
    if field.type in LEFT_OUT:
        return LEFT_OUT[field.type]
    if field.name in built_in or set(field.columns) & {*built_in}:
        return "a built-in column can hold it: name it in the mapping"
    if field.type == "text" and field.validation not in _NUMBERS:
        return "a date" if field.validation.startswith(("date", "time")) else "free text"
    return ""


def _write_predictors(field: DictionaryField) -> Iterator[str]:
    if field.type == "checkbox":
        for column, label in zip(field.columns, field.choices.values(), strict=True):
            yield _write_predictor(column, {"type": "boolean"}, f"{field.label}: {label}")
        return
    yield _write_predictor(field.name, _describe_type(field), field.label)


def _describe_type(field: DictionaryField) -> dict[str, str]:
    if field.type in ("yesno", "truefalse"):
        return {"type": "boolean"}
    if field.choices:
        values = [_shorten(label, 60) for label in field.choices.values()]
        distinct = len({value.casefold() for value in values}) == len(values) >= 2
        return {"type": "category", "values": f"[{', '.join(map(_quote, values))}]" if distinct else UNFINISHED}
    low, high = ("TODO" if bound is None else f"{bound:g}" for bound in (field.low, field.high))
    return {"type": _NUMBERS.get(field.validation, "number"), "range": f"[{low}, {high}]"}


def _write_predictor(column: str, described: dict[str, str], label: str) -> str:
    name = re.sub(r"_+", "_", re.sub(r"[^a-z0-9]+", "_", column.lower())).strip("_") or "field"
    name = name if name[0].isalpha() else f"field_{name}"
    taken = name in {**BUILT_IN.episodes, **BUILT_IN.visits, **BUILT_IN.events}
    name = f"own_{name}" if taken else name
    facts = {**described, "known": UNFINISHED, **({"label": _quote(_shorten(label, 200))} if label.strip() else {})}
    return f"  {name}: {{{', '.join(f'{key}: {value}' for key, value in facts.items())}}}"


def _shorten(text: str, longest: int) -> str:
    return " ".join(text.split())[:longest].strip()


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
