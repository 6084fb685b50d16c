"""Check the bytes of a stored booster before XGBoost reads them, which trusts lengths and indices as they stand.

Only what this package writes passes: trees of one output on the log odds, without categories, whose nodes refer to
nodes and columns that exist. Which columns those are is held against the encoder where a bundle is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from paincast.models.ubjson import Numbers, read_ubjson

OLDEST = [1, 6, 0]
"""Version of XGBoost from which boosters have today's form."""

MOST_TREES = 100_000
DEEPEST_TREE = 128
ROUNDING = 1.001
LARGEST = 1e9
"""Largest absolute value of a leaf, a threshold or a statistic of a node."""

_TREE: Mapping[str, str] = {
    "base_weights": ">f4",
    "default_left": "u1",
    "left_children": ">i4",
    "loss_changes": ">f4",
    "parents": ">i4",
    "right_children": ">i4",
    "split_conditions": ">f4",
    "split_indices": ">i4",
    "split_type": "u1",
    "sum_hessian": ">f4",
}
"""Arrays of a tree with one entry for each node, and their kind of number."""

_EMPTY: tuple[Any, ...] = ([], Numbers(">f4", 0, b""), Numbers(">i4", 0, b""), Numbers(">i8", 0, b""))
_CATEGORIES = ("categories", "categories_nodes", "categories_segments", "categories_sizes")
_TABLES_OF_CATEGORIES = ("enc", "feature_segments", "sorted_idx")
_TREE_KEYS = {*_TREE, *_CATEGORIES, "id", "tree_param"}
_PARAMETERS = {"num_deleted", "num_feature", "num_nodes", "size_leaf_vector"}
_NAMES = ("feature_names", "feature_types")
_LEARNER = {*_NAMES, "attributes", "gradient_booster", "learner_model_param", "objective"}
_LEAF = -1


def check_booster(raw: bytes) -> None:
    """Check the bytes of a booster in UBJ.

    Parameters
    ----------
    raw : bytes
        As ``Booster.save_raw("ubj")`` gives them.

    Raises
    ------
    ValueError
        If they are not a booster of this package; the message holds nothing of it.
    """
    document = read_ubjson(raw)
    _require(isinstance(document, dict) and document.keys() == {"learner", "version"}, "document")
    version = _list_integers(document["version"])
    _require(len(version) == 3 and version >= OLDEST and max(version) < 1000, "version")
    learner = document["learner"]
    _require(isinstance(learner, dict) and learner.keys() == _LEARNER, "learner")
    _require(all(learner[name] in _EMPTY for name in _NAMES), "names")
    attributes = learner["attributes"]
    _require(isinstance(attributes, dict) and all(isinstance(text, str) for text in attributes.values()), "attributes")
    objective = learner["objective"]
    _require(objective == {"name": "binary:logistic", "reg_loss_param": {"scale_pos_weight": "1"}}, "objective")
    booster = learner["gradient_booster"]
    _require(isinstance(booster, dict) and booster.keys() == {"model", "name"}, "booster")
    _require(booster["name"] == "gbtree", "kind of booster")
    _check_model(booster["model"], _read_features(learner["learner_model_param"]))


def _read_features(parameters: Any) -> int:
    """Check the parameters of a learner; return its number of columns."""
    known = {"base_score", "boost_from_average", "num_class", "num_feature", "num_target"}
    _require(isinstance(parameters, dict) and parameters.keys() == known, "parameters")
    _require(parameters["num_class"] == "0" and parameters["num_target"] == "1", "outputs")
    _require(parameters["boost_from_average"] in ("0", "1"), "parameters")
    base = _read_score(parameters["base_score"])
    _require(isfinite(base) and 0 < base < 1, "base score")
    return _read_count(parameters["num_feature"])


def _check_model(model: Any, n_features: int) -> None:
    known = {"gbtree_model_param", "iteration_indptr", "tree_info", "trees"}
    _require(isinstance(model, dict) and model.keys() - {"cats"} == known, "model")
    if "cats" in model:
        cats = model["cats"]
        _require(isinstance(cats, dict) and cats.keys() == {*_TABLES_OF_CATEGORIES}, "categories")
        _require(all(cats[name] in _EMPTY for name in _TABLES_OF_CATEGORIES), "categories")
    trees, parameters = model["trees"], model["gbtree_model_param"]
    _require(isinstance(parameters, dict) and parameters.keys() == {"num_parallel_tree", "num_trees"}, "trees")
    n = _read_count(parameters["num_trees"])
    _require(isinstance(trees, list) and len(trees) == n <= MOST_TREES, "trees")
    _require(parameters == {"num_parallel_tree": "1", "num_trees": str(n)}, "trees")
    _require(_list_integers(model["iteration_indptr"]) == [*range(n + 1)], "iterations")
    _require(_list_integers(model["tree_info"]) == [0] * n, "outputs")
    if n:
        sizes = [_check_tree(tree, number, str(n_features)) for number, tree in enumerate(trees)]
        nodes = {name: _read_all([tree[name] for tree in trees]) for name in _TREE}
        _check_nodes(nodes, np.array(sizes), n_features)


