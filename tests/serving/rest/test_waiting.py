"""Requests that wait are answered together, and clients that ask one after the other stay together."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from paincast.serving.rest import waiting
from paincast.serving.rest.answers import Reply
from paincast.serving.rest.models import ServedModels
from paincast.serving.rest.waiting import Waiting, WaitingRoom


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many were answered together; an answer takes 20 ms."""
    found: list[int] = []

    def answer(served: ServedModels, batch: Sequence[Waiting], max_patients: int) -> None:  # noqa: ARG001
        found.append(len(batch))
        time.sleep(0.02)
        for one in batch:
            one.reply.set_result(Reply(body=b"", facts={}))

    monkeypatch.setattr(waiting, "_answer", answer)
    return found


@pytest.fixture
def room() -> Iterator[WaitingRoom]:
    room = WaitingRoom(lambda: ServedModels({}), max_patients=1, max_waiting=100)
    yield room
    room.close()


def ask(room: WaitingRoom, times: int) -> None:
    for _ in range(times):
        room.enter(b"{}").result(timeout=30)


def test_clients_that_ask_one_after_the_other_stay_together(room: WaitingRoom, sizes: list[int]) -> None:
    clients = [threading.Thread(target=ask, args=(room, 20)) for _ in range(6)]
    for client in clients:
        client.start()
        time.sleep(0.015)  # they would take turns, two groups of them, if nobody was waited for
    for client in clients:
        client.join()
    assert sum(sizes) == 120
    assert sum(size == 6 for size in sizes) >= 5


def test_nobody_is_waited_for_where_a_client_is_alone_or_gone(room: WaitingRoom, sizes: list[int]) -> None:
    began = time.monotonic()
    ask(room, 20)
    assert sizes == [1] * 20
    clients = [threading.Thread(target=ask, args=(room, times)) for times in (1, 20)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert time.monotonic() - began < 20
    assert sum(sizes) == 41
