"""POST /predict: numbers, words, ids and rejects of paincast.predict, and errors that hold nothing of the request."""

from __future__ import annotations

import json
import math
import re
import warnings

import pandas as pd
import pytest
import requests

import paincast
from paincast.outcomes import OUTCOMES
from paincast.predictor.rows import PREDICTION_COLUMNS
from paincast.schema import TECHNIQUES
from paincast.serving.rest.answers import MOST_ROWS

PATIENT = {"indication": "lumbar_facet", "pain_nrs": 7, "odi": 44, "age_years": 57, "depression": True}
SECRET = "Zyxwvut Meier"


def expect(patients: list[dict], folder, **asked: object) -> list[dict]:
    """List what paincast.predict answers as JSON would have it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        frame = paincast.predict(patients, folder, **asked)
    places = [place + 1 for place in frame.index]
    plain = frame.astype(object).where(frame.notna() | frame.map(lambda cell: isinstance(cell, list)), None)
    return [{"row": place, **row} for place, row in zip(places, plain.to_dict("records"), strict=True)]


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"techniques": "all"},
        {"techniques": ["facet_rfa", "trigeminal_rhizotomy"], "interval": False},
        {"techniques": "facet_rfa", "outcomes": "pain_response", "explain": 0},
        {"outcomes": ["pain_response", "pain_change"], "months": [6, 12], "explain": 1},
        {"outcomes": "all", "allow_contradicted": True},
    ],
)
def test_the_answer_is_that_of_predict(client, models_folder, asked):
    patients = [
        {**PATIENT, "episode_id": "007", "patient_id": " x "},
        {"indication": "lumbar_radicular_disc", "approach": "caudal", "pain_nrs": "6,5", "odi": 50, "age_years": 200},
        {"indication": "the knee", "pain_nrs": 5, "nothing": 1},
        {"technique": "surgery", "pain_nrs": None},
    ]
    response = client.post({"patients": patients, **asked})
    assert response.status_code == 200
    content = response.json()
    assert content["predictions"] == expect(patients, models_folder, **asked)
    _, rejects = paincast.validate_patients(patients)
    facts = ["row", "column", "rule", "allowed", "action"]
    assert content["rejects"] == rejects[facts].to_dict("records")
    assert [list(row) for row in content["predictions"]] == [["row", *PREDICTION_COLUMNS]] * len(content["predictions"])
    assert set(content["models"]) == {"facet_rfa/pain_response", "epidural_steroid_injection/pain_response"}


@pytest.mark.parametrize(
    ("given", "returned"),
    [([5, 2**40], [5, 2**40]), (["007", " a "], ["007", " a "]), ([1, "b"], ["1", "b"]), ([1, None], ["1", "row-2"])],
)
def test_ids_come_back_as_they_were_given(client, given, returned):
    content = client.post({"patients": [{**PATIENT, "episode_id": name} for name in given]}).json()
    assert [row["episode_id"] for row in content["predictions"]] == returned
    alone = client.post({"patients": [{**PATIENT, "episode_id": given[0]}]}).json()["predictions"][0]
    assert alone["episode_id"] == alone["patient_id"] == given[0]


def test_a_whole_number_may_be_written_with_a_point(client):
    written, plain = (
        client.send(b'{"patients": [{"pain_nrs": 7}], "explain": %s}' % number) for number in (b"1.0", b"1")
    )
    assert written.json() == plain.json()


def test_nobody_is_answered_with_nothing(client):
    content = client.post({"patients": []}).json()
    assert content["predictions"] == content["rejects"] == []


def test_the_answer_to_one_patient_is_strict_json(client):
    text = client.post().text
    assert json.loads(text, parse_constant=pytest.fail)["predictions"][0]["probability"] > 0
    assert client.post().headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        ([], 422, "PC-REST-12"),
        ({}, 422, "PC-REST-14"),
        ({"patients": {"pain_nrs": 7}}, 422, "PC-REST-14"),
        ({"patients": [PATIENT, SECRET]}, 422, "PC-REST-14"),
        ({"patients": [PATIENT], SECRET: 1}, 422, "PC-REST-13"),
        ({"patients": [PATIENT] * 51}, 413, "PC-REST-15"),
        ({"patients": [{f"c{n}": 1 for n in range(1001)}]}, 413, "PC-REST-23"),
        ({"patients": [PATIENT], "techniques": [SECRET]}, 422, "PC-REST-19"),
        ({"patients": [PATIENT], "techniques": []}, 422, "PC-REST-18"),
        ({"patients": [PATIENT], "techniques": {"facet_rfa": SECRET}}, 422, "PC-REST-18"),
        ({"patients": [PATIENT], "techniques": "surgery"}, 422, "PC-SERVING-19"),
        ({"patients": [PATIENT], "outcomes": f"complication_{SECRET}"}, 422, "PC-REST-19"),
        ({"patients": [PATIENT], "months": [0]}, 422, "PC-REST-20"),
        ({"patients": [PATIENT], "months": list(range(1, 100))}, 422, "PC-REST-20"),
        ({"patients": [PATIENT], "interval": SECRET}, 422, "PC-REST-21"),
        ({"patients": [PATIENT], "explain": True}, 422, "PC-REST-22"),
        ({"patients": [PATIENT], "explain": 10**9}, 422, "PC-REST-22"),
        ({"patients": [PATIENT], "explain": 2.5}, 422, "PC-REST-22"),
        ({"patients": [{SECRET: SECRET}]}, 422, "PC-COHORT-07"),
        ({"patients": [{**PATIENT, "odi": [SECRET]}]}, 422, "PC-COHORT-13"),
        ({"patients": [{**PATIENT, "ODI": 3}]}, 422, "PC-COHORT-11"),
    ],
)
def test_an_error_has_a_code_and_nothing_of_the_request(client, content, status, code):
    response = client.post(content)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert set(response.json()) == {"code", "message"}
    assert SECRET not in response.text + str(response.headers)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "PC-REST-11"),
        (b'{"patients": [{"pain_nrs": Zyx}]}', "PC-REST-11"),
        (b'{"patients": [{"pain_nrs": NaN}]}', "PC-REST-17"),
        (b'{"patients": [{"pain_nrs": -Infinity}]}', "PC-REST-17"),
        (b'{"patients": [{"pain_nrs": 7, "pain_nrs": 8}]}', "PC-REST-16"),
        (b'{"patients": [{"pain_nrs": ' + b"9" * 5000 + b"}]}", "PC-REST-11"),
        (b"[" * 20_000, "PC-REST-10"),
        (b'{"patients": "\xff"}', "PC-REST-11"),
    ],
)
def test_what_is_not_json_is_refused(client, body, code):
    response = client.send(body)
    assert (response.status_code, response.json()["code"]) == (400, code)


def test_other_kinds_of_content_are_refused(client):
    for kind in ("text/csv", "application/x-www-form-urlencoded", ""):
        assert client.send(b"{}", kind).json()["code"] == "PC-REST-35"
    zipped = requests.post(f"{client.address}/predict", json={}, headers={"Content-Encoding": "gzip"}, timeout=30)
    assert (zipped.status_code, zipped.json()["code"]) == (415, "PC-REST-35")


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_is_read_up_to_its_limit(client, is_chunked):
    parts = [b"x" * 10_000] * 6
    url, headers = f"{client.address}/predict", {"Content-Type": "application/json"}
    response = requests.post(url, data=iter(parts) if is_chunked else b"".join(parts), headers=headers, timeout=30)
    assert (response.status_code, response.json()["code"]) == (413, "PC-REST-36")


@pytest.mark.parametrize(
    ("n", "asked"),
    [
        (1500, {"techniques": "all", "months": list(range(1, 13))}),
        (1, {"techniques": list(TECHNIQUES[:10]), "outcomes": list(OUTCOMES), "months": [1, 2, 3, 4]}),
    ],
)
def test_an_answer_that_would_be_too_long_is_refused(start, n, asked):
    client = start(max_patients=MOST_ROWS)
    response = client.post({"patients": [{"pain_nrs": 7}] * n, **asked})
    assert (response.status_code, response.json()["code"]) == (413, "PC-REST-31")


def test_numbers_beyond_any_are_rejects(client):
    response = client.send(b'{"patients": [{"pain_nrs": 1e999, "indication": "lumbar_facet"}]}')
    assert response.status_code == 200
    assert response.json()["rejects"][0]["column"] == "pain_nrs"


def test_text_that_is_no_unicode_is_no_bug(client):
    for name in ("episode_id", "indication", "other"):
        body = json.dumps({"patients": [{**PATIENT, name: "\ud800"}, PATIENT]}).encode()
        assert client.send(body).status_code in (200, 422)


def test_responses_are_kept_by_nobody(client):
    headers = client.post().headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert re.fullmatch("[0-9a-f]{32}", headers["x-request-id"])
    assert not {"server", "access-control-allow-origin"} & {name.lower() for name in headers}


def test_probabilities_are_of_the_same_digits(client, models_folder):
    rows = client.post({"patients": [PATIENT]}).json()["predictions"]
    frame = pd.DataFrame(expect([PATIENT], models_folder))
    assert [row["probability"] for row in rows] == frame["probability"].tolist()
    assert not math.isnan(rows[0]["lower"])
