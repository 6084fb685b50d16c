"""Weights order options as stated and move it where they say; a prognosis orders nothing; costs follow from prices."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paincast.errors import RefusalError
from paincast.planning.contents import Expected
from paincast.planning.cost import DELTA, NO_INTERVAL, compute_costs
from paincast.planning.expected import PAIN
from paincast.planning.figures import Figure
from paincast.planning.planner import plan
from paincast.planning.preferences import BY_CONTRAST, SCALES, Preferences, Weights, order_options
from paincast.planning.stated import NO_CONTRAST, read_contrast, read_prices

OPTIONS = ("joint_injection", "genicular_rfa", "genicular_artery_embolization")
CONTRAST = {
    "reference": "joint_injection",
    "passed": True,
    "indications": ["knee_osteoarthritis"],
    "month": 6,
    "basis": "real",
    "n": 5000,
    "contrasts": {
        "genicular_rfa": {"relief": [0.2, 0.1, 0.3]},
        "genicular_artery_embolization": {"relief": [0.1, -0.05, 0.25]},
    },
}
KNEE = {"indication": "knee_osteoarthritis", "active_infection": False}


def make_figure(value: float | None, unit: str = "visits", **more: Any) -> Figure:
    return Figure(name="x", unit=unit, basis="stated", validation="none", value=value, **more)


def order(weights: dict[str, float], **figures: tuple[float | None, ...]) -> Preferences:
    held = {name: {o: make_figure(v) for o, v in zip(OPTIONS, row, strict=True)} for name, row in figures.items()}
    return order_options(OPTIONS, held, Weights(weights=weights), {})


VALUES = st.tuples(*[st.floats(0.0, 20.0)] * 3)
WEIGHTS = st.floats(0.0, 10.0)


@given(visits=VALUES, cost=VALUES, weights=st.tuples(WEIGHTS, WEIGHTS))
def test_a_move_is_where_neighbours_are_equal(visits: Any, cost: Any, weights: tuple[float, float]) -> None:
    given_weights = {"visits": weights[0] + 0.1, "cost": weights[1]}
    ordered = order(given_weights, visits=visits, cost=cost)
    values = {item.technique: item.value for item in ordered.utilities}
    assert [values[name] for name in ordered.order] == sorted(values.values(), reverse=True)
    assert [item.technique for item in ordered.utilities] == list(OPTIONS)
    for move in ordered.moves:
        if move.to is not None:
            moved = order({**given_weights, move.name: move.to}, visits=visits, cost=cost)
            at = {item.technique: item.value for item in moved.utilities}
            assert at[move.above] == pytest.approx(at[move.below], abs=1e-6 * (1.0 + abs(move.to)))


@given(visits=VALUES, cost=VALUES, weight=WEIGHTS, more=st.floats(0.0, 5.0))
def test_more_weight_never_harms_who_is_better_in_it(visits: Any, cost: Any, weight: float, more: float) -> None:
    def lead(weighted: float) -> float:
        utilities = order({"visits": weighted, "cost": 1.0}, visits=visits, cost=cost).utilities
        return utilities[0].value - utilities[1].value

    gain = lead(weight + more) - lead(weight)
    assert gain * (visits[1] - visits[0]) >= -1e-9


def test_equal_options_stand_in_the_fixed_order() -> None:
    assert order({"visits": 1.0}, visits=(5, 5, 5)).order == OPTIONS
    assert order({"visits": 1.0}, visits=(9, 5, 5)).order == (*OPTIONS[1:], OPTIONS[0])


def test_a_component_that_is_not_known_of_all_has_no_say() -> None:
    ordered = order({"visits": 1.0, "cost": 9.0}, visits=(3, 2, 1), cost=(1, 2, None))
    assert ordered.order == OPTIONS[::-1]
    assert ordered.left_out == {"cost": "not known of genicular_artery_embolization"}
    alone = order({"cost": 9.0}, cost=(3, 2, None))
    assert (alone.status, alone.order) == ("fixed", OPTIONS)
    mixed = {"cost": {o: make_figure(1.0, unit) for o, unit in zip(OPTIONS, ("EUR", "GBP", "EUR"), strict=True)}}
    assert "EUR, GBP" in order_options(OPTIONS, mixed, Weights(weights={"cost": 1.0}), {}).left_out["cost"]


def test_the_utility_is_the_sum_of_its_visible_components() -> None:
    ordered = order({"visits": 2.0, "cost": 1.0}, visits=(3, 2, 1), cost=(1, 2, 3))
    for utility in ordered.utilities:
        assert utility.value == pytest.approx(sum(item.weight * item.value for item in utility.components))
        assert {item.name for item in utility.components} == {"visits", "cost"}


@pytest.mark.parametrize("component", BY_CONTRAST)
def test_a_prognosis_never_orders(component: str) -> None:
    made = plan(KNEE, preferences={"weights": {component: 5}})
    assert made.preferences is not None
    assert (made.preferences.status, made.preferences.order) == ("fixed", OPTIONS)
    assert made.preferences.left_out == {component: NO_CONTRAST}


def test_relief_orders_by_a_contrast_that_passed(tmp_path: Path) -> None:
    file = tmp_path / "comparison.json"
    file.write_text(json.dumps(CONTRAST), encoding="utf-8")
    made = plan(KNEE, month=6, preferences={"weights": {"relief": 5}}, comparison=file)
    assert made.preferences is not None
    assert made.preferences.order == ("genicular_rfa", "genicular_artery_embolization", "joint_injection")
    assert "not certain" in made.preferences.because
    [component] = [item for item in made.preferences.utilities[1].components if item.name == "relief"]
    assert (component.figure.n, component.figure.basis, component.figure.lower) == (5000, "real", 0.1)
    refused = plan(KNEE, preferences={"weights": {"relief": 5}}, comparison={"passed": False, "because": "overlap"})
    assert refused.preferences is not None
    assert refused.preferences.order == OPTIONS
    assert "overlap" in refused.preferences.left_out["relief"]


class Compared:
    """Stands in for the comparison of the room of effects."""

    def __init__(self, outcome: str, *, passed: bool) -> None:
        names = ("joint", "ablation")
        strategies = [
            SimpleNamespace(name=name, technique=technique, approaches=())
            for name, technique in zip(names, OPTIONS, strict=False)
        ]
        self.trial = SimpleNamespace(
            outcome=SimpleNamespace(name=outcome),
            strategies=strategies,
            month=6.0,
            question="which",
            indications=("knee_osteoarthritis",),
            conditions=(),
        )
        self.basis, self.passed = "real", passed

    @property
    def contrasts(self) -> pd.DataFrame:
        if not self.passed:
            raise RefusalError("preference score: 0.10, at least 0.40 is needed", code="PC-EFFECTS-04")
        told = {"strategy": "ablation", "reference": "joint", "estimate": 0.2, "lower": 0.1, "upper": 0.3, "n": 4000}
        return pd.DataFrame([{**told, "population": name} for name in ("all analysed patients", "in equipoise")])


def test_a_comparison_of_effects_is_read() -> None:
    contrast = read_contrast(Compared("pain_response", passed=True))
    assert contrast.figures["relief"]["genicular_rfa"].value == 0.2
    assert contrast.figures["relief"]["joint_injection"].value == 0.0
    assert "preference score" in read_contrast(Compared("pain_response", passed=False)).refusal
    assert not read_contrast(Compared("satisfaction", passed=True)).figures


def test_the_clinic_states_recovery_and_ranges() -> None:
    days = {name: {"days": 1 + place, "source": "our ward", "year": 2026} for place, name in enumerate(OPTIONS)}
    made = plan(
        KNEE,
        preferences={
            "weights": {"recovery": 1},
            "recovery": days,
            "ranges": {"recovery": {"worst": 10, "best": 0}},
        },
    )
    assert made.preferences is not None
    assert made.preferences.order == OPTIONS
    [component] = [item for item in made.preferences.utilities[0].components if item.name == "recovery"]
    assert (component.value, component.figure.basis) == (pytest.approx(0.9), "stated")
    assert set(SCALES) >= {"recovery", "cost", *BY_CONTRAST}


RESPONSE = Expected(
    outcome=PAIN, figure=make_figure(0.5, "share", lower=0.4, upper=0.6, confidence=0.95, month=3.0, n=100)
)
PRICES = {"prices": {"facet_rfa": {"amount": 1000, "lower": 900, "upper": 1100, "currency": "EUR", "year": 2025}}}


def make_prices(**more: Any) -> dict[str, Any]:
    return {"prices": {"facet_rfa": {**PRICES["prices"]["facet_rfa"], "source": "our ward", **more}}}


def test_the_cost_per_responder_has_the_interval_of_both() -> None:
    price = read_prices(make_prices())["facet_rfa"]
    stated, per_responder, per_qaly = compute_costs(price, [RESPONSE])
    assert (stated.value, stated.unit, stated.basis) == (1000.0, "EUR of 2025", "stated")
    assert per_responder.value == pytest.approx(2000.0)
    assert per_responder.interval == DELTA
    rng = np.random.default_rng(1)
    logs = rng.normal([math.log(1000), math.log(0.5)], [math.log(11 / 9) / 3.92, math.log(1.5) / 3.92], (200_000, 2))
    ends = np.quantile(np.exp(logs[:, 0] - logs[:, 1]), [0.025, 0.975])
    assert [per_responder.lower, per_responder.upper] == pytest.approx(ends, rel=0.01)
    assert per_qaly.value is None
    assert "no gain" in per_qaly.note


def test_an_interval_of_another_confidence_is_taken_for_what_it_is() -> None:
    """Ends of 90 % are nearer than those of 95 %: the same ends stand for more spread."""
    price = read_prices(make_prices())["facet_rfa"]
    widths = []
    for confidence in (0.9, 0.95):
        response = replace(RESPONSE, figure=replace(RESPONSE.figure, confidence=confidence))
        cost = compute_costs(price, [response])[1]
        assert (cost.confidence, cost.lower is not None, cost.upper is not None) == (0.95, True, True)
        widths.append(math.log((cost.upper or 0.0) / (cost.lower or 1.0)))
    exact = [2 * 1.96 * math.hypot(math.log(11 / 9) / 3.92, math.log(1.5) / (2 * z)) for z in (1.6449, 1.96)]
    assert widths == pytest.approx(exact, rel=1e-4)


def test_a_figure_without_interval_gives_none() -> None:
    price = read_prices(make_prices())["facet_rfa"]
    bare = replace(RESPONSE, figure=replace(RESPONSE.figure, lower=None, upper=None))
    assert compute_costs(price, [bare])[1].interval == NO_INTERVAL
    assert compute_costs(price, [bare])[1].confidence is None
    assert [figure.name for figure in compute_costs(price, [])] == ["price of one procedure", "cost per QALY"]
    silent = replace(RESPONSE, figure=replace(RESPONSE.figure, value=None))
    assert compute_costs(price, [silent])[1].value is None


@pytest.mark.parametrize(("gain", "cost"), [((0.1, 0.05, 0.2), 10_000.0), ((0.1, -0.05, 0.2), None)])
def test_a_quality_adjusted_year_costs_only_where_there_is_a_gain(gain: Any, cost: float | None) -> None:
    told = {**dict(zip(("gain", "lower", "upper"), gain, strict=True)), "months": 12, "against": "usual care"}
    price = read_prices(make_prices(quality_adjusted_years={**told, "source": "a trial", "year": 2024}))["facet_rfa"]
    per_qaly = compute_costs(price, [RESPONSE])[-1]
    assert per_qaly.value == (None if cost is None else pytest.approx(cost))


def test_unknown_prices_stay_unknown_and_shipped_ones_are_published() -> None:
    made = plan({"indication": "lumbar_radicular_disc", "active_infection": False})
    by_technique = {item.technique: item.costs for item in made.techniques}
    epidural = {figure.name: figure for figure in by_technique["epidural_steroid_injection"]}
    assert epidural["price of one procedure"].source == ("whynes2012",)
    assert epidural["cost per responder, caudal"].lower is not None
    root_block = {figure.name: figure for figure in by_technique["nerve_root_block"]}
    assert root_block["cost per responder"].value is None
    assert "--prices" in root_block["cost per responder"].note
