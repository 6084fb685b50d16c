"""The core answers every kind of response: the digits of the models, whatever the path, the block and the order."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from paincast.evidence.rules import collect_rules
from paincast.explain import Explanation, explain_model, find_certain, list_reasons
from paincast.models.domain import FARTHEST_SCORE
from paincast.models.serialization import Response
from paincast.models.survival.hazard import HazardModel
from paincast.models.survival.response import DurationResponse
from paincast.predictor import Predictor
from paincast.predictor.answering.frames import to_frame
from paincast.predictor.answering.kinds import lay_out_encoder, make_kind
from paincast.predictor.answering.ready import from_episodes
from paincast.predictor.answering.scorer import Detail
from paincast.predictor.rows import LISTS
from paincast.scoring.kinds import score as scores
from paincast.scoring.kinds.encoding import encode
from paincast.scoring.kinds.log_odds import FEW_ROWS
from paincast.scoring.kinds.score import Request, Score
from paincast.scoring.patients import Patients

Maker = Callable[[int], Response]

DETAILS = (Detail(), Detail(interval=False, explain=0), Detail(interval=False, explain=9))


def to_patients(episodes: pd.DataFrame) -> Patients:
    return Patients(pa.Table.from_pandas(episodes, preserve_index=False))


def make_predictor(response: Response) -> Predictor:
    outcome = "pain_change" if response.unit == "points" else "pain_response"
    if isinstance(response, DurationResponse):
        outcome = "relief_duration"
    return Predictor(
        technique="facet_rfa",
        outcome=outcome,
        horizon_months=6.0,
        window_months=(3.0, 9.0),
        measures=("pain_nrs",),
        basis="synthetic",
        n_training=300,
        n_events=None,
        n_real=0,
        level=0.8,
        response=response,
        rules=collect_rules("facet_rfa", outcome),
    )


def assert_same_reasons(one: pd.Series, other: pd.Series) -> int:
    """Hold that reasons are the same but for the last digit of a rounded size; count them."""
    told = 0
    for mine, theirs in zip(one, other, strict=True):
        assert [(reason["variable"], reason.get("value")) for reason in mine] == [
            (reason["variable"], reason.get("value")) for reason in theirs
        ]
        units = [
            [next(unit for unit in ("log_odds", "points") if unit in reason) for reason in by] for by in (mine, theirs)
        ]
        assert units[0] == units[1]
        sizes = [[reason[unit] for reason, unit in zip(by, units[0], strict=True)] for by in (mine, theirs)]
        np.testing.assert_allclose(*sizes, rtol=0, atol=1.1e-6)
        told += len(mine)
    return told


def assert_same_scores(one: Score, other: Score) -> None:
    assert list(one.numbers) == list(other.numbers)
    for name, numbers in one.numbers.items():
        np.testing.assert_array_equal(numbers, other.numbers[name], err_msg=name)
    np.testing.assert_array_equal(one.far, other.far)
    np.testing.assert_array_equal(one.squared_distance, other.squared_distance)
    for name, part in zip(one.strongest._fields, one.strongest, strict=True):
        np.testing.assert_array_equal(part, getattr(other.strongest, name), err_msg=name)
    assert (one.missing_scale is None) == (other.missing_scale is None)
    if one.missing_scale is not None:
        np.testing.assert_array_equal(one.missing_scale, other.missing_scale)


def take_score(score: Score, rows: np.ndarray) -> Score:
    return Score(
        {name: numbers[rows] for name, numbers in score.numbers.items()},
        score.far[:, rows],
        score.squared_distance[rows],
        scores.Strongest(*(part[rows] for part in score.strongest)),
        None if score.missing_scale is None else score.missing_scale[rows],
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_answers_are_those_of_the_models(any_response_maker: Maker, episode_maker, seed):
    predictor = make_predictor(any_response_maker(seed))
    episodes = episode_maker(seed + 50, 160).assign(bmi=lambda table: table["bmi"].where(table.index % 9 != 0, 59.0))
    unreadable = pd.Series([("odi",) if place % 17 == 0 else () for place in range(160)], dtype=object)
    for detail in DETAILS:
        expected = predictor.answer_episodes(episodes, unreadable, detail=detail).write()
        ready = from_episodes(episodes, unreadable, predictor.contract)
        table = to_frame(predictor.answer_table(ready, allow_contradicted=False, detail=detail))
        others = [name for name in expected if name not in LISTS]
        pd.testing.assert_frame_equal(table[others], expected[others], check_exact=False, rtol=0, atol=1e-12)
        told = sum(assert_same_reasons(table[name], expected[name]) for name in LISTS)
        assert 10 < expected["abstained"].sum() < 150
        assert told > 50 if detail.explain else told == 0


@pytest.mark.slow
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 5), n=st.integers(1, 2 * FEW_ROWS), most=st.integers(0, 5), data=st.data())
def test_digits_do_not_depend_on_the_path_the_block_or_the_order(
    any_response_maker: Maker, episode_maker, seed, n, most, data
):
    kind = make_kind(any_response_maker(seed % 2))
    patients = to_patients(episode_maker(seed, n, missing=data.draw(st.sampled_from([0.0, 0.1, 0.6, 1.0]))))
    plain = Request(0.8, data.draw(st.booleans()), most, compiled=False)
    whole = kind.score(patients, plain)
    assert_same_scores(kind.score(patients, plain._replace(compiled=True)), whole)
    rows = np.array(data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=30)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scores, "BLOCK_ROWS", data.draw(st.integers(1, 40)))
        for compiled in (False, True):
            some = kind.score(patients.take(rows), plain._replace(compiled=compiled))
            assert_same_scores(some, take_score(whole, rows))


@pytest.mark.parametrize("splines", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_columns_have_the_digits_of_the_encoder(response_maker, episode_maker, seed, splines):
    response = response_maker(seed)
    episodes = episode_maker(seed + 7, 200, missing=0.2)
    for encoder in (response.encoder, response.encoder.leave_missing())[splines:]:
        encoded = encode(lay_out_encoder(encoder, response.domain, {}), to_patients(episodes))
        np.testing.assert_array_equal(encoded.matrix, encoder.transform(episodes))


def test_numbers_of_an_earlier_domain_are_compared_and_no_others(earlier_maker, episode_maker):
    response = earlier_maker(3)
    episodes = episode_maker(9, 200).assign(bmi=lambda table: table["bmi"].where(table.index % 2 == 0, 59.0))
    kind = make_kind(response)
    assert kind.domain_names == response.domain.names
    score = kind.score(to_patients(episodes), Request(0.8))
    variables = {variable.name: variable for variable in response.encoder.variables_}
    names = response.domain.names
    values = np.array([response.encoder.standard_scores(variables[name], episodes[name]) for name in names])
    np.testing.assert_array_equal(score.far, np.abs(values) > FARTHEST_SCORE)
    filled = np.nan_to_num(values)
    expected = (filled * (response.domain.precision @ filled)).sum(axis=0)
    np.testing.assert_allclose(score.squared_distance, expected)
    assert score.far.any()


@pytest.mark.parametrize("size", [30.0, 500.0, 5000.0])
def test_hazards_near_0_and_1_are_explained(duration_maker, episode_maker, size):
    response = duration_maker(1)
    hazards = response.model.relief
    far = HazardModel(
        intercepts=np.array([-size, 0.0, size, -size]),
        coefficients=size * hazards.coefficients,
        first=size * hazards.first,
    )
    kind = make_kind(replace(response, model=replace(response.model, relief=far)))
    for compiled in (False, True):
        score = kind.score(to_patients(episode_maker(3, 100)), Request(0.8, compiled=compiled))
        assert np.isfinite(score.numbers["lower"]).all()
        assert ((score.numbers["probability"] >= 0.0) & (score.numbers["probability"] <= 1.0)).all()
        assert all(np.isfinite(part).all() for part in score.strongest)


def test_a_horizon_beyond_the_modelled_visits_has_no_probability(duration_maker, episode_maker):
    response = replace(duration_maker(1), horizon_months=24.0)
    episodes = episode_maker(3, 40)
    score = make_kind(response).score(to_patients(episodes), Request(0.8, most=0))
    expected = response.answer(episodes, 0.8)
    assert np.isnan(score.numbers["probability"]).all()
    np.testing.assert_array_equal(score.numbers["expected"], expected["expected"])


def test_without_draws_every_contribution_is_told_and_nothing_is_known_of_the_limits(response_maker, episode_maker):
    response, episodes = response_maker(2, draws=0), episode_maker(4, 60)
    kind = make_kind(response)
    score = kind.score(to_patients(episodes), Request(0.8))
    np.testing.assert_allclose(
        score.numbers["probability"], response.answer(episodes, 0.8, interval=False)["probability"]
    )
    assert np.isnan(score.numbers["lower"]).all()
    explanation = explain_model(response, episodes)
    upward, _ = list_reasons(explanation, find_certain(response, episodes, explanation))
    names = [term.name for term in kind.terms]
    for row, reasons in enumerate(upward):
        places = score.strongest.upward[row].tolist()
        assert [names[place] for place in places if place >= 0] == [reason["variable"] for reason in reasons]


def test_trees_give_the_same_log_odds_with_and_without_a_copy_of_the_matrix(by_rows_maker, episode_maker):
    response = by_rows_maker(2, "xgboost")
    matrix = response.encoder.transform(episode_maker(5, 300))
    booster = response.model.booster
    expected = booster.predict(xgboost.DMatrix(matrix), output_margin=True)
    np.testing.assert_array_equal(response.model.linear_predictor(matrix), expected)


def test_only_patients_who_get_an_answer_are_explained_by_trees(by_rows_maker, episode_maker, monkeypatch):
    response = by_rows_maker(2, "xgboost")
    explained = []
    explain = type(response.model).contributions
    monkeypatch.setattr(
        type(response.model),
        "contributions",
        lambda model, rows: (explained.append(len(rows)), explain(model, rows))[1],
    )
    episodes = episode_maker(5, 80)
    predictions = make_predictor(response).predict_episodes(episodes)
    answered = int((~predictions["abstained"]).sum())
    assert 0 < answered < 80
    assert explained == [answered] * (1 + len(response.refits))
    none = make_predictor(response).predict_episodes(episodes.assign(indication="knee_osteoarthritis"))
    assert none["abstained"].all()
    assert len(explained) == 1 + len(response.refits)
    assert not none["reasons_for"].map(len).any()


@settings(max_examples=100, deadline=None)
@given(
    told=arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 8)), elements=st.integers(-2, 2).map(float)),
    most=st.integers(1, 7),
    sign=st.sampled_from([1.0, -1.0]),
)
def test_equal_contributions_are_told_in_the_order_of_the_reasons(told, most, sign):
    names = ["age_years", "bmi", "odi", "pain_nrs", "pain_duration_months", "opioid_mme"][: len(told)]
    table = pd.DataFrame(told.T, columns=names)
    explanation = Explanation(base=np.zeros(told.shape[1]), contributions=table, values=table + 50.0, sign=sign)
    upward, upward_sizes = scores._pick(sign * told, most)
    beliefs = scores.Beliefs(1.0, 0.9, 1.28, shows_reasons=True)
    encoded = type("Known", (), {"known": np.ones(told.shape, dtype=bool), "compiled": False})()
    found = scores.find_strongest(iter([told]), encoded, beliefs, most=most, sign=sign)
    np.testing.assert_array_equal(found.upward, upward)
    np.testing.assert_array_equal(found.upward_sizes, sign * upward_sizes)
    parts = ((found.upward, found.upward_sizes), (found.downward, found.downward_sizes))
    for expected, (terms, sizes) in zip(list_reasons(explanation, most=most), parts, strict=True):
        for reasons, places, values in zip(expected, terms.tolist(), sizes.tolist(), strict=True):
            listed = [(names[place], value) for place, value in zip(places, values, strict=True) if place >= 0]
            assert listed == [(reason["variable"], reason["log_odds"]) for reason in reasons]


def test_nobody_is_scored_without_an_error(any_response_maker: Maker, episode_maker):
    kind = make_kind(any_response_maker(1))
    score = kind.score(to_patients(episode_maker(3, 5)).take(np.empty(0, dtype=np.int64)), Request(0.8))
    assert all(len(numbers) == 0 for numbers in score.numbers.values())
    assert score.strongest.upward.shape[0] == 0


def test_the_kinds_import_no_table_or_learning_library_and_few_rows_wait_for_no_compiler():
    code = (
        "import sys, numpy as np, pyarrow as pa\n"
        "import paincast.scoring.kinds.cumulative, paincast.scoring.kinds.duration, paincast.scoring.kinds.change\n"
        "from paincast.scoring.kinds.binary import BinaryPlan, score_binary\n"
        "from paincast.scoring.kinds.encoding import Encoding, Variable\n"
        "from paincast.scoring.kinds.log_odds import Linear\n"
        "from paincast.scoring.kinds.score import Beliefs, Request, Uncertainty\n"
        "from paincast.scoring.patients import Patients\n"
        "encoding = Encoding(variables=(Variable(name='x', kind='number'),), native_missing=False,\n"
        "    domain_names=('x',), precision=np.eye(1), missing_variances={'x': 0.1})\n"
        "model = Linear(0.5, np.ones(1), np.zeros(1))\n"
        "plan = BinaryPlan(encoding=encoding, served=model, draws=(model,), uncertainty=Uncertainty(0.1, 0.0, 0.0),\n"
        "    beliefs=Beliefs(1.0, 0.9, 1.28, shows_reasons=True))\n"
        "print(sorted({'pandas', 'sklearn', 'mlflow', 'shap', 'xgboost', 'numba'} & set(sys.modules)))\n"
        "score = score_binary(plan, Patients(pa.table({'x': [-0.5, None]})), Request(0.8))\n"
        "print(score.numbers['probability'][0], score.strongest.downward.tolist(), 'numba' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split("\n")[:2] == ["[]", "0.5 [[0, -1, -1], [-1, -1, -1]] False"]
