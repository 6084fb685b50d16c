"""Bytes of a booster are checked before XGBoost reads them: anything else could end the process."""

from __future__ import annotations

import copy
import struct
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from paincast.models.binary.kinds import KINDS
from paincast.models.booster_file import DEEPEST_TREE, check_booster
from paincast.models.ubjson import Numbers, read_ubjson

from .released import unpack

MARKERS = {">f4": b"d", ">i4": b"l", ">i8": b"L", "u1": b"U", "i1": b"i"}


@pytest.fixture(scope="module")
def boosters(tmp_path_factory) -> dict[str, Path]:
    """Files of boosters of released bundles: alone, and on top of a linear predictor."""
    folder = unpack(tmp_path_factory.mktemp("released"))
    return {
        "xgboost": folder / "trees/facet_rfa/pain_response/booster.ubj",
        "boosted_logistic": folder / "prior_trees/facet_rfa/pain_response/booster.ubj",
    }


def read_kind(kind: str, raw: bytes) -> Any:
    read_file = KINDS[kind].read_file
    assert read_file is not None
    return read_file(raw)


def length(n: int) -> bytes:
    return struct.pack(">q", n)


def write(value: Any) -> bytes:
    """Write what ``read_ubjson`` reads."""
    if isinstance(value, Numbers):
        return b"[$" + MARKERS[value.kind] + b"#L" + length(value.n) + value.raw
    if isinstance(value, dict):
        inner = [b"L" + length(len(name)) + name.encode() + write(held) for name, held in value.items()]
        return b"{" + b"".join(inner) + b"}"
    if isinstance(value, list):
        return b"[#L" + length(len(value)) + b"".join(map(write, value))
    if isinstance(value, str):
        return b"SL" + length(len(value.encode())) + value.encode()
    if isinstance(value, float):
        return b"d" + struct.pack(">f", value)
    return b"i" + struct.pack(">b", value) if -128 <= value < 128 else b"l" + struct.pack(">i", value)


def trees_of(document: Any) -> list[dict[str, Any]]:
    trees: list[dict[str, Any]] = document["learner"]["gradient_booster"]["model"]["trees"]
    return trees


def set_number(tree: dict[str, Any], name: str, place: int, number: float) -> None:
    array = np.frombuffer(tree[name].raw, tree[name].kind).copy()
    array[place] = number
    tree[name] = Numbers(tree[name].kind, len(array), array.tobytes())


@pytest.mark.parametrize("kind", ["xgboost", "boosted_logistic"])
def test_a_booster_as_it_is_written_passes_and_is_written_the_same(boosters, kind):
    raw = boosters[kind].read_bytes()
    assert write(read_ubjson(raw)) == raw
    check_booster(raw)
    assert read_kind(kind, raw).n_trees == len(trees_of(read_ubjson(raw)))


@pytest.mark.parametrize("shape", ["sliced", "one leaf", "no tree", "deep"])
def test_what_xgboost_writes_of_any_shape_passes(shape):
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(300, 3))
    packed = xgboost.DMatrix(matrix, label=(matrix[:, 0] + rng.normal(size=300) > 0).astype(float))
    depth, penalty = (30, 0.0) if shape == "deep" else (3, 1e9 if shape == "one leaf" else 1.0)
    settings = {"objective": "binary:logistic", "max_depth": depth, "min_child_weight": 0.0, "nthread": 1}
    settings |= {"gamma": penalty if shape == "one leaf" else 0.0, "reg_lambda": 0.0}
    booster = xgboost.train(settings, packed, num_boost_round=0 if shape == "no tree" else 5)
    booster = booster[1:4] if shape == "sliced" else booster
    check_booster(bytes(booster.save_raw("ubj")))


WRONG = [
    ("left_children", 0, 10**6),
    ("left_children", 0, 0),
    ("left_children", 0, -2),
    ("right_children", 0, -1),
    ("right_children", 1, 1),
    ("parents", 1, 5),
    ("split_indices", 0, 10**6),
    ("split_indices", 0, -1),
    ("split_type", 0, 1),
    ("default_left", 0, 7),
    ("split_conditions", -1, np.nan),
    ("split_conditions", -1, 1e30),
    ("sum_hessian", 0, 0.0),
    ("sum_hessian", -1, 1e8),
    ("sum_hessian", -1, -1.0),
]


@pytest.mark.parametrize(("name", "place", "number"), WRONG)
def test_nodes_refer_to_nodes_and_columns_that_exist(boosters, name, place, number):
    document = read_ubjson(boosters["xgboost"].read_bytes())
    set_number(trees_of(document)[2], name, place, number)
    with pytest.raises(ValueError, match="a booster cannot hold these"):
        check_booster(write(document))


