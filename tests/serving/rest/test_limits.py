"""Limits, tokens, the audit log, and what a bug may show."""

from __future__ import annotations

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from paincast.errors import SettingsError
from paincast.serving.rest import waiting
from paincast.serving.rest.options import ServerOptions, check_options, read_token

TOKEN = "0123456789abcdef"
SECRET = "Zyxwvut Meier"
QUESTION = {"patients": [{"indication": "lumbar_facet", "pain_nrs": 7, "episode_id": SECRET, "sex": SECRET}]}


@pytest.fixture
def hold(monkeypatch):
    """Make the thread that answers wait until it is let go."""
    go, answer = threading.Event(), waiting.answer_questions
    go.taken = threading.Event()

    def answer_later(*told):
        go.taken.set()
        go.wait(20)
        return answer(*told)

    monkeypatch.setattr(waiting, "answer_questions", answer_later)
    yield go
    go.set()


def test_who_comes_when_too_many_wait_is_told_to_try_again(start, hold):
    client = start(max_waiting=2)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(client.post)]
        hold.taken.wait(20)
        asked += [pool.submit(client.post) for _ in range(7)]
        while sum(one.done() for one in asked) < 5:
            time.sleep(0.01)
        hold.set()
        responses = [one.result() for one in asked]
    refused = [response for response in responses if response.status_code != 200]
    assert {(response.status_code, response.json()["code"]) for response in refused} == {(503, "PC-REST-32")}
    assert {response.headers["retry-after"] for response in refused} == {"1"}
    assert len(refused) == 5
    assert client.post().status_code == 200


def test_an_answer_that_takes_too_long_is_given_up(start, hold):
    client = start(timeout_seconds=0.2)
    response = client.post()
    assert (response.status_code, response.json()["code"]) == (504, "PC-REST-34")
    hold.set()
    assert client.post().status_code == 200


