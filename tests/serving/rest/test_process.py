"""The process of paincast serve: how it starts, and that running requests are done when it stops."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from paincast.cli import app
from paincast.serving.rest.server import listen

PATIENT = {"indication": "lumbar_facet", "pain_nrs": 7, "odi": 44, "age_years": 57}


@pytest.fixture
def launch(models_folder: Path) -> Iterator:
    """Start a server as a process; returns it and its address once it is ready."""
    started = []

    def launch_server(*options: str) -> tuple[subprocess.Popen, str]:
        command = [sys.executable, "-m", "paincast", "serve", str(models_folder), "--port", "0", *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stderr is not None
        address = next(found[0] for line in process.stderr if (found := re.search(r"http://[\d.:]+", line)))
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if requests.get(f"{address}/ready", timeout=10).ok:
                    return process, address
            except requests.ConnectionError:
                time.sleep(0.05)
        raise TimeoutError

    yield launch_server
    for process in started:
        process.kill()
        process.communicate(timeout=60)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=["alone", "workers"])
def test_a_stop_lets_running_requests_finish(launch, number, options):
    process, address = launch(*options)
    # So many patients that the request is still running when the signal comes.
    asked = {"patients": [{**PATIENT, "age_years": 20 + n % 70} for n in range(1000)], "techniques": "all"}
    answered: list[requests.Response] = []
    asking = threading.Thread(
        target=lambda: answered.append(requests.post(f"{address}/predict", json=asked, timeout=60))
    )
    asking.start()
    time.sleep(0.15)
    process.send_signal(number)
    asking.join()
    assert process.wait(30) == 0
    assert answered[0].status_code == 200
    assert len(answered[0].json()["predictions"]) == 2000
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{address}/health", timeout=10)


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced(launch):
    process, address = launch("--workers", "2")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        pytest.skip("needs to see the children of a process")
    workers = [int(number) for number in children.read_text().split()]
    spawned = [number for number in workers if b"spawn_main" in Path(f"/proc/{number}/cmdline").read_bytes()]
    os.kill(spawned[0], signal.SIGKILL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        now = {int(number) for number in children.read_text().split()}
        if len(now) >= len(workers) and spawned[0] not in now:
            break
        time.sleep(0.1)
    assert requests.post(f"{address}/predict", json={"patients": [PATIENT]}, timeout=30).status_code == 200
    process.terminate()
    assert process.wait(60) == 0


@pytest.mark.slow
def test_no_worker_outlives_its_parent(launch):
    process, address = launch("--workers", "2")
    process.kill()
    process.communicate(timeout=60)  # ends when the last process has closed its standard error
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{address}/health", timeout=10)


@pytest.mark.slow
def test_processes_share_the_connections_that_come_at_once(launch):
    process, address = launch("--workers", "2")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        pytest.skip("needs to see the children of a process")
    host, port = address.removeprefix("http://").split(":")
    workers = [Path(f"/proc/{number}") for number in children.read_text().split()]
    workers = [folder for folder in workers if b"spawn_main" in (folder / "cmdline").read_bytes()]
    smaller: list[int] = []
    deadline = time.monotonic() + 60
    while len(smaller) < 4 and time.monotonic() < deadline:
        before = [len(list((folder / "fd").iterdir())) for folder in workers]
        opened = [socket.create_connection((host, int(port))) for _ in range(16)]
        time.sleep(1)
        shares = [len(list((folder / "fd").iterdir())) - n for folder, n in zip(workers, before, strict=True)]
        smaller += [min(shares)] if smaller or min(shares) else []  # the second process may still be starting
        for connection in opened:
            connection.close()
        time.sleep(1)
    assert len(workers) == 2
    assert sum(smaller) >= 20  # of 32


@pytest.fixture
def own_log(monkeypatch):
    """Let a command log to the standard error of this test, and no other test to it."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])


@pytest.mark.usefixtures("own_log")
def test_a_port_in_use_is_said_in_a_line(models_folder, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert app.run(["serve", str(models_folder), "--port", str(port)]) == 2
    told = capsys.readouterr().err.strip()
    assert "\n" not in told
    assert (str(port) in told, "PC-REST-60" in told) == (True, True)


def test_answers_do_not_wait_to_be_sent():
    with listen("127.0.0.1", 0) as listener:  # asyncio looks at this before it turns the waiting off
        assert listener.proto == socket.IPPROTO_TCP


@pytest.mark.usefixtures("own_log")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["nowhere", "--port", "0"], "PC-REST-41"),
        (["--host", "0.0.0.0"], "PC-REST-02"),
        (["--token-file", "nowhere"], "PC-REST-03"),
        (["--host", "no such host", "--port", "0"], "PC-REST-02"),
    ],
)
def test_what_cannot_be_served_is_said_in_a_line(arguments, code, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PAINCAST_TOKEN", raising=False)
    assert app.run(["serve", *arguments]) == 2
    told = capsys.readouterr().err.strip()
    assert "\n" not in told
    assert f"[{code}]" in told
