"""A form for one patient, on this machine alone: it asks what rules and models need, and answers with the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
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
    from starlette.responses import HTMLResponse

LOOPBACK = "127.0.0.1"
HOSTS = ("127.0.0.1", "localhost")
MOST_BYTES = 20_000

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


def make_form(words: Words, given: Mapping[str, str] | None = None, problem: str = "") -> str:
    """Make the form.

    Parameters
    ----------
    words : Words
        The language.
    given : mapping of str to str, optional
        What was filled in before.
    problem : str
        Why that could not be used.

    Returns
    -------
    str
        HTML.
    """
    groups = [(group, [_make_field(EPISODES[name], words) for name in names]) for group, names in ASKED.items()]
    return render("form.html", folder=TEMPLATES, words=words, groups=groups, given=given or {}, problem=problem)


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
        unit=str(words.get("units").get(column.unit, column.unit)) if column.unit else "",
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
    from starlette.responses import HTMLResponse
    from starlette.routing import Route

    words = load_words(language)

    async def show(_: Request) -> HTMLResponse:
        return HTMLResponse(make_form(words), headers=HEADERS)

    async def answer(request: Request) -> HTMLResponse:
        raw = b""
        async for part in request.stream():
            raw += part
            if len(raw) > MOST_BYTES:
                return HTMLResponse(make_form(words, problem="too much was sent"), 413, headers=HEADERS)
        known = {name for names in ASKED.values() for name in names}
        given = {name: value for name, value in parse_qsl(raw.decode("utf-8", "replace")) if name in known}
        try:
            page = write_plan_page(plan(given, models, **asked), given, language=language)
        except PaincastError as error:
            return HTMLResponse(make_form(words, given, str(error)), 422, headers=HEADERS)
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
