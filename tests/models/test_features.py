"""The encoder: only what is known before, fitted state as plain data, missing and unseen values told apart."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paincast.cohort.tables import conform
from paincast.errors import DataError
from paincast.features import EpisodeEncoder
from paincast.schema import EPISODES, is_model_input


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
