from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

import pytest

from paincast.errors import OutputError, SettingsError
from paincast.tracking import Store, review_command
from paincast.tracking.review import PORTS_TRIED, find_free_port, review_environment

REVIEW_SECONDS = 90.0
OPEN = """
import sys
from paincast.tracking import Store, open_review
sys.exit(open_review(Store(*sys.argv[1:4]), port=int(sys.argv[4]), open_browser=False))
"""


def test_command_serves_the_store_to_this_machine_only():
    store = Store("sqlite:////data/mlflow.db", "/data/ml artifacts", "paincast")
    command = review_command(store, port=5005)
    assert command[1:4] == ["-m", "mlflow", "server"]
    assert review_environment(store)["MLFLOW_BACKEND_STORE_URI"] == "sqlite:////data/mlflow.db"
    assert "file:///data/ml%20artifacts" in command
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert command[command.index("--port") + 1] == "5005"


def test_no_command_line_shows_a_password():
    store = Store("postgresql+psycopg://user:secret@host/runs", "/share", "paincast")
    assert "secret" not in " ".join(review_command(store))
    assert "secret" in review_environment(store)["MLFLOW_REGISTRY_STORE_URI"]


def test_a_tracking_server_has_its_own_page():
    with pytest.raises(SettingsError, match="the store http://host:5000 is a server with its own UI"):
        review_command(Store("http://host:5000", None, "paincast"))


def test_a_taken_port_is_passed_over():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert port < find_free_port(first=port) <= port + PORTS_TRIED


def test_no_free_port_is_said_in_words(monkeypatch):
    monkeypatch.setattr("paincast.tracking.review.PORTS_TRIED", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OutputError, match=r"no free port from \d+ .*give another with --port"):
            find_free_port(first=taken.getsockname()[1])


@pytest.mark.slow
def test_the_page_opens_and_ends_with_an_interrupt(recorded):
    port = find_free_port(first=5100)
    store = recorded.store
    command = [sys.executable, "-c", OPEN, store.uri, str(store.artifacts), store.experiment, str(port)]
    with start_review(command) as review:
        assert f"http://127.0.0.1:{port}/#/experiments/1" in review.stdout.readline()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as page:
            assert "MLflow" in page.read().decode()
        review.send_signal(signal.SIGINT)
        assert review.wait(timeout=30) == 0
    assert _is_closed(port)


@contextmanager
def start_review(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """Start a review whose processes are gone afterwards, and end at the latest when the time is over."""
    env = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env, start_new_session=True) as review:
        end = partial(os.killpg, review.pid, signal.SIGKILL)
        timer = threading.Timer(REVIEW_SECONDS, end)
        timer.start()
        try:
            yield review
        finally:
            timer.cancel()
            with suppress(ProcessLookupError):
                end()


def _is_closed(port: int) -> bool:
    for _ in range(50):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return True
        time.sleep(0.1)
    return False
