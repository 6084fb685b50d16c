"""The command that writes the report of a logged model to files."""

from __future__ import annotations

from pathlib import Path

import click

from paincast.cli.registry import find_store, tracking_uri_option


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
    click.echo(f"written: {out / ('overview.html' if several else 'report.html')}")
