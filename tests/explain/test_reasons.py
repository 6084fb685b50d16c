"""Reasons: known values with a certain sign, and what is unknown apart, with how far it could move the answer."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri

from paincast.cohort.tables import conform
from paincast.explain import Explanation, explain_model, find_certain, list_missing, list_reasons
from paincast.models.continuous.change import fit_change_model
from paincast.models.continuous.response import make_change_response
from paincast.settings import ChangeSettings

NAMES = ("odi", "age_years", "bmi", "depression", "smoker")
SIZES = st.lists(
    st.tuples(st.sampled_from([-0.4, -0.1, 0.0, 0.2, 0.5]), st.booleans(), st.booleans()),
    min_size=len(NAMES),
    max_size=len(NAMES),
)


def explain(rows: list[list[tuple[float, bool, bool]]]) -> tuple[Explanation, np.ndarray]:
    """Explain patients by size of each contribution, whether its value is known, and whether its sign is certain."""
    values = [[30.0 if known else None for _, known, _ in row] for row in rows]
    shown = Explanation(
        base=np.zeros(len(rows)),
        contributions=pd.DataFrame([[size for size, _, _ in row] for row in rows], columns=list(NAMES)),
        values=pd.DataFrame(values, columns=list(NAMES), dtype="Float64"),
    )
    return shown, np.array([[certain for _, _, certain in row] for row in rows])


@given(st.lists(SIZES, min_size=1, max_size=6))
def test_a_reason_is_known_and_certain_and_the_strongest_come_first(rows):
    explanation, certain = explain(rows)
    for row, upward, downward in zip(rows, *list_reasons(explanation, certain), strict=True):
        by_name = dict(zip(NAMES, row, strict=True))
        for told, sign in ((upward, 1.0), (downward, -1.0)):
            sizes = [sign * float(reason["log_odds"]) for reason in told]
            assert sizes == sorted(sizes, reverse=True)
            assert all(size > 0 for size in sizes)
            assert all(by_name[str(reason["variable"])][1:] == (True, True) for reason in told)
            candidates = [sign * size for size, known, sure in row if known and sure and sign * size > 0]
            assert len(told) == min(3, len(candidates))


@given(st.lists(SIZES, min_size=1, max_size=6), st.sampled_from([0.8, 0.9]))
def test_the_unknown_is_listed_with_how_far_it_could_move_the_answer(rows, level):
    explanation, _ = explain(rows)
    variances = {"odi": 0.04, "age_years": 0.25, "bmi": 0.0, "depression": 0.01}
    for row, listed in zip(rows, list_missing(explanation, variances, level), strict=True):
        unknown = {name for name, (_, known, _) in zip(NAMES, row, strict=True) if not known}
        assert {item["variable"] for item in listed} == unknown & {"odi", "age_years", "depression"}
        for item in listed:
            expected = ndtri(0.5 + level / 2) * np.sqrt(variances[str(item["variable"])])
            assert item["log_odds"] == pytest.approx(expected, abs=1e-6)
        sizes = [item["log_odds"] for item in listed]
        assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize(("agreeing", "told"), [(9, True), (8, False)])
def test_a_sign_is_certain_if_nine_in_ten_refits_share_it(agreeing, told):
    explanation, _ = explain([[(0.3, True, True)] * len(NAMES)])
    parts = [np.full((1, len(NAMES)), 0.2 if place < agreeing else -0.1) for place in range(10)]
    response = SimpleNamespace(
        shows_reasons=True,
        effect_weight=1.0,
        encoder=SimpleNamespace(owners=list(NAMES)),
        refit_contributions=lambda _: ((np.zeros(1), part) for part in parts),
    )
    assert find_certain(response, explanation.values, explanation).tolist() == [[told] * len(NAMES)]


def test_without_refits_nothing_is_held_back():
    explanation, _ = explain([[(0.3, True, True)] * len(NAMES)])
    response = SimpleNamespace(
        shows_reasons=True,
        effect_weight=1.0,
        encoder=SimpleNamespace(owners=list(NAMES)),
        refit_contributions=lambda _: iter(()),
    )
    assert find_certain(response, explanation.values, explanation).all()


def test_a_change_of_pain_tells_what_moves_it_and_what_is_unknown():
    rng = np.random.default_rng(3)
    n = 300
    before, odi, smoker = rng.integers(4, 11, n).astype(float), rng.normal(40, 12, n).clip(0, 100), rng.random(n) < 0.3
    episodes = conform(
        "episodes",
        pd.DataFrame(
            {
                "episode_id": [f"e{i}" for i in range(n)],
                "patient_id": [f"p{i}" for i in range(n)],
                "technique": "facet_rfa",
                "indication": "lumbar_facet",
                "pain_nrs": before,
                "odi": np.where(rng.random(n) < 0.2, np.nan, odi),
                "smoker": smoker,
            }
        ),
    )
    change = -(0.5 - 0.012 * (odi - 40)) * before + rng.normal(0, 0.5, n)
    model = fit_change_model(episodes, change, ChangeSettings(), np.random.default_rng(1), refits=12)
    assert len(model.medians) == 12
    response = make_change_response(model, episodes, np.ones(n))
    explanation = explain_model(response, episodes)
    for base, parts in response.refit_contributions(episodes):
        assert np.isfinite(base + parts.sum(axis=1)).all()
    certain = pd.DataFrame(find_certain(response, episodes, explanation), columns=explanation.contributions.columns)
    far = (episodes["odi"] - 40).abs() > 10
    assert certain.loc[far.fillna(False).to_numpy(bool), "odi"].mean() > 0.95
    assert certain["smoker"].mean() < 0.8
    [patient] = np.flatnonzero(episodes["odi"].isna())[:1]
    scale = response.missing_scale(episodes)
    listed = list_missing(explanation, response.missing_variances, 0.9, scale=scale)[patient]
    assert listed[0]["variable"] == "odi"
    per_point = 1.645 * 0.012 * 12
    assert float(listed[0]["points"]) == pytest.approx(per_point * before[patient], rel=0.35)
    assert all(reason["variable"] != "odi" for reason in list_reasons(explanation)[0][patient])


@pytest.mark.parametrize("weight", [0.5, 0.74, 0.95])
def test_the_sign_is_asked_given_that_values_matter(weight):
    """Contributions are 0 as often as a model believes that no value matters, else normal, whose sign counts."""
    rng = np.random.default_rng(8)
    means, sds = np.array([0.5, 0.5, -0.4, 0.05]), np.array([0.30, 0.45, 0.25, 0.3])
    drawn = np.where(rng.random((200_000, 1)) < weight, means + sds * rng.standard_normal((200_000, 4)), 0.0)
    # As a bundle keeps it: 32 draws with the mean and the variance of all.
    few = rng.standard_normal((32, 4))
    few = (few - few.mean(axis=0)) / few.std(axis=0) * drawn.std(axis=0) + drawn.mean(axis=0)
    names = ["age_years", "bmi", "odi", "pain_nrs"]
    served = pd.DataFrame([drawn.mean(axis=0)], columns=names)
    explanation = Explanation(base=np.zeros(1), contributions=served, values=served)
    response = SimpleNamespace(
        shows_reasons=True,
        effect_weight=weight,
        encoder=SimpleNamespace(owners=names),
        refit_contributions=lambda _: ((np.zeros(1), row[None, :]) for row in few),
    )
    certain = find_certain(response, served, explanation)[0]
    np.testing.assert_array_equal(certain, ndtr(np.abs(means) / sds) >= 0.9)
    assert certain.tolist() == [True, False, True, False]


def test_a_model_without_skill_gives_no_reasons():
    explanation, _ = explain([[(0.3, True, True)] * len(NAMES)])
    assert not find_certain(SimpleNamespace(shows_reasons=False), explanation.values, explanation).any()
