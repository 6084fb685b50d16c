"""What is asked of whom, and with how much detail: the rows that are left are those of the long list."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paincast.errors import PaincastError, SettingsError
from paincast.models.binary.response import ResponseModel
from paincast.predictor import PREDICTION_COLUMNS, Predictor
from paincast.predictor import model as predictor_module
from paincast.predictor.rows import UNCERTAINTY_COLUMNS
from paincast.serving.asked import NO_INDICATION, NOBODY, Coded, select_patients
from paincast.serving.coherence import HALF, IN_LINE, THIRD
from paincast.serving.predict import load_models, predict

FACET, EPIDURAL = "facet_rfa", "epidural_steroid_injection"
LIMITS = ["lower", "upper", "expected_lower", "expected_upper", *UNCERTAINTY_COLUMNS]
NUMBERS = ["probability", *LIMITS]
KEYS = ["episode_id", "technique", "outcome"]


@pytest.fixture(scope="module")
def models(models_folder) -> dict[str, Predictor]:
    return load_models(models_folder)


def list_asked(predictions: pd.DataFrame) -> dict[str, list[str]]:
    return predictions.groupby("episode_id", sort=False)["technique"].agg(list).to_dict()


def assert_same_rows(some: pd.DataFrame, of: pd.DataFrame) -> None:
    """Require that every row is the same one in a longer list."""
    kept = of.merge(some[KEYS], on=KEYS)
    pd.testing.assert_frame_equal(kept, some.reset_index(drop=True), check_dtype=False)


def test_a_technique_is_asked_of_the_patients_whose_indication_it_treats_and_of_those_who_name_it(patients, models):
    predictions = predict(patients, models)
    assert list_asked(predictions) == {
        "a": [FACET],
        "b": [EPIDURAL],
        "c": ["trigeminal_rhizotomy"],
        "d": [EPIDURAL, "surgery"],
        "e": [FACET],
    }
    assert_same_rows(predictions, predict(patients, models, techniques="all"))


def test_a_technique_that_is_named_in_the_row_is_asked_where_it_does_not_fit(patients, models):
    patients.loc[0, "technique"] = EPIDURAL
    predictions = predict(patients.iloc[[0]], models)
    assert predictions["technique"].tolist() == [EPIDURAL, FACET]
    assert predictions["abstained"].tolist() == [True, False]
    assert "lumbar_facet" in predictions["abstained_because"].iloc[0]


@pytest.mark.filterwarnings("ignore:left out before predicting")
def test_a_patient_of_whom_nothing_is_asked_gets_one_row_that_says_why(patients, models):
    patients["technique"] = None
    patients["indication"] = ["lumbar_facet", None, "lumbar_facett", "crps", "lumbar_facet"]
    facet = models[f"{FACET}/{HALF}"]
    for asked in (models, {"1": facet, "2": replace(facet, outcome=THIRD)}):
        predictions = predict(patients, asked, months=[3, 6])
        rows = predictions[predictions["technique"] == ""].set_index("episode_id")
        assert list(rows.index) == ["b", "c", "d"]
        assert predictions["episode_id"].drop_duplicates().tolist() == list("abcde")
        assert rows["outcome"].eq("").all()
        assert rows["abstained"].all()
        assert rows[["horizon_months", *NUMBERS, "eligible"]].isna().all(axis=None)
        assert rows["abstained_because"]["b"] == NO_INDICATION
        assert rows["abstained_because"]["c"].startswith("could not be read: indication")
        assert rows["abstained_because"]["d"].startswith(NOBODY)
        assert FACET in rows["abstained_because"]["d"]
        assert rows["cautions"].tolist() == ["", "left out as unusable: indication", ""]


@given(st.data())
def test_rows_are_selected_by_indication_and_by_name(data):
    names, indications = ["t1", "t2", "t3", "surgery"], ["i1", "i2", "i3"]
    n = data.draw(st.integers(0, 12))
    own = data.draw(st.lists(st.integers(-1, len(indications) - 1), min_size=n, max_size=n))
    named = data.draw(st.lists(st.integers(-1, len(names) - 1), min_size=n, max_size=n))
    treated = data.draw(st.dictionaries(st.sampled_from(names[:3]), st.sets(st.sampled_from(indications)), max_size=3))
    techniques = data.draw(st.none() | st.just("all") | st.sets(st.sampled_from(names[:3]), min_size=1))
    selected = select_patients(
        Coded(np.array(own, dtype=np.intp), tuple(indications)),
        Coded(np.array(named, dtype=np.intp), tuple(names)),
        treated,
        order=names,
        techniques=techniques,
    )
    expected: dict[str, list[int]] = {name: [] for name in names}
    for row in range(n):
        for name in names:
            fits = own[row] >= 0 and indications[own[row]] in treated.get(name, ())
            is_named = named[row] >= 0 and names[named[row]] == name
            if isinstance(techniques, set):
                is_asked = name in techniques
            else:
                is_asked = is_named or (name in treated if techniques == "all" else fits)
            if is_asked:
                expected[name].append(row)
    assert {name: rows.tolist() for name, rows in selected.rows.items()} == {
        name: rows for name, rows in expected.items() if rows
    }
    assert list(selected.rows) == [name for name in names if expected[name]]
    assert set(selected.nobody.tolist()) == set(range(n)) - {row for rows in expected.values() for row in rows}


def test_a_model_works_on_the_patients_it_is_asked_about_and_no_others(patients, models, monkeypatch):
    many = pd.concat([patients.assign(episode_id=patients["episode_id"] + str(n)) for n in range(20)])
    worked: dict[str, int] = {}
    answer = Predictor.answer_table

    def count(self, ready, **options):
        worked[self.technique] = worked.get(self.technique, 0) + len(ready)
        return answer(self, ready, **options)

    monkeypatch.setattr(Predictor, "answer_table", count)
    predict(many, models)
    assert worked == {FACET: 40, EPIDURAL: 40}


def test_a_technique_that_is_requested_is_asked_of_every_patient_and_no_other_is(patients, models):
    for techniques in ([FACET], FACET, pd.Series([FACET]), {FACET}):
        predictions = predict(patients, models, techniques=techniques)
        assert list_asked(predictions) == {episode: [FACET] for episode in "abcde"}


@pytest.fixture(scope="module")
def at_odds(make_model) -> dict[str, Predictor]:
    """Models of relief by 50 % and by 30 %, fitted by themselves, and one of another outcome."""
    models = [make_model(FACET), replace(make_model(FACET, seed=3), outcome=THIRD)]
    return {model.outcome: model for model in [*models, replace(models[0], outcome="satisfaction", measures=())]}


@pytest.mark.slow
@pytest.mark.parametrize("outcomes", [[HALF], [THIRD], "satisfaction", [THIRD, HALF], ["satisfaction", HALF]])
def test_an_answer_is_the_same_whichever_other_outcomes_are_asked_for(at_odds, outcomes):
    patients = pd.DataFrame(
        {"indication": "lumbar_facet", "pain_nrs": 7, "age_years": range(40, 70), "odi": np.linspace(25, 65, 30)}
    )
    everything = predict(patients, at_odds)
    assert everything["cautions"].str.contains(IN_LINE).any()
    some = predict(patients, at_odds, outcomes=outcomes)
    names = [outcomes] if isinstance(outcomes, str) else outcomes
    assert set(some["outcome"]) == set(names)
    pd.testing.assert_frame_equal(some, everything[everything["outcome"].isin(names)])
    bare = predict(patients, at_odds, outcomes=outcomes, explain=0, interval=False)
    pd.testing.assert_series_equal(bare["probability"], some["probability"])


def test_an_outcome_is_asked_of_the_techniques_that_have_a_model_for_it(patients, models):
    facet, epidural = (models[f"{name}/{HALF}"] for name in (FACET, EPIDURAL))
    several = {"1": facet, "2": replace(facet, outcome=THIRD), "3": epidural}
    asked = predict(patients, several).groupby(["episode_id", "technique"], sort=False)["outcome"].agg(list)
    of_any = [HALF, THIRD]
    assert asked.to_dict() == {
        ("a", FACET): of_any,
        ("b", EPIDURAL): [HALF],
        ("c", "trigeminal_rhizotomy"): of_any,
        ("d", EPIDURAL): [HALF],
        ("d", "surgery"): of_any,
        ("e", FACET): of_any,
    }
    for options in ({"techniques": "all"}, {"techniques": [EPIDURAL]}, {"outcomes": of_any}):
        rows = predict(patients, several, **options)
        told = rows.loc[rows["technique"] == EPIDURAL].groupby("episode_id")["outcome"].agg(list)
        assert all(outcomes == of_any for outcomes in told)
        missing = rows[(rows["technique"] == EPIDURAL) & (rows["outcome"] == THIRD)]
        assert missing["abstained_because"].str.contains(f"no model for {THIRD} after {EPIDURAL}").all()


def test_an_outcome_without_a_model_abstains_and_says_so(patients, models):
    predictions = predict(patients.iloc[[0]], models, outcomes=["sleep_response"])
    assert predictions["technique"].tolist() == [FACET]
    assert predictions["abstained_because"].str.contains("no model for sleep_response after facet_rfa").all()


@pytest.mark.parametrize(
    ("options", "code", "near"),
    [
        ({"outcomes": ["pain_respons"]}, "PC-OUTCOMES-02", "'pain_response'"),
        ({"outcomes": []}, "PC-SERVING-51", "outcomes"),
        ({"outcomes": [6]}, "PC-SERVING-51", "outcomes"),
        ({"techniques": []}, "PC-SERVING-51", "techniques"),
        ({"techniques": ["facet_rf"]}, "PC-SERVING-20", "'facet_rfa'"),
        ({"techniques": "facet_rf"}, "PC-SERVING-20", "'facet_rfa'"),
        ({"techniques": ["all", FACET]}, "PC-SERVING-20", "'all'"),
        ({"explain": -1}, "PC-SERVING-50", "explain"),
        ({"explain": True}, "PC-SERVING-50", "explain"),
        ({"explain": 1.5}, "PC-SERVING-50", "explain"),
    ],
)
def test_what_cannot_be_asked_is_an_error_with_a_code(patients, models, options, code, near):
    for layout in ({}, {"wide": True}):
        with pytest.raises(PaincastError) as error:
            predict(patients, models, **options, **layout)
        assert error.value.code == code
    assert near in str(error.value)


def test_without_interval_the_point_is_the_same_and_nothing_else_is_computed(patients, models, monkeypatch):
    whole = predict(patients, models)
    monkeypatch.setattr(ResponseModel, "compute_variances", lambda *_: pytest.fail("computed in vain"))
    bare = predict(patients, models, interval=False)
    assert bare[LIMITS].isna().all(axis=None)
    pd.testing.assert_frame_equal(bare.drop(columns=LIMITS), whole.drop(columns=LIMITS))
    assert whole["lower"].notna().sum() == (~whole["abstained"]).sum() > 0


@pytest.mark.slow
def test_the_strongest_reasons_are_told_as_many_as_are_asked(patients, models):
    patients["depression"] = None
    told = {most: predict(patients, models, explain=most) for most in (0, 1, 3, 10)}
    for name in ("reasons_for", "reasons_against"):
        for most, rows in told.items():
            assert rows[name].tolist() == [reasons[:most] for reasons in told[10][name]]
    pd.testing.assert_frame_equal(told[3], predict(patients, models))
    assert told[1]["missing_values"].tolist() == told[3]["missing_values"].tolist()
    assert told[3]["missing_values"].map(len).max() > 0
    assert told[0]["missing_values"].map(len).max() == 0
    lists = ["reasons_for", "reasons_against", "missing_values"]
    pd.testing.assert_frame_equal(told[0].drop(columns=lists), told[3].drop(columns=lists))


def test_without_reasons_nothing_is_explained(patients, models, monkeypatch):
    monkeypatch.setattr(predictor_module, "explain_model", lambda *_: pytest.fail("explained in vain"))
    predictions = predict(patients, models, explain=0)
    assert (~predictions["abstained"]).any()
    assert len(predict(patients, models, wide=True)) == len(patients)
    assert tuple(predictions.columns) == PREDICTION_COLUMNS


def test_a_model_by_itself_answers_every_row_with_the_detail_asked(patients, models):
    model = models[f"{FACET}/{HALF}"]
    patients = patients.assign(depression=None)
    whole, bare = model.predict(patients), model.predict(patients, interval=False, explain=0)
    with pytest.raises(SettingsError, check=lambda error: error.code == "PC-SERVING-50"):
        model.predict(patients, explain=-1)
    assert len(whole) == len(bare) == len(patients)
    pd.testing.assert_series_equal(whole["probability"], bare["probability"])
    assert bare[LIMITS].isna().all(axis=None)
    assert bare["missing_values"].map(len).sum() == 0 < whole["missing_values"].map(len).sum()