def test_a_body_that_does_not_come_is_given_up(start):
    client = start(timeout_seconds=0.2)
    port = int(client.address.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
        slow.sendall(
            b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
        )
        told = slow.recv(10_000)
        while b"}" not in told:
            told += slow.recv(10_000)
    assert told.startswith(b"HTTP/1.1 408 ")
    assert b"PC-REST-33" in told
    assert client.post().status_code == 200


def test_a_bug_is_one_request_s_own_and_shows_nothing(start, monkeypatch, caplog):
    answer = waiting.answer_questions

    def fail(served, questions):
        if any(question.patients[0].get("episode_id") == SECRET for question in questions):
            raise ValueError(SECRET)
        return answer(served, questions)

    monkeypatch.setattr(waiting, "answer_questions", fail)
    client = start()
    with ThreadPoolExecutor(8) as pool:
        wrong = [pool.submit(client.post, QUESTION) for _ in range(3)]
        right = [pool.submit(client.post) for _ in range(5)]
    assert {one.result().status_code for one in right} == {200}
    for response in (one.result() for one in wrong):
        assert (response.status_code, response.json()["code"]) == (500, "PC-REST-01")
        assert SECRET not in response.text
    assert "ValueError" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize("sent", [None, "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer ä"])
def test_without_the_token_only_probes_are_answered(start, sent, tmp_path):
    client = start(token=TOKEN, audit=tmp_path / "audit.jsonl")
    headers = {} if sent is None else {"Authorization": sent.encode("latin-1")}
    for path in ("/models", "/openapi.json", "/nothing"):
        response = requests.get(client.address + path, headers=headers, timeout=10)
        assert (response.status_code, response.json()["code"]) == (401, "PC-REST-05")
        assert response.headers["www-authenticate"] == "Bearer"
    assert requests.post(f"{client.address}/predict", json=QUESTION, headers=headers, timeout=10).status_code == 401
    assert [requests.get(client.address + path, timeout=10).status_code for path in ("/health", "/ready")] == [200, 200]
    assert client.post().status_code == 200
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [line["status"] for line in lines] == [401] * 4 + [200]


def test_a_token_comes_from_a_file_or_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("PAINCAST_TOKEN", raising=False)
    assert read_token(None) is None
    monkeypatch.setenv("PAINCAST_TOKEN", f"{TOKEN}\n")
    (tmp_path / "token").write_text(f"{TOKEN}9\n")
    assert read_token(None) == TOKEN
    assert read_token(tmp_path / "token") == f"{TOKEN}9"
    for wrong in ("", "short", "0123456789 abcdef", "ä" * 20):
        (tmp_path / "token").write_text(wrong)
        with pytest.raises(SettingsError) as caught:
            read_token(tmp_path / "token")
        assert caught.value.code == "PC-REST-04"
        assert not wrong or wrong not in str(caught.value)
    with pytest.raises(SettingsError) as caught:
        read_token(tmp_path / "absent")
    assert caught.value.code == "PC-REST-03"


@pytest.mark.parametrize(("host", "is_local"), [("127.0.0.9", True), ("::1", True), ("localhost", True)])
def test_this_machine_needs_no_token(host, is_local):
    assert ServerOptions(host=host).is_local is is_local
    check_options(ServerOptions(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "pain.example.org", ""])
def test_other_machines_are_served_with_a_token_only(host):
    with pytest.raises(SettingsError) as caught:
        check_options(ServerOptions(host=host))
    assert caught.value.code == "PC-REST-02"
    check_options(ServerOptions(host=host, token=TOKEN))


def test_the_audit_log_counts_and_holds_no_value(start, tmp_path):
    client = start(audit=tmp_path / "audit.jsonl", max_patients=5)
    client.post(QUESTION)
    client.post({"patients": [{"indication": "lumbar_facet", "pain_nrs": 7}] * 2, "techniques": ["facet_rfa"]})
    client.post({"patients": [QUESTION["patients"][0]] * 6})
    client.send(SECRET.encode())
    text = (tmp_path / "audit.jsonl").read_text()
    answered, named, refused, no_json = [json.loads(line) for line in text.splitlines()]
    assert SECRET not in text
    assert (answered["status"], answered["patients"], answered["answers"]) == (200, 1, 1)
    assert answered["rejects"] == {"category": 1}
    assert named["asked"]["techniques"] == ["facet_rfa"]
    assert (named["answers"], set(named["models"])) == (2, {"facet_rfa/pain_response"})
    assert (refused["status"], refused["code"]) == (413, "PC-REST-15")
    assert (no_json["status"], no_json["code"]) == (400, "PC-REST-11")
    assert all(line["time"] and len(line["request"]) == 32 and line["client"] for line in (answered, refused))
    assert (tmp_path / "audit.jsonl").stat().st_mode & 0o077 == 0


def test_the_audit_log_holds_the_address_of_who_asks_not_what_it_says(start, tmp_path):
    client = start(audit=tmp_path / "audit.jsonl")
    client.headers["X-Forwarded-For"] = SECRET
    assert client.post(QUESTION).status_code == 200
    assert json.loads((tmp_path / "audit.jsonl").read_text())["client"] == "127.0.0.1"


def test_no_answer_leaves_without_its_line_in_the_log(start, tmp_path):
    client = start(audit=tmp_path)
    response = client.post(QUESTION)
    assert (response.status_code, response.json()["code"]) == (503, "PC-REST-51")


def test_what_is_not_there_is_told_as_json(client):
    assert client.get(f"/{SECRET}").json()["code"] == "PC-REST-06"
    assert SECRET not in client.get(f"/{SECRET}").text
    for response in (client.get("/predict"), requests.delete(f"{client.address}/models", timeout=10)):
        assert (response.status_code, response.json()["code"]) == (405, "PC-REST-07")
        assert response.headers["allow"]
    slash = requests.get(f"{client.address}/models/?name={SECRET}", timeout=10, allow_redirects=False)
    assert (slash.status_code, "location" in slash.headers) == (404, False)
    assert client.get("/docs").status_code == client.get("/redoc").status_code == 404


def test_the_server_says_that_it_lives_and_what_it_serves(client):
    assert client.get("/health").json()["status"] == "alive"
    ready = client.get("/ready").json()
    assert (ready["ready"], ready["models"], ready["problems"]) == (True, 2, [])
    models = client.get("/models").json()["models"]
    assert [model["name"] for model in models] == [
        "epidural_steroid_injection/pain_response",
        "facet_rfa/pain_response",
    ]
    assert {(model["use"], model["basis"], model["n_real"]) for model in models} == {
        ("research use only", "synthetic", 0)
    }