def _list_integers(values: Any) -> list[int]:
    """List whole numbers, which are written as an array of one type or one by one."""
    if isinstance(values, Numbers):
        values = np.frombuffer(values.raw, values.kind).tolist()
    _require(isinstance(values, list) and all(type(value) is int for value in values), "arrays")
    listed: list[int] = values
    return listed


def _read_all(parts: list[Any]) -> npt.NDArray[Any]:
    """Read arrays of the same kind of number as one."""
    _require(all(isinstance(part, Numbers) for part in parts), "arrays")
    return np.frombuffer(b"".join(part.raw for part in parts), parts[0].kind)


def _check_tree(tree: Any, number: int, n_features: str) -> int:
    """Check the arrays of a tree; return its number of nodes."""
    _require(isinstance(tree, dict) and tree.keys() == _TREE_KEYS, "tree")
    _require(type(tree["id"]) is int and tree["id"] == number, "tree")
    parameters = tree["tree_param"]
    _require(isinstance(parameters, dict) and parameters.keys() == _PARAMETERS, "tree")
    n = _read_count(parameters["num_nodes"])
    _require(n > 0 and parameters["num_deleted"] == "0" and parameters["size_leaf_vector"] in ("0", "1"), "tree")
    _require(parameters["num_feature"] == n_features, "columns")
    arrays = [tree[name] for name in _TREE]
    _require({*map(type, arrays)} == {Numbers}, "tree")
    _require([(array[0], array[1]) for array in arrays] == [(kind, n) for kind in _TREE.values()], "tree")
    _require(all(tree[name] in _EMPTY for name in _CATEGORIES), "categories")
    return n


def _check_nodes(nodes: Mapping[str, npt.NDArray[Any]], sizes: npt.NDArray[np.intp], n_features: int) -> None:
    """Check the nodes of all trees together, one tree after the other."""
    left, right = nodes["left_children"].astype(np.int64), nodes["right_children"].astype(np.int64)
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    number = np.arange(len(left)) - starts
    ends = np.repeat(sizes, sizes)
    is_split = left != _LEAF
    _require(np.array_equal(is_split, right != _LEAF), "children")
    for children in (left, right):
        # A child has a higher number than its parent, so that no path comes back.
        _require(bool(np.all(~is_split | ((children > number) & (children < ends)))), "children")
    children = np.concatenate([(left + starts)[is_split], (right + starts)[is_split]])
    _require(len(np.unique(children)) == len(children) == len(left) - len(sizes), "children")
    parents = np.concatenate([number[is_split], number[is_split]])
    _require(np.array_equal(nodes["parents"][children], parents), "parents")
    used = nodes["split_indices"][is_split]
    _require(bool(np.all((used >= 0) & (used < n_features))), "columns")
    _require(not nodes["split_type"].any() and bool(np.all(nodes["default_left"] <= 1)), "splits")
    for name in ("split_conditions", "sum_hessian", "base_weights", "loss_changes"):
        _require(bool(np.all(np.abs(nodes[name]) <= LARGEST)), "numbers")  # NaN is not
    # SHAP values weigh each branch by its share of the cover, which holds that of its children.
    cover = nodes["sum_hessian"].astype(float)
    _require(bool(np.all(cover >= 0) and np.all(cover[is_split] > 0)), "covers")
    for place in ((left + starts)[is_split], (right + starts)[is_split]):
        _require(bool(np.all(cover[place] <= ROUNDING * cover[is_split])), "covers")
    _require_shallow(np.stack([left + starts, right + starts], axis=1)[is_split], is_split)


def _require_shallow(children: npt.NDArray[np.int64], is_split: npt.NDArray[np.bool_]) -> None:
    """Require that no path is longer than any that is fitted: each pass goes one level down."""
    rows = np.cumsum(is_split) - 1
    is_root = np.ones(len(is_split), dtype=bool)
    is_root[children] = False
    level = np.flatnonzero(is_root)
    for _ in range(DEEPEST_TREE):
        level = children[rows[level[is_split[level]]]].ravel()
        if not len(level):
            return
    _require(False, "depth")


def _read_count(text: Any) -> int:
    _require(isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 10, "counts")
    return int(text)


def _read_score(text: Any) -> float:
    """Read a number, alone or as a list of one; anything else is none."""
    try:
        return float(text.removeprefix("[").removesuffix("]")) if isinstance(text, str) and len(text) < 30 else np.nan
    except ValueError:  # whose message would hold the text
        return np.nan


def _require(fits: bool, what: str) -> None:
    if not fits:
        raise ValueError(f"a booster cannot hold these {what}")
