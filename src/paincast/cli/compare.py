"""The command that compares techniques as a target trial would, or refuses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from paincast.cli.registry import tracking_uri_option
from paincast.cli.terminal.printing import echo, print_table
from paincast.environment import hide_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from paincast.cohort.tables import Cohort
    from paincast.reporting.effects.drawing import Drawing
    from paincast.reporting.effects.results import ComparisonResults

RESULT, REPORT, TRIAL = "comparison.json", "report.html", "trial.yaml"


@click.command()
@click.argument("trial", type=click.Path(path_type=Path))
@click.option("--cohort", required=True, type=click.Path(path_type=Path), help="Folder of the cohort to compare on.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Folder for report, tables and result. Default: reports/TRIAL.",
)
@click.option("--mapping", metavar="MAPPING", help="COHORT is a registry's file or folder, read by this mapping.")
@click.option("--seed", default=7, show_default=True, help="Seed of the folds.")
@tracking_uri_option
@click.option("--record/--no-record", default=True, help="Record the comparison in MLflow, as a run of its own.")
@click.option("--progress/--no-progress", default=True, help="Progress on stderr.")
def compare(
    trial: Path,
    cohort: Path,
    out: Path | None,
    mapping: str | None,
    seed: int,
    tracking_uri: str | None,
    record: bool,
    progress: bool,
) -> None:
    """Compare techniques on a cohort as a randomised TRIAL would, or refuse.

    A prediction says what to expect given a technique; it must not rank techniques, because each is given to other
    patients. TRIAL is the protocol of the trial one would have run: who is eligible, which strategies, which outcome at
    which month, against which reference. It is a YAML file, or the name of one that comes with the package
    (epidural_against_root_block, epidural_approaches); docs/compare.md explains the keys.

    The contrast is blinded: it is computed only if every diagnostic passes. Refused are comparisons in which a block or
    a trial of stimulation decides on one technique alone (no adjustment helps), with fewer than 1,000 known outcomes of
    a strategy, in which the patients of the strategies hardly overlap, and in which they differ in a column that the
    trial does not adjust for. A refusal names what failed, in one line, with exit code 2; report, diagnostics and run
    are written all the same, without any estimate.

    Files written: report.html, one page with the sections of the TARGET statement; comparison.json, the result for
    other programs; trial.yaml; and tables/. Of real patients counts are rounded to five.

    \b
    Examples:
      paincast compare epidural_against_root_block --cohort data/cohorts/ours -o reports/epidural
      paincast compare our_trial.yaml --cohort data/cohorts/ours --no-record
      paincast compare our_trial.yaml --cohort export.xlsx --mapping our_registry.yaml

    \b
    Without your own data:
      paincast simulate --technique epidural_steroid_injection --technique nerve_root_block --episodes 8000 -o simulated
      paincast compare epidural_against_root_block --cohort simulated
    """  # noqa: D301
    import numpy as np

    from paincast.cli.terminal.progress import show_progress
    from paincast.effects import read_trial
    from paincast.effects.trial import find_trial
    from paincast.reporting.effects.drawing import draw_results
    from paincast.reporting.effects.results import Origin, gather_results
    from paincast.serving.evaluate import load_or_read

    file = find_trial(trial)
    patients = load_or_read(cohort, mapping)
    protocol = read_trial(file, patients.contract)
    named = cohort.resolve()
    origin = Origin(
        trial_name=file.stem,
        trial_text=file.read_text(encoding="utf-8"),
        cohort_name=named.name if mapping is None else named.stem,
        seed=seed,
    )
    with show_progress("comparing", "steps", is_wanted=progress) as shown:
        results = gather_results(protocol, patients, np.random.default_rng(seed), origin, shown)
    drawings = draw_results(results)
    written = _write(out or Path("reports") / file.stem, results, drawings)
    _print(results)
    echo("\nwritten: " + ", ".join(map(str, written)))
    if record:
        echo(hide_values(_record(results, drawings, patients, tracking_uri)))
    if results.refusal is not None:
        raise results.refusal


def _write(out: Path, results: ComparisonResults, drawings: Sequence[Drawing]) -> list[Path]:
    """Write report, result, trial and tables; return their paths, the report first."""
    from paincast.files import atomic_folder

    with atomic_folder(out, marker=RESULT) as folder:
        for name, text in _list_files(results, drawings).items():
            (folder / name).write_text(text, encoding="utf-8")
        (folder / "tables").mkdir()
        for name, table in results.tables.items():
            table.to_csv(folder / "tables" / f"{name}.csv", index=False)
    return [out / name for name in (REPORT, RESULT, TRIAL, "tables")]


def _list_files(results: ComparisonResults, drawings: Sequence[Drawing]) -> dict[str, str]:
    from paincast.reporting.effects.report import format_result, write_comparison

    return {
        REPORT: write_comparison(results, drawings),
        RESULT: format_result(results),
        TRIAL: results.origin.trial_text,
    }


def _print(results: ComparisonResults) -> None:
    from paincast.reporting.effects.tables import tabulate_contrasts, tabulate_diagnostics, tabulate_flow
    from paincast.reporting.effects.words import describe_result

    print_table(tabulate_flow(results))
    if "diagnostics" in results.tables:
        echo()
        print_table(tabulate_diagnostics(results))
    if results.refusal is None:
        echo()
        print_table(tabulate_contrasts(results), keys=3)
        for sentence in describe_result(results):
            echo(f"\n{sentence}")


def _record(results: ComparisonResults, drawings: Sequence[Drawing], patients: Cohort, tracking_uri: str | None) -> str:
    """Record the comparison in MLflow; return what was done, in a line."""
    from paincast.errors import PaincastError
    from paincast.reporting.effects.sections import list_limits
    from paincast.reporting.effects.words import describe_result
    from paincast.reporting.figures.axes import figure_of
    from paincast.settings import TrackingSettings
    from paincast.tracking import ComparisonRun, log_comparison, resolve_store, summarize_dataset

    trial, origin, refusal = results.trial, results.origin, results.refusal
    files = _list_files(results, drawings)
    run = ComparisonRun(
        name=f"{origin.trial_name} · {results.basis} · {trial.outcome.name} · month {trial.month:g}",
        basis=results.basis,
        n_real=results.n_real,
        verdict=results.verdict,
        unmet=results.failed or (() if refusal is None else (refusal.code,)),
        question=trial.question,
        findings=tuple(describe_result(results)),
        limits=tuple(list_limits(results)),
        dataset=summarize_dataset(patients, origin.cohort_name),
        params={
            "trial": origin.trial_name,
            "trial_digest": origin.trial_digest,
            "outcome": trial.outcome.name,
            "month": f"{trial.month:g}",
            "strategies": ", ".join(strategy.name for strategy in trial.strategies),
            "reference": trial.reference.name,
            "indications": ", ".join(trial.indications),
            "clustered_by": "" if results.clusters is None else " and ".join(results.clusters.by),
            "cohort": origin.cohort_name,
            "cohort_digest": results.cohort_digest,
            "seed": origin.seed,
        },
        tables=results.tables,
        figures={drawing.name: figure_of(drawing.ax) for drawing in drawings},
        captions={drawing.name: drawing.alt for drawing in drawings},
        files={f"report/{REPORT}": files[REPORT], RESULT: files[RESULT], TRIAL: files[TRIAL]},
    )
    try:
        run_id = log_comparison(resolve_store(TrackingSettings(uri=tracking_uri)), run)
    except PaincastError as error:
        return f"not recorded: {error} [{error.code}]"
    return f"recorded: runs:/{run_id}"
