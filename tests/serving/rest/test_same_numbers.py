"""Over HTTP a patient gets the digits, words, reasons and rejects of paincast.predict, whoever else asks."""

from __future__ import annotations

import json
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.vendor.pretty import pretty

import paincast
from paincast.contract import BUILT_IN
from paincast.serving.rest.answers import REJECT_FACTS, Reply, answer_questions
from paincast.serving.rest.body import Question, read_question
from paincast.serving.rest.models import ServedModels

from ..test_same_numbers import BAD, GOOD

ASKED = st.fixed_dictionaries(
    {},
    optional={
        "techniques": st.sampled_from(["all", ["facet_rfa"], ["facet_rfa", "trigeminal_rhizotomy"], None]),
        "outcomes": st.sampled_from([["pain_response"], ["pain_response", "satisfaction"], None]),
        "months": st.sampled_from([[6], [3, 6], None]),
        "interval": st.booleans(),
        "explain": st.integers(0, 5),
        "allow_contradicted": st.booleans(),
    },
)


@st.composite
def draw_patients(draw: st.DrawFn) -> list[dict]:
    """Draw patients with values that are right, wrong, missing or not given, and ids of any kind."""
    columns = {name: st.none() | values | st.sampled_from(BAD.get(name, [None])) for name, values in GOOD.items()}
    ids = st.integers(-5, 10**12) | st.sampled_from(["007", " x", "", None, "row-1"])
    rows = st.fixed_dictionaries({"pain_nrs": columns.pop("pain_nrs")}, optional={**columns, "episode_id": ids})
    return draw(st.lists(rows, min_size=1, max_size=4))


@pytest.fixture(scope="module")
def served(models_folder: Path) -> ServedModels:
    return ServedModels(paincast.load_models(models_folder))


def expect(patients: list[dict], models: object, asked: dict) -> tuple[list[dict], list[dict]]:
    """Make of what paincast.predict and paincast.validate_patients give what JSON should have."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        frame = paincast.predict(patients, models, **asked)
    _, rejects = paincast.validate_patients(patients)
    rows = [
        {"row": place + 1, **{name: None if is_missing(cell) else cell for name, cell in row.items()}}
        for place, row in zip(frame.index, frame.astype(object).to_dict("records"), strict=True)
    ]
    return json.loads(json.dumps(rows)), rejects[[*REJECT_FACTS]].to_dict("records")


def is_missing(cell: object) -> bool:
    return not isinstance(cell, list) and bool(pd.isna(cell))


@pytest.mark.slow
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asking=st.lists(st.tuples(draw_patients(), ASKED), min_size=1, max_size=4))
def test_questions_that_are_answered_together_get_what_each_gets_alone(served, asking):
    questions = [
        read_question(json.dumps({"patients": patients, **asked}).encode(), served.known, max_patients=100)
        for patients, asked in asking
    ]
    for reply, (patients, asked) in zip(answer_questions(served, questions), asking, strict=True):
        assert isinstance(reply, Reply)
        content = json.loads(reply.body, parse_constant=pytest.fail)
        assert (content["predictions"], content["rejects"]) == expect(patients, served.models, asked)


@pytest.mark.slow
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asking=st.lists(st.tuples(draw_patients(), ASKED), min_size=4, max_size=4))
def test_a_server_says_the_same(client, served, asking):
    with ThreadPoolExecutor(4) as pool:
        responses = pool.map(client.post, [{"patients": patients, **asked} for patients, asked in asking])
    for response, (patients, asked) in zip(responses, asking, strict=True):
        content = response.json()
        assert (content["predictions"], content["rejects"]) == expect(patients, served.models, asked)


MARK = "Zyxwvut"
WORDS = st.sampled_from([MARK, f"{MARK} {MARK}", f"\ud800{MARK}", f"{MARK}\0", "", "nan", "7,5", "1e400", "yes", "all"])
NUMBERS = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
COLUMNS = st.sampled_from([*BUILT_IN.episodes, "Pain NRS", "odi ", MARK, ""])
BODIES = st.fixed_dictionaries(
    {"patients": JSON | st.lists(st.dictionaries(COLUMNS, JSON | st.none() | NUMBERS | WORDS, max_size=6), max_size=4)},
    optional=dict.fromkeys(("techniques", "outcomes", "months", "interval", "explain", MARK), JSON),
)


@pytest.mark.slow
@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODIES | JSON, is_cut=st.booleans())
def test_no_body_is_a_bug_and_nothing_of_it_comes_back(client, body, is_cut, caplog):
    raw = json.dumps(body).encode()
    response = client.send(raw[: len(raw) // 2] if is_cut else raw)
    assert response.status_code in (200, 400, 413, 422)
    content = response.json()
    if response.status_code == 200:  # ids come back, and names of columns that are not known
        for row in (*content["predictions"], *content["rejects"]):
            assert MARK not in str({**row, "episode_id": "", "patient_id": "", "column": ""})
    else:
        assert MARK not in response.text
    assert MARK not in caplog.text


def test_a_failure_is_told_without_the_numbers_of_the_models(served):
    """Hypothesis prints all arguments of an example that fails; more than this it warns of instead."""
    assert len(pretty(served)) < 2_000


def test_questions_are_equal_to_their_defaults():
    assert read_question(b'{"patients": [], "explain": null}', ServedModels({}).known, max_patients=1) == Question(
        patients=[]
    )
