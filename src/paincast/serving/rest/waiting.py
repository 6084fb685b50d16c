"""Requests that wait for an answer: few at most, answered by one thread, all that wait at once.

One patient costs almost as much as twenty, so requests that come together are answered together.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from paincast.errors import PaincastError
from paincast.serving.rest.answers import Reply, answer_questions
from paincast.serving.rest.body import Question, read_question
from paincast.serving.rest.errors import RequestError, describe_place, report_bug
from paincast.serving.rest.models import ServedModels

LOG = logging.getLogger("paincast.rest")

MOST_TOGETHER = 100_000
"""Most bytes of requests that are answered together; a larger one is answered alone."""

MOMENT = 0.01
"""Seconds within which a client that has its answer sends its next request, if it asks one after the other."""


@dataclass
class Waiting:
    """A request that waits for its answer."""

    raw: bytes
    reply: Future[Reply] = field(default_factory=Future)


class WaitingRoom:
    """Requests in the order in which they came, and the thread that answers them.

    Parameters
    ----------
    models : callable
        Gives the models that are served now.
    max_patients : int
        Most patients of a request.
    max_waiting : int
        Most requests that wait.
    """

    def __init__(self, models: Callable[[], ServedModels], *, max_patients: int, max_waiting: int) -> None:
        self._models = models
        self._max_patients = max_patients
        self._max_waiting = max_waiting
        self._waiting: deque[Waiting] = deque()
        self._changed = threading.Condition()
        self._is_open = True
        self._thread = threading.Thread(target=self._work, name="paincast-answers", daemon=True)
        self._thread.start()

    def enter(self, raw: bytes) -> Future[Reply]:
        """Let a request wait for its answer; cancel the future when nobody waits for it any more.

        Raises
        ------
        RequestError
            If too many wait already.
        """
        waiting = Waiting(raw)
        with self._changed:
            if not self._is_open or len(self._waiting) >= self._max_waiting:
                raise RequestError(
                    "too many requests are waiting; try again", code="PC-REST-32", status=503, headers=RETRY
                )
            self._waiting.append(waiting)
            self._changed.notify()
        return waiting.reply

    def close(self) -> None:
        """Answer those who wait, and end the thread."""
        with self._changed:
            self._is_open = False
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        answered = 0
        while batch := self._take(answered):
            _answer(self._models(), batch, self._max_patients)
            answered = len(batch)

    def _take(self, answered: int) -> list[Waiting]:
        """Take those who wait, up to a size; nobody once the room is closed.

        Whoever was just answered may ask again at once: for so many more it waits a moment.
        """
        with self._changed:
            expected = len(self._waiting) + answered
            self._changed.wait_for(lambda: not self._is_open or len(self._waiting) >= expected, timeout=MOMENT)
            while self._is_open and not self._waiting:
                self._changed.wait()
            batch: list[Waiting] = []
            size = 0
            while self._waiting and (not batch or size + len(self._waiting[0].raw) <= MOST_TOGETHER):
                batch.append(self._waiting.popleft())
                size += len(batch[-1].raw)
            return batch


RETRY = {"Retry-After": "1"}


def _answer(served: ServedModels, batch: Sequence[Waiting], max_patients: int) -> None:
    """Answer requests by one set of models; whatever goes wrong with one is not the others'."""
    wanted = [waiting for waiting in batch if waiting.reply.set_running_or_notify_cancel()]
    questions: list[tuple[Waiting, Question]] = []
    for waiting in wanted:
        try:
            questions.append((waiting, read_question(waiting.raw, served.known, max_patients=max_patients)))
        except PaincastError as error:
            waiting.reply.set_exception(error)
        except Exception as error:
            waiting.reply.set_exception(_note_bug(error))
    _answer_together(served, questions)


def _answer_together(served: ServedModels, questions: Sequence[tuple[Waiting, Question]]) -> None:
    try:
        replies = answer_questions(served, [question for _, question in questions])
    except Exception as error:
        if len(questions) == 1:
            questions[0][0].reply.set_exception(_note_bug(error))
            return
        for alone in questions:
            _answer_together(served, [alone])
        return
    for (waiting, _), reply in zip(questions, replies, strict=True):
        _settle(waiting, reply)


def _settle(waiting: Waiting, reply: Reply | PaincastError) -> None:
    if isinstance(reply, Reply):
        waiting.reply.set_result(reply)
    else:
        waiting.reply.set_exception(reply)


def _note_bug(error: Exception) -> RequestError:
    LOG.error("bug: %s\n%s", type(error).__name__, describe_place(error))
    return report_bug()
