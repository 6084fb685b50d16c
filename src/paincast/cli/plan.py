"""The command that makes the plan of a patient."""

from __future__ import annotations

from pathlib import Path

import click

from paincast.cli.terminal.printing import echo

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(name="plan")
@click.argument("patient", type=FILE)
@click.option("--models", metavar="DIR", help="Models that answer; by default published evidence alone.")
@click.option("--month", type=float, metavar="M", help="Month of all expected outcomes. Default: that of most answers.")
@click.option("--preferences", type=FILE, metavar="FILE", help="YAML: weights of patient or clinic.")
@click.option("--prices", type=FILE, metavar="FILE", help="YAML: prices, in place of those shipped.")
@click.option("--comparison", type=FILE, metavar="FILE", help="JSON: a comparison of techniques that passed.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON (docs/plan.schema.json) instead of text.")
@click.option("-o", "--out", metavar="FILE", type=click.Path(path_type=Path), help="Write to FILE.")
def make_plan(
    patient: Path,
    models: str | None,
    month: float | None,
    preferences: Path | None,
    prices: Path | None,
    comparison: Path | None,
    as_json: bool,
    out: Path | None,
) -> None:
    """Make the plan of one PATIENT: which techniques fit, what is missing, what to expect, and how sure that is.

    PATIENT is a YAML or JSON file of columns and values, or a table with one row.

    \b
    Examples:
      paincast plan patient.yaml
      paincast plan patient.yaml --models models --month 6
      paincast plan patient.yaml --preferences weights.yaml --json -o plan.json
    """  # noqa: D301
    import json

    from paincast.files import atomic_file
    from paincast.planning import plan
    from paincast.planning.contents import describe_plan
    from paincast.planning.text import format_plan

    made = plan(patient, models, month=month, preferences=preferences, prices=prices, comparison=comparison)
    text = json.dumps(describe_plan(made), indent=2, ensure_ascii=False) + "\n" if as_json else format_plan(made)
    if out is None:
        echo(text, nl=False)
        return
    with atomic_file(out) as draft:
        draft.write_text(text, encoding="utf-8")
    echo(f"written: {out}")
