"""The command that evaluates saved models on another cohort, and records what real patients say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from paincast.cli.registry import exclude_overlap_option, tracking_uri_option
from paincast.cli.terminal.printing import echo, print_table
from paincast.environment import hide_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from paincast.cohort.tables import Cohort
    from paincast.predictor import Predictor
    from paincast.predictor.validation import Validation
    from paincast.reporting.model.external import EvaluatedModel
    from paincast.serving.validation.external import ExternalValidation

REPORT = "report.html"


@click.command()
@click.argument("models", type=click.Path(path_type=Path))
@click.argument("cohort", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder for the tables and the page.")
@click.option("--resamples", default=500, show_default=True, help="Bootstrap resamples of patients.")
@click.option("--confidence", default=0.95, show_default=True, help="Coverage of the intervals.")
@click.option("--seed", default=7, show_default=True, help="Seed of the resamples.")
@click.option("--mapping", metavar="MAPPING", help="COHORT is a registry's file or folder, read by this mapping.")
@exclude_overlap_option
@click.option(
    "--record/--no-record", default=True, help="Record what real patients say beside the models and in MLflow."
)
@tracking_uri_option
@click.option(
    "--update",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Also recalibrate the models on these patients and write them to a new FOLDER.",
)
def evaluate(
    models: Path,
    cohort: Path,
    out: Path,
    resamples: int,
    confidence: float,
    seed: int,
    mapping: str | None,
    exclude_overlap: bool,
    record: bool,
    tracking_uri: str | None,
    update: Path | None,
) -> None:
    """Evaluate saved MODELS on another COHORT: external validation.

    MODELS is the folder written by `paincast train`, COHORT one written by `paincast ingest` or `paincast simulate`.
    Use a cohort the models were not trained on. Patients that a model was trained on are found by the fingerprints
    stored with the model, and the cohort is refused. `trained_on` in flow.csv states how many there were, or that this
    cannot be checked. A simulated cohort is also compared with its truth. For real patients, counts below five and
    counts that would disclose them are hidden (empty in flow.csv), and nothing is measured if fewer than five patients
    have the outcome, or fewer than five do not.

    Files written: report.html, one page with the figures of every model; metrics.csv, flow.csv, metrics.json (the
    estimates only, for `dvc metrics`) and calibration.csv (predicted against observed); and in tables/ what a training
    measures too: the flexible calibration curve, the decision curve, subgroups, sites and years, weights for those lost
    to follow-up, metrics weighted and of complete cases, the tipping point; and the observed risk beside the individual
    intervals, and why the models abstain. Metrics are weighted where 20 patients or more are lost.

    `needed_for_slope`, `needed_for_o_e` and `needed_for_auroc` in flow.csv are the numbers of episodes needed for a
    standard error of 0.1 of the calibration slope and of ln(O/E), and for an AUROC interval that is 0.1 wide
    (Riley 2021, doi:10.1002/sim.9025; Riley 2024, doi:10.1136/bmj-2023-074821).

    What real patients say is recorded (validations.json beside each bundle; in MLflow a tag of the registered versions
    of the same content, and a run with the tables and the page, but no rows): answers then name the cohort with its
    ratio of observed to expected. Where 50 patients or more put the 95 % interval of that ratio wholly outside 0.8 to
    1.25, the model abstains ("contradicted by data") for patients of the indications and approaches that make up a
    tenth of them or more, unless `predict --allow-contradicted` is given. A cohort of the same name takes the place of
    its earlier record, and a model trained again has none. MLflow's own serving (`mlflow models serve`, pyfunc) does
    not read these records.

    --update FOLDER recalibrates models of simulated patients on these real ones. Intercept, or intercept and slope,
    of the log odds are chosen by a closed testing procedure (Vergouwe 2017, doi:10.1002/sim.7179), the intercept from
    10 patients of the smaller class, the slope from 20. update.csv in tables/ compares before and after on patients who
    were left out of the update (five folds by patient, ten times); observed / expected is not in it, because it is
    near 1 after any recalibration. The new models stand on these patients and must be evaluated on others.

    \b
    Examples:
      paincast evaluate models data/cohorts/other_hospital -o reports/other_hospital
      paincast evaluate models export.xlsx --mapping other_hospital.yaml -o reports/other_hospital
      paincast evaluate models data/cohorts/ours -o reports/ours --update models_updated
    """  # noqa: D301
    import numpy as np

    from paincast.fingerprints import find_fingerprints
    from paincast.models_folder import list_notes
    from paincast.serving.evaluate import load_with_truth
    from paincast.serving.predict import DEFAULT_MODELS, load_models
    from paincast.serving.validation.external import evaluate_and_validate
    from paincast.serving.validation.updating import require_new_folder

    if update is not None:
        require_new_folder(update)
    (patients, truth), loaded = load_with_truth(cohort, mapping), load_models(models)
    evaluation, found, unfit = evaluate_and_validate(
        loaded,
        patients,
        truth=truth,
        rng=np.random.default_rng(seed),
        resamples=resamples,
        confidence=confidence,
        fingerprints=find_fingerprints(DEFAULT_MODELS, models),
        exclude_overlap=exclude_overlap,
    )
    name = cohort.resolve().name if mapping is None else cohort.resolve().stem
    lines = [] if update is None else _update(update, evaluation, loaded, patients, seed, resamples, confidence)
    evaluated = _gather(loaded, evaluation, found, unfit, name)
    written = _write(out, evaluation, evaluated, name, patients.basis)
    for note in list_notes(models, loaded).values():
        echo(f"note: {note}")
    _print(evaluation)
    echo("\nwritten: " + ", ".join(map(str, written)))
    for line in lines:
        echo(line)
    if record:
        for model, why in unfit.items():
            echo(f"not recorded: {model}: {why}")
        for line in _record(models, evaluated, name, patients.basis, tracking_uri) if found else ():
            echo(hide_values(line))


@click.command()
@click.argument("models", type=click.Path(path_type=Path), default=Path("models"))
@click.option(
    "-o",
    "--out",
    default=Path("reports/published"),
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder for a page over all models, and a folder for each data set.",
)
@click.option("--mirror", help="Folder or URL of a mirror with the data sets.")
@click.option("--resamples", default=500, show_default=True, help="Bootstrap resamples of patients.")
@click.option("--seed", default=7, show_default=True, help="Seed of the resamples.")
@tracking_uri_option
def validate(models: Path, out: Path, mirror: str | None, resamples: int, seed: int, tracking_uri: str | None) -> None:
    """Evaluate saved MODELS on every published data set: fetch, ingest, evaluate and record in one command.

    Each data set that comes with a mapping (`paincast fetch --list`) is downloaded to data/real unless it is there, and
    every model is evaluated at its month on the patients of its technique, as `paincast evaluate` does. overview.html
    lists all models with the cohorts they were validated on, the worst first, and those that no set can judge, with the
    reason. Patients that a model was trained on are left out.

    \b
    Examples:
      paincast validate
      paincast validate models -o reports/published --mirror /mnt/mirror
    """  # noqa: D301
    from paincast.cli.data import REAL_DATA
    from paincast.errors import RefusalError
    from paincast.files import atomic_file
    from paincast.fingerprints import find_fingerprints
    from paincast.reporting.model.external import tabulate_validated, write_validated
    from paincast.serving.predict import DEFAULT_MODELS, load_models
    from paincast.serving.validation.published import validate_on_published

    loaded = load_models(models)
    reasons: dict[str, list[str]] = {}
    problems: list[str] = []
    written: list[Path] = []
    lines: list[str] = []
    for judged in validate_on_published(
        loaded,
        REAL_DATA,
        mirror=mirror,
        seed=seed,
        resamples=resamples,
        fingerprints=find_fingerprints(DEFAULT_MODELS, models),
    ):
        problems += [f"{judged.name}: {judged.problem}"] if judged.problem else []
        for model, reason in judged.reasons.items():
            reasons.setdefault(model, []).append(f"{judged.name}: {reason}")
        if judged.evaluation is not None:
            evaluated = _gather(loaded, judged.evaluation, judged.found, judged.reasons, judged.name)
            written.append(_write(out / judged.name, judged.evaluation, evaluated, judged.name, "real")[0])
            lines += _record(models, evaluated, judged.name, "real", tracking_uri) if judged.found else ()
    for line in problems:
        echo(line)
    if not written:
        told = [f"{model}: {'; '.join(because)}" for model, because in reasons.items()]
        raise RefusalError(
            f"no published data set can judge these models; {'; '.join(told or problems)}", code="PC-CLI-17"
        )
    current = load_models(models)
    with atomic_file(out / "overview.html") as draft:
        draft.write_text(write_validated(current, reasons), encoding="utf-8")
    for line in lines:
        echo(hide_values(line))
    echo()
    print_table(tabulate_validated(current, reasons), keys=2)
    echo("\nwritten: " + ", ".join(map(str, [out / "overview.html", *written])))


def _update(
    folder: Path,
    evaluation: ExternalValidation,
    loaded: Mapping[str, Predictor],
    patients: Cohort,
    seed: int,
    resamples: int,
    confidence: float,
) -> list[str]:
    """Update the models, add the tables to the evaluation, and tell in lines what was written and what was not."""
    import numpy as np
    import pandas as pd

    from paincast.serving.validation.external import IDENTITY
    from paincast.serving.validation.updating import save_updates, update_models
    from paincast.settings import EvaluationSettings

    settings = EvaluationSettings(resamples=resamples, confidence=confidence)
    updates, refused = update_models(loaded, patients, settings, np.random.default_rng(seed))
    for title, table in (("update", "comparison"), ("update_choice", "choice")):
        parts = []
        for name, update in updates.items():
            identity = {key: getattr(loaded[name], key) for key in IDENTITY}
            rows = getattr(update, table)
            parts.append(rows.assign(**identity)[[*IDENTITY, *rows.columns]])
        if parts:
            evaluation.tables[title] = pd.concat(parts, ignore_index=True)
    written = save_updates(updates, folder)
    return [
        *(f"not updated: {reason}" for reason in refused.values()),
        *(
            f"updated: {path} (version {update.predictor.version})"
            for path, update in zip(written, updates.values(), strict=True)
        ),
    ]


def _gather(
    loaded: Mapping[str, Predictor],
    evaluation: ExternalValidation,
    found: Mapping[str, Validation],
    unfit: Mapping[str, str],
    cohort: str,
) -> list[EvaluatedModel]:
    """Gather each evaluated model with its tables and its validation, which takes the name of the cohort."""
    from dataclasses import replace

    from paincast.reporting.model.external import EvaluatedModel
    from paincast.serving.validation.external import IDENTITY

    evaluated = set(evaluation.flow[list(IDENTITY)].itertuples(index=False, name=None))
    return [
        EvaluatedModel(
            predictor=model,
            tables=evaluation.select_model(model.technique, model.outcome, model.horizon_months),
            validation=replace(found[model.version], cohort=cohort) if model.version in found else None,
            not_recorded=unfit.get(model.name, ""),
        )
        for model in loaded.values()
        if (model.technique, model.outcome, model.horizon_months) in evaluated
    ]


def _write(
    out: Path, evaluation: ExternalValidation, evaluated: Sequence[EvaluatedModel], cohort: str, basis: str
) -> list[Path]:
    """Write the tables and the page of an external validation; return their paths, the page first."""
    from paincast.files import atomic_folder
    from paincast.reporting.model.external import write_external_report

    with atomic_folder(out, marker="metrics.csv") as folder:
        (folder / REPORT).write_text(write_external_report(cohort, basis, evaluated), encoding="utf-8")
        (folder / "metrics.json").write_text(_nest_estimates(evaluation.metrics, evaluated), encoding="utf-8")
        for name in ("metrics", "flow", "calibration"):
            getattr(evaluation, name).to_csv(folder / f"{name}.csv", index=False)
        (folder / "tables").mkdir()
        for name, table in evaluation.tables.items():
            table.to_csv(folder / "tables" / f"{name}.csv", index=False)
    return [out / name for name in (REPORT, "metrics.csv", "flow.csv", "calibration.csv", "metrics.json", "tables")]


def _print(evaluation: ExternalValidation) -> None:
    from paincast.serving.validation.external import IDENTITY
    from paincast.serving.validation.model_evaluation import NEEDED

    flow = evaluation.flow
    shown = _format_months(flow).astype(object).where(flow.notna(), "hidden")
    print_table(shown.drop(columns=list(NEEDED)), keys=3)
    sized = flow[list(NEEDED)].notna().all(axis=1)
    if sized.any():
        echo("\nEpisodes evaluated, and needed for a precise validation:")
        print_table(shown.loc[sized, [*IDENTITY, "evaluated", *NEEDED]], keys=3)
    measured = [*IDENTITY, "metric", "estimate", "lower", "upper", "n"]
    echo()
    print_table(_format_months(evaluation.metrics[measured]), keys=4)
    if "update" in evaluation.tables:
        echo("\nBefore and after recalibration, on patients left out of it:")
        print_table(evaluation.tables["update"].drop(columns="method"), keys=3)


def _record(
    models: Path, evaluated: Sequence[EvaluatedModel], cohort: str, basis: str, tracking_uri: str | None
) -> Iterator[str]:
    """Record validations beside the bundles and in MLflow; yield what was done, in lines."""
    from paincast.errors import PaincastError
    from paincast.reporting.model.external import write_external_report
    from paincast.serving.addresses import is_address
    from paincast.serving.validation.validations import record_beside
    from paincast.settings import TrackingSettings
    from paincast.tracking import log_validation, resolve_store, tag_versions

    done: list[str] = []
    chosen = [(model, model.validation) for model in evaluated if model.validation is not None]
    try:
        if not is_address(models):
            done += map(str, record_beside(models, {model.predictor.version: found for model, found in chosen}))
        store = resolve_store(TrackingSettings(uri=tracking_uri))
        if store.database is None or store.database.is_file():
            for model, found in chosen:
                done += tag_versions(store, model.predictor, found)
                page = write_external_report(cohort, basis, [model])
                run = log_validation(store, model.predictor, found, model.tables, page)
                done += [f"runs:/{run}"] if run else []
    except PaincastError as error:
        yield f"not recorded everywhere: {error} [{error.code}]"
    yield f"recorded: {', '.join(done)}" if done else "not recorded: the models are in no folder or store at hand"
    for model, found in chosen:
        if done and found.contradicts:
            yield f"contradicted by data: {model.predictor.name} abstains for patients like those of {found.describe()}"


def _format_months(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(horizon_months=table["horizon_months"].map("{:g}".format))


def _nest_estimates(metrics: pd.DataFrame, models: Sequence[EvaluatedModel]) -> str:
    """Write the estimates as JSON: by technique, outcome (with the month of a further one) and metric."""
    keys = {model.predictor.version: model.predictor.name.partition("/")[2] for model in models}
    nested: dict[str, dict[str, dict[str, float]]] = {}
    for row in metrics.dropna(subset="estimate").to_dict("records"):
        names = nested.setdefault(row["technique"], {}).setdefault(keys[row["model_version"]], {})
        names[row["metric"]] = float(row["estimate"])
    return json.dumps(nested, indent=1) + "\n"
