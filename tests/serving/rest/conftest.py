"""Servers in threads, and what is asked of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn

from paincast.serving.rest.app import make_app
from paincast.serving.rest.options import ServerOptions
from paincast.serving.rest.server import configure, listen
from paincast.serving.rest.sources import ModelSources

QUESTION = {"patients": [{"indication": "lumbar_facet", "pain_nrs": 7, "odi": 44, "age_years": 57}]}


@dataclass
class Client:
    """Asks a server."""

    address: str
    sources: ModelSources
    headers: dict[str, str] = field(default_factory=dict)

    def post(self, content: object = QUESTION, **more: Any) -> requests.Response:
        return requests.post(f"{self.address}/predict", json=content, headers=self.headers, timeout=30, **more)

    def send(self, body: bytes, kind: str = "application/json") -> requests.Response:
        headers = {**self.headers, "Content-Type": kind}
        return requests.post(f"{self.address}/predict", data=body, headers=headers, timeout=30)

    def get(self, path: str) -> requests.Response:
        return requests.get(f"{self.address}{path}", headers=self.headers, timeout=30)


@contextmanager
def run_server(options: ServerOptions) -> Iterator[Client]:
    sources = ModelSources(options.models)
    server = uvicorn.Server(configure(make_app(options, sources), options))
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            headers = {} if options.token is None else {"Authorization": f"Bearer {options.token}"}
            yield Client(f"http://127.0.0.1:{listener.getsockname()[1]}", sources, headers)
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def start(models_folder: Path) -> Iterator[Callable[..., Client]]:
    """Start servers of the two small models, with other options where they are given."""
    opened = []

    def open_server(**options: Any) -> Client:
        server = run_server(ServerOptions(**{"models": (str(models_folder),), **options}))
        opened.append(server)
        return server.__enter__()

    yield open_server
    for server in opened:
        server.__exit__(None, None, None)


@pytest.fixture(scope="session")
def client(models_folder: Path) -> Iterator[Client]:
    """A server of the two small models that several tests share."""
    with run_server(ServerOptions(models=(str(models_folder),), max_patients=50, max_bytes=50_000)) as client:
        yield client
