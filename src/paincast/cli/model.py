"""Commands for models: train, predict, review."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from paincast.cli.completion import complete_settings
from paincast.cli.data import EXIT_REJECTS
from paincast.cli.registry import find_store, tracking_uri_option, trusted_keys_option
from paincast.cli.terminal.printing import echo, print_table
from paincast.deferred import spare_pandas
from paincast.environment import hide_values
from paincast.schema import RESEARCH_MARK
from paincast.settings.keywords import split_own_choices

if TYPE_CHECKING:
    from collections.abc import Sequence

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

    run_training(name_own_choices(replace_flags(overrides)), _train_once)


EXPORT_FLAG, EXPORT_SETTING = "--export-oof", "evaluation.export_oof"


def replace_flags(arguments: Sequence[str]) -> list[str]:
    """Replace the flag of ``paincast train`` by the override it stands for; Hydra knows no further flags.

    Examples
    --------
    >>> replace_flags(["technique=facet_rfa", "--export-oof", "oof.csv"])
    ['technique=facet_rfa', "evaluation.export_oof='oof.csv'"]
    """
    replaced, rest = [], iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if name != EXPORT_FLAG:
            replaced.append(argument)
            continue
        file = value if equals else next(rest, "")
        if not file:
            raise click.UsageError(f"{EXPORT_FLAG} needs a FILE that ends in .csv or .parquet")
        quoted = file.replace("'", "\\'")
        replaced.append(f"{EXPORT_SETTING}='{quoted}'")
    return replaced


def name_own_choices(arguments: Sequence[str]) -> list[str]:
    """Replace a technique or outcome that is no choice by its setting, where a cohort is read that may declare it.

    Examples
    --------
    >>> name_own_choices(["cohort=folder", "cohort.path=ours", "outcome=walking_improved"])
    ['cohort=folder', 'cohort.path=ours', 'outcome.name=walking_improved']
    """
    if not any(argument.startswith(("cohort.path=", "cohort.real=")) for argument in arguments):
        return list(arguments)
    named = []
    for argument in arguments:
        group, _, choice = argument.partition("=")
        _, values = split_own_choices({group: choice})
        named.append(next((f"{name}={_write(value)}" for name, value in values.items()), argument))
    return named


def _write(value: object) -> str:
    return f"[{','.join(value)}]" if isinstance(value, list) else str(value)


def _train_once(settings: TrainingSettings, config_yaml: str) -> None:
    from paincast.cli.terminal.progress import show_progress
    from paincast.training import train as train_models

    with show_progress("preparing", "models", is_wanted=settings.progress) as progress:
        result = train_models(settings, config_yaml=config_yaml, report_to=progress)
    # Reasons are sentences: as table cells they would make the table too wide.
    print_table(result.summary[: len(result.trained)], keys=2)
    for name, reason in result.refused.items():
        echo(hide_values(f"no model for {name}: {reason}"))
    echo(hide_values(f"\nmodels: {result.models_folder} ({RESEARCH_MARK})"))
    if settings.evaluation.export_oof is not None:
        echo(hide_values(f"out-of-fold predictions: {settings.evaluation.export_oof} (rows of patients)"))
    if result.review_hint:
        echo(hide_values(result.review_hint))


def _read_months(context: click.Context, option: click.Parameter, value: str | None) -> list[float] | None:  # noqa: ARG001
    """Read months separated by commas; they are checked with those of the Python function."""
    if value is None:
        return None
    try:
        return [float(month) for month in value.split(",")]
    except ValueError:
        raise click.BadParameter("months are numbers separated by commas, for example 3,6,12") from None


def _read_names(context: click.Context, option: click.Parameter, value: tuple[str, ...]) -> list[str] | str | None:  # noqa: ARG001
    """Read names separated by commas, of an option that may be repeated; ``all`` stands alone."""
    names = [name.strip() for part in value for name in part.split(",") if name.strip()]
    if not names and value:
        raise click.BadParameter("names are separated by commas, for example facet_rfa,si_joint_rfa")
    return "all" if names == ["all"] else names or None


@click.command()
@click.argument("patients", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", required=True, type=click.Path(path_type=Path), help="Predictions: a .csv or .parquet file."
)
@click.option(
    "--models", default="models", show_default=True, help="Folder of models, or an MLflow address (models:/…)."
)
@click.option(
    "--techniques",
    "--technique",
    "techniques",
    multiple=True,
    metavar="LIST",
    callback=_read_names,
    help="Ask these techniques of every patient, and no others: facet_rfa,si_joint_rfa. 'all' asks every technique "
    "that has a model of every patient. Default: those that have a model, of the patients whose indication they treat, "
    "and the one a row names.",
)
@click.option(
    "--outcomes",
    "--outcome",
    "outcomes",
    multiple=True,
    metavar="LIST",
    callback=_read_names,
    help="Answer for these outcomes, for example pain_response,pain_change; answers are the same whichever others are "
    "asked for. Default: those for which the technique has a model.",
)
@click.option(
    "--months",
    metavar="LIST",
    callback=_read_months,
    help="Answer for these months after the procedure, for example 3,6,12, as far as models were trained for them "
    "(outcome.horizon_months=[3,6,12]); for any other the row abstains. Default: the primary month.",
)
@click.option(
    "--interval/--no-interval",
    default=True,
    help="Limits and shares of the uncertainty; without, their columns are empty and the run is shorter.",
)
@click.option(
    "--explain",
    default=3,
    show_default=True,
    type=click.IntRange(min=0),
    metavar="K",
    help="Most reasons for, and against. 0: neither reasons nor missing values, which is shorter still.",
)
@click.option(
    "--wide",
    is_flag=True,
    help="One row for each patient, with columns TECHNIQUE.OUTCOME.probability, .lower, .upper (see above), without "
    "reasons.",
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
@trusted_keys_option
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with a run to the same OUT that ended early; if there is none, begin. Refused if the input, the "
    "models, the software or the options have changed. Without it, what such a run left is discarded.",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "spark"]),
    default="local",
    show_default=True,
    help="Who predicts: this process, or the workers of a Spark cluster, for Parquet files that all machines see under "
    "the same path. The output is the same, and each goes on with what the other left (--resume).",
)
@click.option(
    "--spark-master",
    metavar="URL",
    envvar="SPARK_MASTER",
    help="With --engine spark: the master, for example spark://host:7077 or yarn. Default: the variable SPARK_MASTER, "
    "what spark-submit or spark-defaults.conf say, or this machine.",
)
@click.option("--show", is_flag=True, help="Also print the answers as a table; meant for a few patients.")
@click.option("--progress/--no-progress", default=True, help="Progress on stderr.")
@click.pass_context
def predict(
    context: click.Context,
    patients: Path,
    out: Path,
    models: str,
    techniques: list[str] | str | None,
    outcomes: list[str] | str | None,
    months: list[float] | None,
    interval: bool,
    explain: int,
    wide: bool,
    max_rejects: float,
    allow_contradicted: bool,
    trusted_keys: Path | None,
    resume: bool,
    engine: str,
    spark_master: str | None,
    show: bool,
    progress: bool,
) -> None:
    """Predict for PATIENTS: a file of any format, a folder, or a pattern in quotes.

    A technique is asked of the patients whose indication it treats: one row per technique, outcome and month, in a
    fixed order. Every patient gets at least one row; where no technique applies, its `technique` is empty and
    `abstained_because` says why. Rows are never ranked by probability, because a probability is the prognosis GIVEN the
    technique, not the effect of the technique. If a model cannot predict for a patient, the row has no numbers and
    `abstained_because` gives the reason. `paincast schema --table episodes` lists the input columns.

    With --wide, each patient has one row: `episode_id`, `patient_id`, `use`, `basis`, `abstained_because` (of what has
    no columns of its own), and for each model its numbers, `eligible`, `cautions` and `abstained_because`, named like
    facet_rfa.pain_response.probability, with --months like facet_rfa.pain_response.month-06.probability. The
    columns depend on the models and the options only, not on the patients; those of a technique that is not asked of a
    patient are empty.

    Ids come back as given and in the given order; in a .parquet file integers stay integers if no row lacks one.

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
    value itself. The predictions are written anyway. <OUT>.summary.json has counts, reasons to abstain, options, and
    the versions and digests of input, models and output.

    While it runs, finished parts are kept in the hidden folder .<OUT>.parts beside OUT, which needs as much space as
    OUT and holds patients' answers, for its owner only. OUT is replaced at the end, at once. A run that was killed,
    lost power or filled the disk leaves an old OUT as it was; the same command with --resume goes on from the last
    finished part and writes exactly what an undisturbed run would have written. Of two runs to one OUT the second is
    refused.

    With --engine spark, workers read row groups of the Parquet files, predict and write parts by themselves; this
    process makes the first part, and joins them. Models are sent to the workers, which need the same versions of Python
    and paincast (PYSPARK_PYTHON names their Python). Needs pyspark (pip install 'paincast[spark]') and Java 17.

    \b
    Examples:
      paincast predict examples/patients.csv -o predictions.csv
      paincast predict warehouse.parquet -o scored.parquet --techniques facet_rfa,si_joint_rfa
      paincast predict warehouse.parquet -o scored.parquet --wide --outcomes pain_response
      paincast predict warehouse.parquet -o scored.parquet --techniques all --no-interval
      paincast predict 'export/*.csv' -o scored.parquet --resume
      paincast predict warehouse/ -o scored.parquet --engine spark --spark-master spark://host:7077
      paincast predict examples/patients.csv -o predictions.csv --months 3,6,12 --show
      paincast predict patients.csv -o out.csv --models models:/paincast.facet_rfa.pain_response@candidate
      paincast predict patients.csv -o out.csv --trusted-keys public.pem

    \b
    Exit codes: 0 success; 1 a bug in paincast; 2 an error you can fix; 3 written, but more rejects than
    --max-rejects; 130 interrupted; 143 terminated. OUT is written with 0 and 3 only; after any other
    code, and after kill -9 (137), the parts that were finished are there for --resume.
    """  # noqa: D301
    spare_pandas()
    from paincast.cli.terminal.progress import show_progress
    from paincast.serving.batch import predict_file, read_predictions
    from paincast.serving.spark import SparkEngine

    if wide and show:
        raise click.UsageError("--show reads a row for each prediction: leave out --wide, or --show")
    with show_progress("predicting", "patients", is_wanted=progress) as shown, ExitStack() as stack:
        summary = predict_file(
            patients,
            out,
            models=models,
            techniques=techniques,
            outcomes=outcomes,
            months=months,
            interval=interval,
            explain=explain,
            wide=wide,
            allow_contradicted=allow_contradicted,
            trusted_keys=trusted_keys,
            resume=resume,
            engine=stack.enter_context(SparkEngine(spark_master)) if engine == "spark" else None,
            progress=shown,
        )
    echo(f"{summary.n_patients} patients: {summary.n_predicted} answers, {summary.n_abstained} abstentions")
    for technique, (predicted, abstained) in summary.by_technique.items():
        because = f", most often because {summary.reasons[technique]}" if abstained else ""
        echo(f"  {technique or 'no technique'}: {predicted} answers, {abstained} abstentions{because}")
    if summary.marked:
        echo(f"research use only: {', '.join(summary.marked)}")
    for note in summary.notes:
        echo(f"note: {note}")
    if show:
        from paincast.reporting.model.summary import summarize_predictions

        echo()
        print_table(summarize_predictions(read_predictions(out)), keys=2)
        echo()
    echo(f"written: {out}")
    if summary.rejects_path is not None:
        echo(f"{summary.n_rejects} rejects: {summary.rejects_path}")
    if summary.reject_share > max_rejects:
        echo(
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
