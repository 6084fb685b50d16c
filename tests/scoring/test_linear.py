"""The core scores linear models: the same digits in any block, compiled or not, and those of the model itself."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paincast.explain import explain_model, find_certain, list_reasons
from paincast.predictor.answering.plan import plan_linear
from paincast.scoring.linear import LinearScore, measure_distance, score_linear, unpack_far
from paincast.scoring.linear_compiled import BLOCK_ROWS
from paincast.scoring.linear_plain import FARTHEST_SCORE
from paincast.scoring.patients import Patients

WEIGHTS = (1.0, 0.7)


def to_patients(episodes) -> Patients:
    return Patients(pa.Table.from_pandas(episodes, preserve_index=False))


def assert_same(one: LinearScore, other: LinearScore) -> None:
    for name in LinearScore._fields:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 3 * BLOCK_ROWS), most=st.integers(0, 5), data=st.data())
@pytest.mark.parametrize("weight", WEIGHTS)
def test_digits_do_not_depend_on_the_path_the_block_or_the_order(
    response_maker, episode_maker, weight, seed, n, most, data
):
    plan = plan_linear(response_maker(seed % 7, weight=weight))
    patients = to_patients(episode_maker(seed, n, missing=data.draw(st.sampled_from([0.0, 0.1, 0.6, 1.0]))))
    whole = score_linear(plan, patients, most=most, compiled=False)
    assert_same(score_linear(plan, patients, most=most, compiled=True), whole)
    rows = np.array(data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=40)))
    for compiled in (False, True):
        some = score_linear(plan, patients.take(rows), most=most, compiled=compiled)
        assert_same(some, LinearScore(*(part[rows] for part in whole)))
    far, squared_distance = measure_distance(plan, patients.take(rows))
    np.testing.assert_array_equal(far, unpack_far(whole.far[rows], len(plan.precision)))
    np.testing.assert_array_equal(squared_distance, whole.squared_distance[rows])


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("seed", range(6))
def test_numbers_and_reasons_are_those_of_the_model(response_maker, episode_maker, weight, seed):
    response, episodes = response_maker(seed, weight=weight), episode_maker(seed + 50, 400)
    plan = plan_linear(response)
    score = score_linear(plan, to_patients(episodes))
    np.testing.assert_allclose(score.log_odds, response.linear_predictor(episodes), rtol=0, atol=1e-12)
    distances = response.refit_linear_predictors(episodes) - response.linear_predictor(episodes)
    np.testing.assert_allclose(score.refitting, (distances**2).mean(axis=0), rtol=0, atol=1e-12)
    components = response.uncertainty_components
    np.testing.assert_allclose(score.missing, components.missing_variance(episodes), rtol=0, atol=1e-12)
    explanation = explain_model(response, episodes)
    expected = list_reasons(explanation, find_certain(response, episodes, explanation))
    names = [term.name for term in plan.terms]
    told = 0
    found = ((score.upward, score.upward_sizes), (score.downward, score.downward_sizes))
    for direction, (terms, sizes) in zip(expected, found, strict=True):
        for reasons, places, values in zip(direction, terms, sizes, strict=True):
            kept = places >= 0
            assert [reason["variable"] for reason in reasons] == [names[place] for place in places[kept]]
            np.testing.assert_allclose([reason["log_odds"] for reason in reasons], values[kept], rtol=0, atol=1e-6)
            told += len(reasons)
    assert told > 400


def test_far_numbers_are_flagged_and_their_distance_is_that_of_all_numbers(response_maker, episode_maker):
    response = response_maker(3)
    episodes = episode_maker(9, 200).assign(bmi=lambda table: table["bmi"].where(table.index % 2 == 0, 59.0))
    plan, encoder = plan_linear(response), response.encoder
    score = score_linear(plan, to_patients(episodes))
    numbers = [variable for variable in encoder.variables_ if variable.kind == "number"]
    scores = np.column_stack([encoder.standard_scores(variable, episodes[variable.name]) for variable in numbers])
    far = np.array([[bool(bits >> place & 1) for place in range(len(numbers))] for bits in score.far.tolist()])
    np.testing.assert_array_equal(far, np.abs(scores) > FARTHEST_SCORE)
    assert far.any()
    filled = np.nan_to_num(scores)
    np.testing.assert_allclose(score.squared_distance, ((filled @ response.domain.precision) * filled).sum(axis=1))


def test_without_draws_only_the_served_model_is_scored(response_maker, episode_maker):
    plan, patients = plan_linear(response_maker(2)), to_patients(episode_maker(1, 300))
    whole = score_linear(plan, patients)
    for compiled in (False, True):
        served = score_linear(plan, patients, with_draws=False, compiled=compiled)
        np.testing.assert_array_equal(served.log_odds, whole.log_odds)
        assert np.isnan(served.refitting).all()
        assert (served.upward == -1).all()


def test_a_model_that_shows_no_reasons_tells_none(response_maker, episode_maker):
    plan = plan_linear(replace(response_maker(2), shows_reasons=False))
    score = score_linear(plan, to_patients(episode_maker(1, 30)))
    assert score.upward.shape[1] == 0


def test_the_core_imports_no_table_or_learning_library():
    code = (
        "import sys, paincast.scoring.linear, paincast.scoring.reasons, paincast.scoring.patterns\n"
        "import paincast.scoring.conditions, paincast.scoring.linear_compiled\n"
        "print(sorted({'pandas', 'sklearn', 'mlflow', 'shap', 'xgboost'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_few_rows_do_not_wait_for_a_compiler():
    code = (
        "import sys, numpy as np, pyarrow as pa\n"
        "from paincast.scoring.layout import LinearPlan, Term\n"
        "from paincast.scoring.linear import score_linear\n"
        "from paincast.scoring.patients import Patients\n"
        "term = Term(name='x', table=np.empty((0, 2)), coefficients=np.ones((1, 2)), means=np.zeros(1))\n"
        "plan = LinearPlan(terms=(term,), intercepts=np.zeros(2), references=np.zeros((1, 2)), effect_weight=1.0,\n"
        "    least_certainty=0.9, reach=1.28, precision=np.eye(1), shows_reasons=True)\n"
        "score = score_linear(plan, Patients(pa.table({'x': [1.0, None]})))\n"
        "print(score.log_odds.tolist(), 'numba' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[1.0, 0.0] False"
