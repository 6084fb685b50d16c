"""The content of a bundle is held against its schema and against itself: errors name the key, never a value."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paincast.errors import DataError
from paincast.files.json_schema import SchemaError, compile_schema
from paincast.predictor import load_predictor
from paincast.predictor.bundle.schema import compile_bundle_schema

from .released import copy_bundle, load_or_refuse, unpack, write_state

SECRET = "Zq7-sentinel"
CHANGE, DURATION = "linear/facet_rfa/pain_change", "linear/facet_rfa/relief_duration"
LINEAR, CUMULATIVE = "prior/facet_rfa/pain_response", "prior/facet_rfa/pain_change"
STEPS, ISOTONIC, VENN = (f"{name}/facet_rfa/pain_response" for name in ("steps", "isotonic", "venn_abers"))


@pytest.fixture(scope="module")
def released(tmp_path_factory) -> Path:
    return unpack(tmp_path_factory.mktemp("released"))


def read(folder: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((folder / "bundle.json").read_text())
    return state


def find(state: Any, place: tuple[Any, ...]) -> Any:
    for name in place:
        state = state[name]
    return state


def put(value: Any) -> Callable[[Any], Any]:
    """Give a change that puts a value in place of any other."""
    return lambda _: value


MISFITS = [
    # Shapes
    (LINEAR, ("models", 3, "coefficients"), lambda old: old[:-1], "models[3].coefficients"),
    (LINEAR, ("models", 0, "means"), lambda old: [*old, 0.0], "models[0].means"),
    (LINEAR, ("domain", "precision"), lambda old: old[:-1], "domain.precision"),
    (LINEAR, ("domain", "precision"), lambda old: [row[:-1] for row in old], "domain.precision"),
    (LINEAR, ("domain", "names"), lambda old: old[:-1], "domain.precision"),
    (LINEAR, ("models",), lambda old: old[:1], "models"),
    (CHANGE, ("change", "model", "coefficients"), lambda old: old[:2], "change.model.coefficients"),
    (CHANGE, ("change", "means"), lambda old: old[1:], "change.means"),
    (DURATION, ("duration", "model", "relief", "intercepts"), lambda old: old[1:], "duration.model.relief.intercepts"),
    (DURATION, ("duration", "model", "refits", 2, "first"), lambda old: old[1:], "duration.model.refits[2].first"),
    (CUMULATIVE, ("cumulative_change", "margins"), lambda old: old[1:], "cumulative_change.margins"),
    (STEPS, ("models", 0, "columns"), lambda old: old[1:], "models[0].columns"),
    (STEPS, ("models", 0, "columns", 1, "scores"), lambda old: [*old, 0.0], "models[0].columns[1].scores"),
    (ISOTONIC, ("calibrations_beside", 0, "calibration", "knots"), lambda old: old[1:], "calibrations_beside[0]"),
    (VENN, ("calibrations_beside", 0, "calibration", "lower_knots"), lambda old: old[1:], "calibrations_beside[0]"),
    (LINEAR, ("domain", "precision", 3), lambda old: old[1:], "domain.precision"),
    (CHANGE, ("change", "model", "coefficients", 0), lambda old: [*old, 0.0], "change.model.coefficients"),
    (LINEAR, ("calibrations_beside",), lambda old: old[1:], "calibrations_beside"),
    # Order
    (DURATION, ("duration", "model", "cuts"), lambda old: old[::-1], "duration.model.cuts"),
    (CUMULATIVE, ("cumulative_change", "shares"), lambda old: old[::-1], "cumulative_change.shares"),
    # Names
    (LINEAR, ("technique",), put(SECRET), "technique"),
    (LINEAR, ("measures",), put([SECRET]), "measures"),
    (LINEAR, ("outcome",), put("pain_change"), "outcome"),
    (LINEAR, ("encoder", "variables", 2, "name"), put(SECRET), "encoder.variables[2].name"),
    (LINEAR, ("encoder", "variables", 0, "kind"), put("number"), "encoder.variables[0].kind"),
    (LINEAR, ("domain", "names", 0), put("sex"), "domain.names"),
    (LINEAR, ("outcome",), put(SECRET), "outcome"),
    (
        LINEAR,
        ("rules", "remarks", 0),
        put({"indication": SECRET, "remark": SECRET}),
        "rules.remarks[0].approach",
    ),
    # Missing values
    (DURATION, ("duration", "model", "encoder", "parameters", "native_missing"), put(True), "encoder.parameters"),
    (LINEAR, ("encoder", "parameters", "native_missing"), put(True), "encoder.parameters"),
    # Bounds
    (LINEAR, ("models", 5, "intercept"), put(1e308), "models[5].intercept"),
    (LINEAR, ("models", 5, "coefficients", 7), put(float("nan")), "models[5].coefficients[7]"),
    (LINEAR, ("models", 5, "coefficients", 7), put(10**400), "models[5].coefficients[7]"),
    (LINEAR, ("models", 5, "coefficients", 7), put(SECRET), "models[5].coefficients[7]"),
    (LINEAR, ("heterogeneity", "between_sites"), put(-1), "heterogeneity.between_sites"),
    (LINEAR, ("level",), put(1), "level"),
    (LINEAR, ("encoder", "variables", 5, "scale"), put(0), "encoder.variables[5].scale"),
    (LINEAR, ("sources",), put(SECRET * 2_000), "sources"),
    (LINEAR, ("sources", 0), put(SECRET * 2_000), "sources[0]"),
    (DURATION, ("duration", "model", "version"), put(2), "duration.model.version"),
]


@pytest.mark.parametrize(
    ("bundle", "place", "change", "named"), MISFITS, ids=lambda held: "change" if callable(held) else str(held)[:60]
)
def test_what_does_not_fit_is_refused_by_its_key(released, tmp_path, bundle, place, change, named):
    folder = copy_bundle(released / bundle, tmp_path / "bundle")
    state = read(folder)
    find(state, place[:-1])[place[-1]] = change(find(state, place))
    write_state(folder, state)
    with pytest.raises(DataError) as error:
        load_predictor(folder)
    assert error.value.code == "PC-MODEL-36"
    assert f": {named}" in str(error.value)
    assert SECRET not in str(error.value)


def test_nothing_is_built_from_what_does_not_fit_the_schema(released, tmp_path, monkeypatch):
    folder = copy_bundle(released / LINEAR, tmp_path / "bundle")
    state = read(folder)
    state["level"] = "0.9"
    write_state(folder, state)
    monkeypatch.setattr("paincast.predictor.bundle.loading.from_state", None)
    with pytest.raises(DataError, check=lambda error: error.code == "PC-MODEL-36"):
        load_predictor(folder)


def test_a_contract_or_a_rule_that_cannot_be_used_is_not_repeated(released, tmp_path):
    for key, code in (("contract", "PC-MODEL-40"), ("rules", "PC-MODEL-39")):
        folder = copy_bundle(released / LINEAR, tmp_path / "bundle")
        state = read(folder)
        if key == "contract":
            state["contract"] = json.dumps({"contract": 1, "name": SECRET, SECRET: 1})
        else:
            state["rules"]["contraindications"][0]["when"] = {"column": SECRET, "is": True}
        write_state(folder, state)
        with pytest.raises(DataError) as error:
            load_predictor(folder)
        assert error.value.code == code
        assert SECRET not in str(error.value)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.just(10**400),
    st.just(SECRET),
    st.just({SECRET: SECRET}),
    st.recursive(st.just([]), lambda inner: st.lists(inner, min_size=1, max_size=2), max_leaves=60),
    st.lists(st.floats(), max_size=3),
)


def list_places(node: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below = (
        list(node) if isinstance(node, dict) else sorted({0, len(node) - 1}) if node and isinstance(node, list) else []
    )
    return [found for name in below for found in ((*place, name), *list_places(node[name], (*place, name)))]


@given(data=st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_change_is_refused_by_a_code_or_gives_a_model(released, tmp_path, data):
    folder = copy_bundle(released / data.draw(st.sampled_from([LINEAR, DURATION, CHANGE, VENN])), tmp_path / "bundle")
    state = read(folder)
    place = data.draw(st.sampled_from(list_places(state)))
    find(state, place[:-1])[place[-1]] = data.draw(VALUES)
    write_state(folder, state)
    loaded, error = load_or_refuse(folder)
    if loaded is None:
        assert error.code
        assert SECRET not in str(error)
    else:
        assert np.isfinite(loaded.level)
        assert loaded.version == read(folder)["version"]


SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 5, "pattern": "^a"},
        "kind": {"enum": ["one", 2]},
        "share": {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
        "pair": {
            "type": "array",
            "prefixItems": [{"type": "integer"}, {"type": "boolean"}],
            "minItems": 2,
            "maxItems": 2,
        },
        "table": {"type": "array", "items": {"type": "array", "items": {"type": "number", "maximum": 9}}},
        "either": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/Closed"}]},
    },
    "required": ["name"],
    "$defs": {"Closed": {"type": "object", "properties": {"x": {"const": 1}}, "additionalProperties": False}},
}
FITTING = {
    "name": "ab",
    "kind": 2,
    "share": 0,
    "pair": [1, True],
    "table": [[1, 2.5], []],
    "either": {"x": 1},
    "other": object,
}


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("name", "b", "name must be text"),
        ("name", "aaaaaa", "name must be text of 0 to 5"),
        ("name", None, "name must be text"),
        ("kind", "two", "kind must be one of one, 2"),
        ("kind", 2.0, "kind must be one of"),
        ("share", 1, "share must be a number at least 0 and below 1"),
        ("share", float("inf"), "share must be a finite number"),
        ("share", True, "share must be a number"),
        ("pair", [1], "pair must be a list of 2"),
        ("pair", [True, True], "pair[0] must be a whole number"),
        ("pair", [1, 0], "pair[1] must be true or false"),
        ("table", [[1], [2, 10]], "table[1][1] must be a number at most 9"),
        ("table", [[1], ["2"]], "table[1][0] must be a number"),
        ("either", {"x": 2}, "either.x must be 1"),
        ("either", {"y": 1}, "either.* must be absent"),
    ],
)
def test_a_schema_names_what_does_not_fit(key, value, named):
    check = compile_schema(SCHEMA)
    check(FITTING)
    with pytest.raises(SchemaError) as error:
        check({**FITTING, key: value})
    assert str(error.value).startswith(named)


def test_a_required_key_is_named_and_a_list_at_the_top_is_no_object():
    check = compile_schema(SCHEMA)
    for value, named in (({}, "name must be there"), ([], "the file must be an object")):
        with pytest.raises(SchemaError) as error:
            check(value)
        assert str(error.value) == named


def test_every_released_bundle_fits_the_schema_and_none_does_without_a_required_key(released):
    check, checked = compile_bundle_schema(), 0
    for manifest in sorted(released.rglob("bundle.json")):
        state = read(manifest.parent)
        check(state)
        for name in ("technique", "rules", "version", "format"):
            lacking = copy.copy(state)
            del lacking[name]
            with pytest.raises(SchemaError):
                check(lacking)
        checked += 1
    assert checked == 16