@pytest.mark.parametrize(
    "change",
    [
        lambda document: trees_of(document)[0].update(id=1),
        lambda document: trees_of(document).pop(),
        lambda document: trees_of(document)[0]["tree_param"].update(num_nodes="10"),
        lambda document: trees_of(document)[0]["tree_param"].update(num_feature="1"),
        lambda document: trees_of(document)[0].update(categories=Numbers(">i4", 1, bytes(4))),
        lambda document: trees_of(document)[0].update(more=1),
        lambda document: document["learner"]["learner_model_param"].update(num_feature="2"),
        lambda document: document["learner"]["learner_model_param"].update(base_score="nan"),
        lambda document: document["learner"]["learner_model_param"].update(num_target="2"),
        lambda document: document["learner"]["objective"].update(name="rank:ndcg"),
        lambda document: document["learner"]["gradient_booster"].update(name="dart"),
        lambda document: document["learner"].pop("objective"),
        lambda document: document.update(version=[1, 0, 0]),
    ],
)
def test_a_booster_of_another_form_is_refused(boosters, change):
    document = read_ubjson(boosters["xgboost"].read_bytes())
    check_booster(write(document))
    change(document)
    with pytest.raises(ValueError, match="a booster cannot hold these"):
        check_booster(write(document))


def list_keys(part: object, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """List where each key of a document stands; of lists, such as trees, only the first entry is followed."""
    if isinstance(part, dict):
        for key, inner in part.items():
            yield (*place, key)
            yield from list_keys(inner, (*place, key))
    elif isinstance(part, list) and part:
        yield from list_keys(part[0], (*place, 0))


def test_every_key_is_needed_by_its_name_and_with_a_value_of_its_kind(boosters):
    document = read_ubjson(boosters["xgboost"].read_bytes())
    places = [place for place in list_keys(document) if place[-1] != "cats" and "attributes" not in place]
    assert ("learner", "gradient_booster", "model", "gbtree_model_param", "num_trees") in places
    for *above, key in places:
        for change in (-7, "x", {}, [[]], "renamed"):
            changed = copy.deepcopy(document)
            part = reduce(lambda inner, step: inner[step], above, changed)
            part["\0" + str(key) if change == "renamed" else key] = part.pop(key) if change == "renamed" else change
            with pytest.raises(ValueError, match="a booster cannot hold these"):
                check_booster(write(changed))


def test_a_chain_of_nodes_that_recursion_could_not_follow_is_refused(boosters):
    document = read_ubjson(boosters["xgboost"].read_bytes())
    model = document["learner"]["gradient_booster"]["model"]
    depth = DEEPEST_TREE + 1
    n = 2 * depth + 1
    left, right, parents = np.full(n, -1), np.full(n, -1), np.full(n, 2**31 - 1)
    node = 0
    for level in range(depth):
        left[node], right[node] = 2 * level + 1, 2 * level + 2
        parents[[left[node], right[node]]] = node
        node = right[node]
    tree = copy.deepcopy(model["trees"][0])
    for name, values in {"left_children": left, "right_children": right, "parents": parents}.items():
        tree[name] = Numbers(">i4", n, values.astype(">i4").tobytes())
    for name in ("base_weights", "loss_changes", "split_conditions"):
        tree[name] = Numbers(">f4", n, bytes(4 * n))
    tree["sum_hessian"] = Numbers(">f4", n, np.ones(n, ">f4").tobytes())
    tree["split_indices"] = Numbers(">i4", n, bytes(4 * n))
    tree["default_left"] = tree["split_type"] = Numbers("u1", n, bytes(n))
    tree["tree_param"]["num_nodes"] = str(n)
    model["trees"] = [tree]
    model["gbtree_model_param"]["num_trees"] = "1"
    model["iteration_indptr"], model["tree_info"] = [0, 1], [0]
    with pytest.raises(ValueError, match="depth"):
        check_booster(write(document))


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"}", b"{}", b"[" * 5_000, b"{L" + length(-1), b"{L" + length(2**62) + b"a", b'{"learner": {}}'],
    ids=range(8),
)
def test_what_is_no_ubjson_is_refused(raw):
    with pytest.raises(ValueError, match=r"\w"):
        check_booster(raw)


def test_a_key_that_stands_twice_and_bytes_behind_the_end_are_refused(boosters):
    with pytest.raises(ValueError, match="bytes follow"):
        read_ubjson(boosters["xgboost"].read_bytes() + b" ")
    key = b"L" + length(1) + b"a"
    with pytest.raises(ValueError, match="twice"):
        read_ubjson(b"{" + key + b"i\x01" + key + b"i\x02}")


@given(data=st.data())
@settings(max_examples=150)
def test_changed_bytes_are_refused_or_are_a_booster_with_finite_answers(boosters, data):
    kind = data.draw(st.sampled_from(sorted(boosters)))
    raw = bytearray(boosters[kind].read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        check_booster(bytes(raw))
    except ValueError:
        return
    try:
        model = read_kind(kind, bytes(raw))
    except Exception:
        assert kind == "boosted_logistic"
        return
    trees = model if kind == "xgboost" else model.trees
    matrix = np.random.default_rng(1).normal(size=(20, trees.booster.num_features()))
    matrix[3:6] = [[np.nan], [1e30], [-1e30]]
    assert np.isfinite(trees.linear_predictor(matrix)).all()
    assert np.isfinite(trees.contributions(matrix)[1]).all()
