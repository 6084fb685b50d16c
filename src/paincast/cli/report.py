"""Commands that write reports: of a logged model, and of a cohort."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from paincast.cli.printing import echo
from paincast.cli.registry import find_store, tracking_uri_option

if TYPE_CHECKING:
    from paincast.profiling import Profile

REJECTS = "rejects.csv"


@click.command()
@click.argument("run")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder; an old report is replaced.")
@tracking_uri_option
def report(run: str, out: Path, tracking_uri: str | None) -> None:
    """Write the report of a logged model as offline files: HTML, and the model card as Markdown.

    RUN is the id of a model's run, NAME/VERSION or NAME@ALIAS. It may also be the id of the run of a whole training:
    then each model gets a folder, with overview.html above them. The report is made from the data in MLflow, with the
    verdict of the latest gate.

    \b
    Examples:
      paincast report paincast.facet_rfa.pain_response@candidate -o reports/facet_rfa
      paincast report 3f1c0a52b6f84d6f9a4de0a1c2b7d9e8 -o reports/all --tracking-uri sqlite:////srv/paincast/mlflow.db
    """  # noqa: D301
    import tempfile

    from paincast.files import atomic_folder
    from paincast.reporting.model.overview import write_overview
    from paincast.reporting.model.report import write_report_files
    from paincast.reporting.model.run_contents import read_run_folder
    from paincast.tracking import fetch_runs

    with tempfile.TemporaryDirectory() as scratch:
        fetched = fetch_runs(find_store(tracking_uri), run, Path(scratch))
        facts = [read_run_folder(tracked.folder, tracked.tags, tracked.params) for tracked in fetched]
    several = len(facts) > 1
    with atomic_folder(out, marker="overview.html" if several else "report.html") as folder:
        for contents in facts:
            write_report_files(
                contents, folder / contents.tags["technique"] / contents.tags["outcome"] if several else folder
            )
        if several:
            (folder / "overview.html").write_text(write_overview(facts), encoding="utf-8")
    echo(f"written: {out / ('overview.html' if several else 'report.html')}")


@click.command()
@click.argument("cohort", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="FILE.html", help="Also write the whole page.")
def profile(cohort: Path, out: Path | None) -> None:
    """Show what a cohort holds: flow, gaps, follow-up, outcomes, contradictions, drift, and what evidence expects.

    COHORT is a folder written by `paincast ingest` or `paincast simulate`. The terminal shows the tables; the page of
    --out adds figures, sites, years and the meaning of each broken rule, in one file that needs no network.

    Of real patients, counts are rounded to five, counts under five are not shown, nor those from which they could be
    worked out. No value of a patient is shown. It takes seconds and changes nothing.

    \b
    Examples:
      paincast profile data/cohorts/ours
      paincast profile data/cohorts/ours -o profile.html
    """  # noqa: D301
    from paincast.cohort.rejects import read_rejects
    from paincast.cohort.tables import load_cohort
    from paincast.profiling import compute_profile
    from paincast.reporting.profile.page import write_profile_file

    loaded = load_cohort(cohort)
    name = cohort.resolve().name
    rejects = cohort / REJECTS
    computed = compute_profile(loaded, read_rejects(rejects) if rejects.exists() else None)
    _print_profile(name, computed)
    if out is not None:
        write_profile_file(computed, loaded, name, out)
        echo(f"written: {out}")


def _print_profile(name: str, profile: Profile) -> None:
    from paincast.cli.printing import print_table
    from paincast.reporting.profile.findings import list_findings
    from paincast.reporting.profile.page import summarize_profile

    rounded = ", rounded to five" if profile.is_real else ""
    echo(
        f"{name}: {profile.n_episodes:,} episodes of {profile.n_patients:,} patients, {profile.n_visits:,} visits "
        f"(basis {profile.basis}{rounded})"
    )
    for sentence in list_findings(profile):
        echo(f"- {sentence}")
    for title, table in summarize_profile(profile):
        echo(f"\n{title}")
        print_table(table)
