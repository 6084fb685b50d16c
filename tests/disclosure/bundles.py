"""What a bundle of a model of real patients counts is attacked: shares and means times the number it was trained on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attack import FEW

EXACT = 1e-6
THREE_VALUED = ("diagnostic_blocks_positive",)


def is_count_of_few(share: float, n: int) -> bool:
    """Say whether a share times n is 1 to 4, or 1 to 4 less than n, to the nearest whole number."""
    count = round(share * n)
    return count in FEW or n - count in FEW


def attack_variables(variables: Iterable[Mapping[str, Any]], numbers: set[int]) -> Iterator[str]:
    """Multiply shares of categories, and the share of yes, with each number of patients that is told."""
    for variable in variables:
        told = {"share": list(variable["shares"])}
        if variable["kind"] == "boolean":
            told["centre"] = [variable["centre"]]
        for name, shares in told.items():
            for n in numbers:
                few = [share for share in shares if share < 1 and is_count_of_few(share, n)]
                # That a level is there is told by its name: a share of none would say that they are one or two.
                none = [share for share in shares if len(shares) > 1 and round(share * n) == 0]
                if few or none:
                    yield f"{variable['name']}: {name} {few or none} of {n}"


def attack_moments(variables: Iterable[Mapping[str, Any]], n: int) -> Iterator[str]:
    """Solve mean and spread of a number of which 0, 1 and 2 are seen for those who have 2."""
    for variable in variables:
        if variable["name"] not in THREE_VALUED or not variable["varies"]:
            continue
        digits = 0.5 * 10.0 ** -len(repr(variable["centre"]).partition(".")[2]) + 1e-9
        reach = 0.5 * 10.0 ** -len(repr(variable["scale"]).partition(".")[2]) + 1e-9
        solved = {
            two
            for two in range(n + 1)
            for one in range(n + 1 - two)
            if abs((mean := (one + 2 * two) / n) - variable["centre"]) <= digits
            and abs(math.sqrt(max((one + 4 * two) / n - mean**2, 0.0)) - variable["scale"]) <= reach
        }
        if solved and solved <= FEW:
            yield f"{variable['name']}: {solved} have 2"


def list_flags(variables: Iterable[Mapping[str, Any]]) -> list[tuple[str, bool]]:
    """Name each encoded column, and tell whether its mean is a share."""
    flags: list[tuple[str, bool]] = []
    for variable in variables:
        if not variable["varies"]:
            continue
        name, kind = variable["name"], variable["kind"]
        own = [f"{name}={level}" for level in variable["levels"]] if kind == "category" else [name]
        flags += [(one, kind != "number") for one in own]
        flags += [(f"{name}~", False)] * len(variable["bends"])
        flags += [(f"{name}=0", True)] * variable["marks_zero"] + [(f"{name}=missing", True)] * variable[
            "marks_missing"
        ]
    return flags


def attack_means(means: list[float], flags: list[tuple[str, bool]], n: int) -> Iterator[str]:
    """Multiply the mean of each flag with n."""
    for mean, (name, is_flag) in zip(means, flags, strict=True):
        if is_flag and is_count_of_few(mean, n):
            yield f"mean of {name}: {mean} of {n}"


def attack_variances(state: Mapping[str, Any], n: int) -> Iterator[str]:
    """Divide the variance of what a yes/no adds by its coefficient squared: a share times the share of the others."""
    model = state["models"][0]
    if model["kind"] != "logistic":
        return
    flags = list_flags(state["encoder"]["variables"])
    for (name, _), coefficient in zip(flags, model["coefficients"], strict=True):
        variance = state["heterogeneity"]["missing"].get(name)
        kinds = {one["name"]: one["kind"] for one in state["encoder"]["variables"]}
        if kinds.get(name) == "boolean" and variance and abs(coefficient) > EXACT:
            product = variance / coefficient**2
            share = 0.5 - math.sqrt(max(0.25 - product, 0.0))
            if is_count_of_few(share, n):
                yield f"variance of {name}: {share * n} of {n}"


def attack_trees(booster: Mapping[str, Any], base: float) -> Iterator[str]:
    """Divide the covers of the first tree, in which every patient weighs the same, by what one of them adds."""
    tree = booster["learner"]["gradient_booster"]["model"]["trees"][0]
    for node, cover in enumerate(tree["sum_hessian"]):
        counts = {round((cover + reach) / (base * (1 - base))) for reach in (-0.5, 0.5)} if cover % 1.25 == 0 else set()
        counts = counts or {round(cover / (base * (1 - base)))}
        if counts <= FEW:
            yield f"cover of node {node}: {counts}"
    if any(tree["loss_changes"]) or any(tree["base_weights"]):
        yield "gains and weights of nodes"


def find_bundle_leaks(state: Mapping[str, Any]) -> list[str]:
    """Attack a bundle as it was written."""
    response = state.get("duration") or state.get("change") or state
    inner = response.get("model", response)
    variables = inner["encoder"]["variables"]
    numbers = {int(state["n_training"]), int(state["n_real"])}
    # Published evidence and patients together are encoded on simulated patients, of whom any count may be known.
    is_real = state.get("basis", "real") == "real"
    found = [*attack_variables(variables, numbers)] if is_real else []
    flags = list_flags(variables)
    n = int(state["n_training"])
    if is_real and all(one["kind"] == "logistic" for one in state.get("models", ())) and "heterogeneity" in state:
        found += attack_moments(variables, n)
    means = [one["means"] for one in state.get("models", ()) if one["kind"] == "logistic"]
    means += [response["means"]] if "means" in response else []
    for one in means:
        found += attack_means(one, flags, n)
    if "heterogeneity" in state:
        found += attack_variances(state, n)
    return found
