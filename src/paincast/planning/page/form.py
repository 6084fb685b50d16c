"""A form for one patient, on this machine alone: it asks what rules and models need, and answers with the page."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl

from paincast.errors import PaincastError
from paincast.planning.page.catalogue import Words, load_words
from paincast.planning.page.naming import name_column, name_indication, write_value
from paincast.planning.page.writing import TEMPLATES, write_plan_page
from paincast.planning.planner import plan
from paincast.reporting.rendering import render
from paincast.schema import EPISODES, Column
from paincast.serving.rest import guard
from paincast.serving.rest.server import listen

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import HTMLResponse, Response

LOOPBACK = "127.0.0.1"
HOSTS = ("127.0.0.1", "localhost")
POINTS = "NRS points"
"""A unit that the label of a field tells already."""

MOST_BYTES = 20_000
MOST_FIELDS = 200
POSTED = "application/x-www-form-urlencoded"

HEADERS = {
    **guard.HEADERS,
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
    ),
}
"""Those of the REST server, but that the page needs its own style."""

ASKED: Mapping[str, tuple[str, ...]] = {
    "pain": (
        *("indication", "pain_nrs", "pain_duration_months", "opioid_mme", "prior_procedure", "prior_spine_surgery"),
        *("spine_operations", "scoliosis"),
    ),
    "you": ("age_years", "sex", "bmi", "smoker", "work_status", "depression", "anxiety"),
    "health": (
        *("active_infection", "pregnant", "anticoagulant", "coagulation_disorder", "inr", "platelets_10e9_per_l"),
        *("contrast_allergy", "cardiac_device", "cardiovascular_disease", "diabetes", "active_psychosis"),
        *("untreated_major_depression", "substance_use_disorder", "life_expectancy_months", "bowel_obstruction"),
        *(
            "systolic_blood_pressure_mmhg",
            "peripheral_artery_disease",
            "egfr_ml_min_1_73m2",
            "planned_knee_replacement",
        ),
    ),
    "tests": ("diagnostic_blocks_positive", "test_block_success", "stimulation_trial_success"),
}
"""Columns that the form asks, by group; a test holds that no column of a contraindication is missing."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """A field of the form: a number, or one of several answers."""

    name: str
    label: str
    unit: str
    is_required: bool
    answers: tuple[tuple[str, str], ...] = ()
    low: float | None = None
    high: float | None = None

    def takes(self, value: str) -> bool:
        """Tell whether a value is one that the field can hold, so that it may be shown again."""
        if self.answers:
            return value in dict(self.answers)
        try:
            number = float(value)
        except ValueError:
            return False
        return -math.inf < number < math.inf and value.isascii()


class Refusal(NamedTuple):
    """Why what was sent is no form, without any of it."""

    status: int
    code: str
    text: str


NO_FORM = Refusal(415, "PC-PLAN-41", f"send the fields of the form as {POSTED}")
TOO_MUCH = Refusal(413, "PC-PLAN-42", f"too much was sent; a form has at most {MOST_BYTES:,} bytes")
GARBLED = Refusal(400, "PC-PLAN-43", "what was sent cannot be read as fields of the form, each once, in UTF-8")


async def _read_post(request: Request) -> dict[str, str] | Refusal:
    """Read the fields that were filled in, or refuse what is no form."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != POSTED:
        return NO_FORM
    raw = b""
    async for part in request.stream():
        raw += part
        if len(raw) > MOST_BYTES:
            return TOO_MUCH
    try:
        pairs = parse_qsl(raw.decode("ascii"), True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:  # also what is no text
        return GARBLED
    if len(dict(pairs)) < len(pairs) or not all(value.isprintable() for pair in pairs for value in pair):
        return GARBLED
    return {name: value for name, value in pairs if value}


def make_form(
    words: Words, given: Mapping[str, str] | None = None, problem: str = "", *, lacks_cause: bool = False
) -> str:
    """Make the form.

    Parameters
    ----------
    words : Words
        The language.
    given : mapping of str to str, optional
        What was filled in before.
    problem : str
        Why that could not be used, in English.
    lacks_cause : bool
        Whether the one fact that is needed was not given.

    Returns
    -------
    str
        HTML.
    """
    groups = [(group, [_make_field(EPISODES[name], words) for name in names]) for group, names in ASKED.items()]
    told = {"given": given or {}, "problem": problem, "lacks_cause": lacks_cause}
    return render("form.html", folder=TEMPLATES, words=words, groups=groups, **told)


def _make_field(column: Column, words: Words) -> Field:
    if column.type == "boolean":
        answers = [("true", words.write("page", "is_true")), ("false", words.write("page", "is_false"))]
    elif column.name == "indication":
        answers = [(name, name_indication(name, words)) for name in column.categories]
    else:
        answers = [(name, write_value(column.name, name, words)) for name in column.categories]
    return Field(
        name=column.name,
        label=name_column(column.name, words),
        unit=str(words.get("units").get(column.unit, column.unit)) if column.unit and column.unit != POINTS else "",
        is_required=column.name == "indication",
        answers=tuple(answers),
        low=column.low,
        high=column.high,
    )


def make_form_app(models: object = None, *, language: str = "en", **asked: Any) -> Starlette:
    """Make the application that shows the form and answers it.

    Parameters
    ----------
    models : path, mapping or None
        Models, as for :func:`paincast.plan`.
    language : str
        Language of form and page.
    **asked
        Month, preferences and prices, as for :func:`paincast.plan`.

    Returns
    -------
    Starlette
        It keeps nothing, and answers only under a name of this machine.
    """
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.responses import HTMLResponse, PlainTextResponse
    from starlette.routing import Route

    words = load_words(language)
    fields = {name: _make_field(EPISODES[name], words) for names in ASKED.values() for name in names}

    async def show(_: Request) -> HTMLResponse:
        return HTMLResponse(make_form(words), headers=HEADERS)

    async def answer(request: Request) -> Response:
        given = await _read_post(request)
        if isinstance(given, Refusal):
            return PlainTextResponse(f"{given.text} [{given.code}]\n", given.status, headers=HEADERS)
        known = {name: value for name, value in given.items() if name in fields}
        kept = {name: value for name, value in known.items() if fields[name].takes(value)}
        if "indication" not in kept:
            return HTMLResponse(make_form(words, kept, lacks_cause=True), 422, headers=HEADERS)
        try:
            page = write_plan_page(plan(known, models, **asked), known, language=language)
        except PaincastError as error:
            return HTMLResponse(make_form(words, kept, str(error)), 422, headers=HEADERS)
        return HTMLResponse(page, headers=HEADERS)

    routes = [Route("/", show, methods=["GET"]), Route("/", answer, methods=["POST"])]
    return Starlette(routes=routes, middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS))])


def serve_form(app: Starlette, port: int, *, tell: Callable[[str], None] = print) -> None:
    """Serve the form on this machine until the process is asked to stop.

    Raises
    ------
    OutputError
        If the port cannot be listened on.
    """
    import uvicorn

    with listen(LOOPBACK, port) as listener:
        listener.listen()  # a browser that comes at once waits until the application is ready
        tell(f"the form is at http://{LOOPBACK}:{listener.getsockname()[1]} on this machine only; end with Ctrl-C")
        config = uvicorn.Config(app, access_log=False, log_config=None, log_level="warning", server_header=False)
        uvicorn.Server(config).run([listener])
