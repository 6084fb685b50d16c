"""The encoder: only what is known before, fitted state as plain data, missing and unseen values told apart."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paincast.cohort.tables import conform
from paincast.errors import DataError
from paincast.features import EpisodeEncoder
from paincast.schema import EPISODES, is_model_input
from paincast.statistics.splines import compute_spline

GOLDEN = Path(__file__).parents[1] / "golden"


def test_no_column_known_later_or_sensitive_reaches_the_matrix(make_episodes):
    episodes, _, _ = make_episodes(200)
    encoder = EpisodeEncoder().fit(episodes)
    used = {variable.name for variable in encoder.variables_}
    assert used
    assert "payer" not in used
    assert all(EPISODES[name].timing == "before" and is_model_input(EPISODES[name]) for name in used)


def test_values_of_columns_no_model_may_see_do_not_change_the_matrix(make_episodes):
    episodes, _, _ = make_episodes(200)
    encoder = EpisodeEncoder().fit(episodes)
    hidden = [name for name, column in EPISODES.items() if not is_model_input(column)]
    blanked = conform("episodes", episodes.drop(columns=hidden))
    np.testing.assert_array_equal(encoder.transform(episodes), encoder.transform(blanked))


def test_state_survives_json(make_episodes):
    episodes, _, _ = make_episodes(150)
    encoder = EpisodeEncoder(native_missing=True).fit(episodes)
    again = EpisodeEncoder.from_state(json.loads(json.dumps(encoder.to_state())))
    np.testing.assert_array_equal(encoder.transform(episodes), again.transform(episodes))
    assert list(again.get_feature_names_out()) == list(encoder.get_feature_names_out())


def test_numbers_are_standardised_and_missing_is_the_mean(make_episodes):
    episodes, _, _ = make_episodes(500)
    encoder = EpisodeEncoder().fit(episodes)
    column = list(encoder.get_feature_names_out()).index("odi")
    encoded = encoder.transform(episodes)[:, column]
    recorded = episodes["odi"].notna().to_numpy()
    assert encoded[recorded].mean() == pytest.approx(0, abs=1e-9)
    assert encoded[recorded].std() == pytest.approx(1, abs=1e-9)
    assert (encoded[~recorded] == 0).all()


def test_native_missing_stays_missing(make_episodes):
    episodes, _, _ = make_episodes(500)
    matrix = EpisodeEncoder(native_missing=True).fit(episodes).transform(episodes)
    assert np.isnan(matrix).any()
    assert not np.isnan(EpisodeEncoder().fit(episodes).transform(episodes)).any()


@pytest.mark.parametrize("splines", [False, True])
def test_an_encoder_that_leaves_missing_values_is_the_one_that_the_episodes_fit(make_episodes, splines):
    episodes, _, _ = make_episodes(300)
    emptied = episodes.assign(age_years=episodes["age_years"].mask(np.arange(len(episodes)) % 4 == 0))
    fitted = EpisodeEncoder(native_missing=True).fit(emptied)
    left = EpisodeEncoder(splines=splines).fit(emptied).leave_missing()
    assert left.to_state() == fitted.to_state()
    np.testing.assert_array_equal(left.transform(emptied), fitted.transform(emptied))


def test_seldom_recorded_column_is_left_out_and_named(make_episodes):
    episodes, _, _ = make_episodes(100)
    episodes.loc[5:, "odi"] = np.nan
    encoder = EpisodeEncoder().fit(episodes)
    assert "odi" in encoder.unavailable_
    assert "odi" not in encoder.owners


def test_unseen_levels_are_found_missing_ones_are_not(make_episodes):
    episodes, _, _ = make_episodes(100)
    encoder = EpisodeEncoder().fit(episodes)
    strangers = episodes.head(3).assign(indication=["crps", None, "lumbar_facet"]).astype({"indication": "str"})
    assert encoder.find_unseen(strangers)["indication"].tolist() == [True, False, False]


def test_constant_column_adds_nothing(make_episodes):
    episodes, _, _ = make_episodes(100)
    encoder = EpisodeEncoder().fit(episodes.assign(pain_nrs=7.0))
    assert "pain_nrs" not in encoder.owners


def test_absent_column_is_an_error_with_its_name(make_episodes):
    episodes, _, _ = make_episodes(50)
    encoder = EpisodeEncoder().fit(episodes)
    with pytest.raises(DataError, match="odi"):
        encoder.transform(episodes.drop(columns="odi"))


@pytest.mark.slow
@given(
    ages=st.lists(st.one_of(st.none(), st.floats(0, 120)), min_size=2, max_size=30),
    native=st.booleans(),
    data=st.data(),
)
def test_any_valid_table_encodes_to_finite_or_missing_numbers(ages, native, data):
    levels = st.sampled_from(["female", "male", None])
    frame = pd.DataFrame(
        {
            "episode_id": [f"e{i}" for i in range(len(ages))],
            "patient_id": "p",
            "technique": "facet_rfa",
            "age_years": pd.Series(ages, dtype="float64"),
            "sex": pd.Series([data.draw(levels) for _ in ages], dtype="str"),
            "smoker": pd.Series([data.draw(st.sampled_from([True, False, None])) for _ in ages], dtype="boolean"),
        }
    )
    encoder = EpisodeEncoder(native_missing=native).fit(conform("episodes", frame))
    matrix = encoder.transform(conform("episodes", frame))
    assert matrix.shape == (len(ages), len(encoder.get_feature_names_out()))
    assert len(encoder.owners) == matrix.shape[1]
    assert not np.isinf(matrix).any()
    assert native or not np.isnan(matrix).any()


def test_missing_category_is_encoded_as_the_average_patient(make_episodes):
    episodes, _, _ = make_episodes(400)
    encoder = EpisodeEncoder().fit(episodes)
    unknown = conform("episodes", episodes.head(1).assign(work_status=None))
    of_status = [owner == "work_status" for owner in encoder.owners]
    np.testing.assert_allclose(
        encoder.transform(unknown)[0, of_status], encoder.transform(episodes)[:, of_status].mean(axis=0)
    )


@pytest.mark.parametrize("name", ["even", "skewed"])
def test_splines_are_those_of_rms(name):
    golden = pd.read_csv(GOLDEN / "splines.csv").groupby("set").get_group(name)
    knots = tuple(golden[[f"knot_{place}" for place in (1, 2, 3, 4)]].iloc[0])
    parts = compute_spline(golden["value"].to_numpy(), knots)
    np.testing.assert_allclose(parts, golden[["first", "second"]], rtol=1e-12, atol=1e-13)


def test_a_spline_is_flat_below_its_knots_straight_above_and_smooth_between():
    knots = (-1.645, -0.385, 0.385, 1.645)
    assert not compute_spline(np.linspace(-9, knots[0], 30), knots).any()
    above = compute_spline(np.linspace(knots[-1], 9, 30), knots)
    np.testing.assert_allclose(np.diff(above, n=2, axis=0), 0, atol=1e-12)
    assert (np.diff(above, axis=0) > 0).all()
    step = 1e-4
    across = compute_spline(np.array(knots)[:, None].ravel().repeat(3) + np.tile([-step, 0, step], 4), knots)
    curvature = np.diff(across.reshape(4, 3, 2), n=2, axis=1)[:, 0] / step**2
    inside = np.abs(curvature[[0, 3]])
    np.testing.assert_allclose(inside, 0, atol=1e-2)
    assert np.isnan(compute_spline(np.array([np.nan]), knots)).all()


def test_encoded_splines_are_straight_lines_beyond_the_outer_knots(make_episodes):
    episodes, _, _ = make_episodes(400)
    encoder = EpisodeEncoder(splines=True).fit(episodes)
    names = [str(name) for name in encoder.get_feature_names_out()]
    assert {"age_years", "age_years~1", "age_years~2"} <= set(names)
    assert "depression~1" not in names
    of_age = [name.startswith("age_years") for name in names]
    for ages in (np.linspace(90, 118, 8), np.linspace(1, 25, 8)):
        asked = conform("episodes", episodes.head(8).assign(age_years=ages))
        encoded = encoder.transform(asked)[:, of_age]
        np.testing.assert_allclose(np.diff(encoded, n=2, axis=0), 0, atol=1e-10)
    assert np.abs(np.diff(encoder.transform(episodes.sort_values("age_years"))[:, of_age], n=2, axis=0)).max() > 1e-3


def test_columns_of_a_spline_have_mean_0_and_spread_1_in_training(make_episodes):
    episodes, _, _ = make_episodes(500)
    encoder = EpisodeEncoder(splines=True).fit(episodes)
    names = list(encoder.get_feature_names_out())
    recorded = episodes["odi"].notna().to_numpy()
    encoded = encoder.transform(episodes)[recorded][:, [names.index(f"odi~{place}") for place in (1, 2)]]
    np.testing.assert_allclose(encoded.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(encoded.std(axis=0), 1, atol=1e-9)
    assert len(encoder.spreads) == len(names)
    assert set(encoder.spreads) == {0.5, 1.0}


def test_state_of_splines_survives_json(make_episodes):
    episodes, _, _ = make_episodes(300)
    encoder = EpisodeEncoder(splines=True).fit(episodes)
    again = EpisodeEncoder.from_state(json.loads(json.dumps(encoder.to_state())))
    assert again.variables_ == encoder.variables_
    np.testing.assert_array_equal(again.transform(episodes), encoder.transform(episodes))
    np.testing.assert_array_equal(again.spreads, encoder.spreads)


def test_missing_values_of_a_spline_are_the_average_patient(make_episodes):
    episodes, _, _ = make_episodes(300)
    encoder = EpisodeEncoder(splines=True).fit(episodes)
    names = list(encoder.get_feature_names_out())
    bends = [names.index(name) for name in ("odi~1", "odi~2")]
    encoded = encoder.transform(episodes)
    average = encoded[episodes["odi"].isna().to_numpy()]
    assert (average[:, names.index("odi")] == 0).all()
    assert (average[:, names.index("odi=missing")] == 1).all()
    assert np.isfinite(encoded).all()
    assert np.ptp(average[:, bends], axis=0).max() == 0


def test_frequent_zeros_have_a_column_and_the_knots_are_of_the_others(make_episodes):
    episodes, _, _ = make_episodes(400)
    rng = np.random.default_rng(1)
    doses = np.where(rng.random(400) < 0.6, 0.0, rng.lognormal(3, 1, 400))
    episodes = conform("episodes", episodes.assign(opioid_mme=doses))
    encoder = EpisodeEncoder(splines=True).fit(episodes)
    names = list(encoder.get_feature_names_out())
    flags = encoder.transform(episodes)[:, names.index("opioid_mme=0")]
    np.testing.assert_array_equal(flags, doses == 0)
    variable = next(one for one in encoder.variables_ if one.name == "opioid_mme")
    lowest = (np.log1p(doses[doses > 0].min()) - variable.centre) / variable.scale
    assert min(variable.knots) > lowest


def test_few_different_values_stay_a_straight_line(make_episodes):
    episodes, _, _ = make_episodes(200)
    names = set(EpisodeEncoder(splines=True).fit(episodes).get_feature_names_out())
    assert "diagnostic_blocks_positive" in names
    assert "diagnostic_blocks_positive~1" not in names
