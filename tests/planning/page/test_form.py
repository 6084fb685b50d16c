from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
import requests
import uvicorn

from paincast.planning.page.catalogue import load_words
from paincast.planning.page.form import make_form_app
from paincast.serving.rest.server import listen

FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with listen("127.0.0.1", 0) as listener:
        server = uvicorn.Server(uvicorn.Config(make_form_app(), log_level="warning", access_log=False))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


def post(address: str, **given: str) -> requests.Response:
    return requests.post(address, data=urlencode(given), headers={"Content-Type": FORM}, timeout=30)


def test_the_form_is_answered_with_the_page(address):
    form = requests.get(address, timeout=30)
    assert form.status_code == 200
    assert 'name="indication" required' in form.text
    assert "from 0 to 10 (" not in form.text
    assert "(None)" not in form.text
    answer = post(address, indication="lumbar_facet", age_years="60", active_infection="false")
    assert answer.status_code == 200
    assert '<article aria-labelledby="facet_rfa">' in answer.text
    assert answer.headers["Cache-Control"] == "no-store"


def test_what_cannot_be_used_comes_back_filled_in(address):
    answer = post(address, indication="gout", age_years="60")
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert 'value="60"' in answer.text
    assert "gout" not in answer.text


def test_the_one_fact_that_is_needed_is_named(address):
    for given in ({}, {"indication": ""}, {"age_years": "60"}, {"indication": "Zyxwvut"}):
        answer = post(address, **given)
        assert answer.status_code == 422
        assert load_words("en").get("form", "needed") in answer.text
        assert "paincast schema" not in answer.text
        assert "Zyxwvut" not in answer.text


def test_values_that_a_field_cannot_hold_are_not_shown_again(address):
    answer = post(address, age_years="Zyxwvut", sex="Zyxwvut", bmi="inf", pain_nrs="7")
    assert answer.status_code == 422
    assert "Zyxwvut" not in answer.text
    assert 'value="inf"' not in answer.text
    assert 'value="7"' in answer.text


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b"indication=lumbar_facet&" * 50_000, FORM, 413, "PC-PLAN-42"),
        (b"indication=Zyxwvut&age_years=" + b"9" * 30_000, FORM, 413, "PC-PLAN-42"),
        (b"\xff\x00Zyxwvut", FORM, 400, "PC-PLAN-43"),
        (b"Zyxwvut%00=%ff", FORM, 400, "PC-PLAN-43"),
        (b"indication=lumbar_facet&indication=Zyxwvut", FORM, 400, "PC-PLAN-43"),
        (b"&".join(b"Zyxwvut%d=1" % number for number in range(300)), FORM, 400, "PC-PLAN-43"),
        (b'{"indication": "Zyxwvut"}', "application/json", 415, "PC-PLAN-41"),
        (b"Zyxwvut", "", 415, "PC-PLAN-41"),
    ],
)
def test_what_is_no_form_is_one_line_without_any_of_it(address, body, kind, status, code):
    answer = requests.post(address, data=body, headers={"Content-Type": kind}, timeout=30)
    assert answer.status_code == status
    assert code in answer.text
    assert answer.text.count("\n") == 1
    assert "Zyxwvut" not in answer.text
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["Cache-Control"] == "no-store"


def test_only_this_machine_is_answered_and_only_what_is_asked(address):
    assert requests.get(address, headers={"Host": "example.org"}, timeout=30).status_code == 400
    assert post(address, indication="lumbar_facet", age_years="9" * 30_000).status_code == 413
    unknown = post(address, indication="lumbar_facet", patient_name="Zyxwvut")
    assert unknown.status_code == 200
    assert "Zyxwvut" not in unknown.text
