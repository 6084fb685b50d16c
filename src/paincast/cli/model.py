"""Commands for models: train, evaluate, predict, review."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from paincast.cli.completion import complete_settings
from paincast.cli.data import EXIT_REJECTS
from paincast.cli.registry import exclude_overlap_option, find_store, tracking_uri_option
from paincast.cli.tables import print_table
from paincast.environment import hide_values
from paincast.schema import RESEARCH_MARK, TECHNIQUES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from paincast.predictor import Predictor
    from paincast.predictor.validation import Validation
    from paincast.settings import TrainingSettings


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []}
)
@click.argument("overrides", nargs=-1, type=click.UNPROCESSED, shell_complete=complete_settings)
def train(overrides: tuple[str, ...]) -> None:
    """Train, evaluate, explain and track one model per technique, outcome and month.

    OVERRIDES are Hydra overrides. `paincast train --help` shows examples and groups; `paincast settings` lists all
    settings.
    """
    from paincast.cli.hydra_app import run_training

    run_training(overrides, _train_once)


def _train_once(settings: TrainingSettings, config_yaml: str) -> None:
    from paincast.cli.progress import show_progress
    from paincast.training import train as train_models

    with show_progress("preparing", "models", is_wanted=settings.progress) as progress:
        result = train_models(settings, config_yaml=config_yaml, report_to=progress)
    # Reasons are sentences: as table cells they would make the table too wide.
    print_table(result.summary[: len(result.trained)], keys=2)
    for name, reason in result.refused.items():
        click.echo(hide_values(f"no model for {name}: {reason}"))
    click.echo(hide_values(f"\nmodels: {result.models_folder} ({RESEARCH_MARK})"))
    if result.review_hint:
        click.echo(hide_values(result.review_hint))


@click.command()
@click.argument("models", type=click.Path(path_type=Path))
@click.argument("cohort", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder for the tables.")
@click.option("--resamples", default=500, show_default=True, help="Bootstrap resamples of patients.")
@click.option("--confidence", default=0.95, show_default=True, help="Coverage of the intervals.")
@click.option("--seed", default=7, show_default=True, help="Seed of the resamples.")
@exclude_overlap_option
@click.option(
    "--record/--no-record", default=True, help="Record what real patients say beside the models and in MLflow."
)
@tracking_uri_option
def evaluate(
    models: Path,
    cohort: Path,
    out: Path,
    resamples: int,
    confidence: float,
    seed: int,
    exclude_overlap: bool,
    record: bool,
    tracking_uri: str | None,
) -> None:
    """Evaluate saved MODELS on another COHORT: external validation.

    MODELS is the folder written by `paincast train`, COHORT one written by `paincast ingest` or `paincast simulate`.
    Use a cohort the models were not trained on. Patients that a model was trained on are found by the fingerprints
    stored with the model, and the cohort is refused. `trained_on` in flow.csv states how many there were, or that this
    cannot be checked. A simulated cohort is also compared with its truth. For real patients, counts below five and
    counts that would disclose them are hidden (empty in flow.csv), and nothing is measured if fewer than five patients
    have the outcome, or fewer than five do not.

    Files written: metrics.csv, flow.csv, metrics.json (the estimates only, for `dvc metrics`) and calibration.csv
    (predicted against observed; empty for real patients).

    `needed_for_slope`, `needed_for_o_e` and `needed_for_auroc` in flow.csv are the numbers of episodes needed for a
    standard error of 0.1 of the calibration slope and of ln(O/E), and for an AUROC interval that is 0.1 wide
    (Riley 2021, doi:10.1002/sim.9025; Riley 2024, doi:10.1136/bmj-2023-074821).

    What real patients say is recorded (validations.json beside each bundle, and a tag of the registered versions of
    the same content): answers then name the cohort with its ratio of observed to expected. Where 50 patients or more
    put the 95 % interval of that ratio wholly outside 0.8 to 1.25, the model abstains ("contradicted by data") for
    patients of the indications and approaches that make up a tenth of them or more, unless `predict
    --allow-contradicted` is given. A cohort of the same name takes the place of its earlier record, and a model trained
    again has none. MLflow's own serving (`mlflow models serve`, pyfunc) does not read these records.

    \b
    Example:
      paincast evaluate models data/cohorts/other_hospital -o reports/other_hospital
    """  # noqa: D301
    from dataclasses import replace

    import numpy as np

    from paincast.files import atomic_folder
    from paincast.fingerprints import find_fingerprints
    from paincast.models_folder import list_notes
    from paincast.serving.evaluate import load_with_truth
    from paincast.serving.external import NEEDED, evaluate_and_validate
    from paincast.serving.predict import DEFAULT_MODELS, load_models

    (patients, truth), loaded = load_with_truth(cohort), load_models(models)
    (metrics, flow, calibration), found, unfit = evaluate_and_validate(
        loaded,
        patients,
        truth=truth,
        rng=np.random.default_rng(seed),
        resamples=resamples,
        confidence=confidence,
        fingerprints=find_fingerprints(DEFAULT_MODELS, models),
        exclude_overlap=exclude_overlap,
    )
    with atomic_folder(out, marker="metrics.csv") as folder:
        metrics.to_csv(folder / "metrics.csv", index=False)
        flow.to_csv(folder / "flow.csv", index=False)
        calibration.to_csv(folder / "calibration.csv", index=False)
        (folder / "metrics.json").write_text(_nest_estimates(metrics, loaded), encoding="utf-8")
    for note in list_notes(models, loaded).values():
        click.echo(f"note: {note}")
    shown = _format_months(flow).astype(object).where(flow.notna(), "hidden")
    print_table(shown.drop(columns=list(NEEDED)), keys=3)
    sized = flow[list(NEEDED)].notna().all(axis=1)
    if sized.any():
        click.echo("\nEpisodes evaluated, and needed for a precise validation:")
        print_table(shown.loc[sized, ["technique", "outcome", "horizon_months", "evaluated", *NEEDED]], keys=3)
    measured = ["technique", "outcome", "horizon_months", "metric", "estimate", "lower", "upper", "n"]
    click.echo()
    print_table(_format_months(metrics[measured]), keys=4)
    written = ("metrics.csv", "flow.csv", "calibration.csv", "metrics.json")
    click.echo("\nwritten: " + ", ".join(str(out / name) for name in written))
    if record:
        for name, why in unfit.items():
            click.echo(f"not recorded: {name}: {why}")
        named = {version: replace(validation, cohort=cohort.resolve().name) for version, validation in found.items()}
        for line in _record(models, loaded, named, tracking_uri) if named else ():
            click.echo(hide_values(line))


def _record(
    models: Path, loaded: Mapping[str, Predictor], found: Mapping[str, Validation], tracking_uri: str | None
) -> Iterator[str]:
    """Record validations beside the bundles and on registered versions; yield what was done, in lines."""
    from paincast.errors import PaincastError
    from paincast.serving.addresses import is_address
    from paincast.serving.validations import record_beside
    from paincast.settings import TrackingSettings
    from paincast.tracking import resolve_store, tag_versions

    done: list[str] = []
    try:
        if not is_address(models):
            done += map(str, record_beside(models, found))
        store = resolve_store(TrackingSettings(uri=tracking_uri))
        if store.database is None or store.database.is_file():
            chosen = [model for model in loaded.values() if model.version in found]
            done += [address for model in chosen for address in tag_versions(store, model, found[model.version])]
    except PaincastError as error:
        yield f"not recorded everywhere: {error} [{error.code}]"
    yield f"recorded: {', '.join(done)}" if done else "not recorded: the models are in no folder or store at hand"
    for model in loaded.values():
        if done and model.version in found and found[model.version].contradicts:
            told = found[model.version].describe()
            yield f"contradicted by data: {model.name} abstains for patients like those of {told}"


def _format_months(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(horizon_months=table["horizon_months"].map("{:g}".format))


def _nest_estimates(metrics: pd.DataFrame, models: Mapping[str, Predictor]) -> str:
    """Write the estimates as JSON: by technique, outcome (with the month of a further one) and metric."""
    keys = {model.version: model.name.partition("/")[2] for model in models.values()}
    nested: dict[str, dict[str, dict[str, float]]] = {}
    for row in metrics.dropna(subset="estimate").to_dict("records"):
        names = nested.setdefault(row["technique"], {}).setdefault(keys[row["model_version"]], {})
        names[row["metric"]] = float(row["estimate"])
    return json.dumps(nested, indent=1) + "\n"


def _read_months(context: click.Context, option: click.Parameter, value: str | None) -> list[float] | None:  # noqa: ARG001
    """Read months separated by commas; they are checked with those of the Python function."""
    if value is None:
        return None
    try:
        return [float(month) for month in value.split(",")]
    except ValueError:
        raise click.BadParameter("months are numbers separated by commas, for example 3,6,12") from None


@click.command()
@click.argument("patients", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", required=True, type=click.Path(path_type=Path), help="Predictions: a .csv or .parquet file."
)
@click.option(
    "--models", default="models", show_default=True, help="Folder of models, or an MLflow address (models:/…)."
)
@click.option(
    "--technique",
    "techniques",
    multiple=True,
    type=click.Choice(TECHNIQUES),
    metavar="NAME",
    help="Answer for this technique only; may be repeated. Default: all that have a model, and the one a row names.",
)
@click.option(
    "--months",
    metavar="LIST",
    callback=_read_months,
    help="Answer for these months after the procedure, for example 3,6,12, as far as models were trained for them "
    "(outcome.horizon_months=[3,6,12]); for any other the row abstains. Default: the primary month.",
)
@click.option(
    "--max-rejects",
    default=0.05,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Exit with code 3 if a larger share of the rows lost a value.",
)
@click.option(
    "--allow-contradicted",
    is_flag=True,
    help="Answer where an external validation contradicts the model; each such row says so.",
)
@click.option("--show", is_flag=True, help="Also print the answers as a table; meant for a few patients.")
@click.option("--progress/--no-progress", default=True, help="Progress on stderr.")
@click.pass_context
def predict(
    context: click.Context,
    patients: Path,
    out: Path,
    models: str,
    techniques: tuple[str, ...],
    months: list[float] | None,
    max_rejects: float,
    allow_contradicted: bool,
    show: bool,
    progress: bool,
) -> None:
    """Predict for a file of PATIENTS (.csv or .parquet).

    Every patient gets one row per technique, outcome and month, in a fixed order. Rows are never ranked by probability,
    because a probability is the prognosis GIVEN the technique, not the effect of the technique. If a model cannot
    predict for a patient, the row has no numbers and `abstained_because` gives the reason. `paincast schema --table
    episodes` lists the input columns.

    `lower` and `upper` are the limits of `probability` at `level`. For relief_duration, `probability` is that of relief
    beyond `horizon_months`, and `expected` is the median in months, if it is within the modelled visits. For
    pain_change, `expected` is the median change in NRS points (below 0 is less pain), with the limits `expected_lower`
    and `expected_upper` at `level`.

    `validated_on` names the real patients on whom the model was evaluated (`paincast evaluate`), with their number and
    ratio of observed to expected; where they contradict it, the model abstains.

    `use` is "research use only", except for a champion trained on real patients, promoted by a gate that allows use in
    care, and given by its MLflow address (models:/NAME@champion).

    A note warns you if the folder mixes models of different evidence, or has models that are older than its last
    training.

    In a .csv file, ids that a spreadsheet would read as a formula start with an apostrophe; in a .parquet file they do
    not.

    Unusable values are listed in <OUT>.rejects.csv with row, column, rule, allowed values and action, but without the
    value itself. The predictions are written anyway.

    \b
    Examples:
      paincast predict examples/patients.csv -o predictions.csv
      paincast predict warehouse.parquet -o scored.parquet --technique facet_rfa
      paincast predict examples/patients.csv -o predictions.csv --months 3,6,12 --show
      paincast predict patients.csv -o out.csv --models models:/paincast.facet_rfa.pain_response@candidate

    \b
    Exit codes: 0 success; 2 an error you can fix, nothing was written; 3 written, but more rejects than
    --max-rejects; 130 interrupted, nothing was written.
    """  # noqa: D301
    from paincast.cli.progress import show_progress
    from paincast.serving.batch import predict_file, read_predictions

    with show_progress("predicting", "patients", is_wanted=progress) as shown:
        summary = predict_file(
            patients,
            out,
            models=models,
            techniques=techniques or None,
            months=months,
            allow_contradicted=allow_contradicted,
            progress=shown,
        )
    click.echo(f"{summary.n_patients} patients: {summary.n_predicted} answers, {summary.n_abstained} abstentions")
    for technique, (predicted, abstained) in summary.by_technique.items():
        because = f", most often because {summary.reasons[technique]}" if abstained else ""
        click.echo(f"  {technique}: {predicted} answers, {abstained} abstentions{because}")
    if summary.marked:
        click.echo(f"research use only: {', '.join(summary.marked)}")
    for note in summary.notes:
        click.echo(f"note: {note}")
    if show:
        from paincast.reporting.model.summary import summarize_predictions

        click.echo()
        print_table(summarize_predictions(read_predictions(out)), keys=2)
        click.echo()
    click.echo(f"written: {out}")
    if summary.rejects_path is not None:
        click.echo(f"{summary.n_rejects} rejects: {summary.rejects_path}")
    if summary.reject_share > max_rejects:
        click.echo(
            f"rejects: {summary.reject_share:.1%} of the rows lost a value, more than --max-rejects {max_rejects:g}",
            err=True,
        )
        context.exit(EXIT_REJECTS)


@click.command()
@tracking_uri_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=5000, show_default=True, help="First port to try.")
@click.option("--browser/--no-browser", default=True, help="Open the page in the browser.")
@click.pass_context
def review(context: click.Context, tracking_uri: str | None, host: str, port: int, browser: bool) -> None:
    """Open the MLflow page of the logged runs; end with Ctrl-C.

    \b
    Examples:
      paincast review
      paincast review --tracking-uri sqlite:////srv/paincast/mlflow.db --no-browser --port 8080
    """  # noqa: D301
    from paincast.tracking import open_review

    context.exit(open_review(find_store(tracking_uri), host=host, port=port, open_browser=browser))
