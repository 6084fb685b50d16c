from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
import requests
import uvicorn

from paincast.planning.page.form import make_form_app
from paincast.serving.rest.server import listen


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
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return requests.post(address, data=urlencode(given), headers=kind, timeout=30)


def test_the_form_is_answered_with_the_page(address):
    form = requests.get(address, timeout=30)
    assert form.status_code == 200
    assert 'name="indication" required' in form.text
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


def test_only_this_machine_is_answered_and_only_what_is_asked(address):
    assert requests.get(address, headers={"Host": "example.org"}, timeout=30).status_code == 400
    assert post(address, indication="lumbar_facet", age_years="9" * 30_000).status_code == 413
    unknown = post(address, indication="lumbar_facet", patient_name="Zyxwvut")
    assert unknown.status_code == 200
    assert "Zyxwvut" not in unknown.text
