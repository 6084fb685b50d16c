"""The command that makes the plan of a patient: text, JSON, the page that a patient can read, or a form for one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from paincast.cli.terminal.printing import echo
from paincast.errors import SettingsError

FILE = click.Path(path_type=Path)
PORT = 8010
ENGLISH = "en"


@click.command(name="plan")
@click.argument("patient", type=FILE, required=False)
@click.option("--models", metavar="DIR", help="Models that answer; by default published evidence alone.")
@click.option("--month", type=float, metavar="M", help="Month of all expected outcomes. Default: that of most answers.")
@click.option("--preferences", type=FILE, metavar="FILE", help="YAML: weights of patient or clinic.")
@click.option("--prices", type=FILE, metavar="FILE", help="YAML: prices, in place of those shipped.")
@click.option("--comparison", type=FILE, metavar="FILE", help="JSON: a comparison of techniques that passed.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON (docs/plan.schema.json) instead of text.")
@click.option("--html", "as_html", is_flag=True, help="Write the page that a patient can read, one file, to --out.")
@click.option("--serve", is_flag=True, help="Serve a form on this machine alone, which answers with the page.")
@click.option("--port", type=click.IntRange(0, 65535), help=f"Port of --serve. Default: {PORT}.")
@click.option("--language", metavar="CODE", help="Language of the page; pseudo tests a translation. Default: en.")
@click.option("-o", "--out", metavar="FILE", type=click.Path(path_type=Path), help="Write to FILE.")
def make_plan(
    patient: Path | None,
    models: str | None,
    month: float | None,
    preferences: Path | None,
    prices: Path | None,
    comparison: Path | None,
    as_json: bool,
    as_html: bool,
    serve: bool,
    port: int | None,
    language: str | None,
    out: Path | None,
) -> None:
    """Make the plan of one PATIENT: which techniques fit, what is missing, what to expect, and how sure that is.

    PATIENT is a YAML or JSON file of columns and values, or a table with one row.

    --html writes a page in plain English for the patient: pictures of 100 people with and without the procedure, what
    can go wrong, what is not known, and room for what matters to the patient. It repeats the values of PATIENT, so that
    they can be checked. --serve asks for them in a form instead; nothing is kept, and only this machine is answered.

    \b
    Examples:
      paincast plan patient.yaml
      paincast plan patient.yaml --html -o plan.html
      paincast plan --serve --models models
      paincast plan patient.yaml --models models --month 6
      paincast plan patient.yaml --preferences weights.yaml --json -o plan.json
    """  # noqa: D301
    asked = {"month": month, "preferences": preferences, "prices": prices, "comparison": comparison}
    if as_json + as_html + serve > 1:
        raise SettingsError("--json, --html and --serve exclude each other", code="PC-CLI-40")
    if language is not None and not (as_html or serve):
        raise SettingsError("--language is of the page: give --html or --serve with it", code="PC-CLI-44")
    if port is not None and not serve:
        raise SettingsError("--port is that of the form: give --serve with it", code="PC-CLI-45")
    if serve:
        from paincast.planning.page.form import make_form_app, serve_form

        if patient is not None or out is not None:
            raise SettingsError(
                "--serve takes neither a PATIENT nor --out: the form asks and answers", code="PC-CLI-41"
            )
        serve_form(
            make_form_app(models, language=language or ENGLISH, **asked), PORT if port is None else port, tell=echo
        )
        return
    if patient is None:
        raise SettingsError("give the file of a PATIENT, or --serve", code="PC-CLI-42")
    if as_html and out is None:
        raise SettingsError("--html needs --out FILE", code="PC-CLI-43")
    text = _write(patient, models, asked, "html" if as_html else "json" if as_json else "text", language or ENGLISH)
    if out is None:
        echo(text, nl=False)
        return
    from paincast.files import atomic_file

    with atomic_file(out) as draft:
        draft.write_text(text, encoding="utf-8")
    echo(f"written: {out}")


def _write(patient: Path, models: str | None, asked: dict[str, Any], form: str, language: str) -> str:
    import json

    from paincast.planning import plan
    from paincast.planning.contents import describe_plan
    from paincast.planning.page.writing import write_plan_page
    from paincast.planning.patient import read_facts
    from paincast.planning.text import format_plan

    made = plan(patient, models, **asked)
    if form == "html":
        facts = read_facts(patient)
        return write_plan_page(made, {name: facts.get(name) for name in facts.known}, language=language)
    if form == "json":
        return json.dumps(describe_plan(made), indent=2, ensure_ascii=False) + "\n"
    return format_plan(made)
