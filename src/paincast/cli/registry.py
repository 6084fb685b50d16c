"""Commands for logged models: promote, roll back, compare, report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from paincast.cli.terminal.printing import echo, print_table

if TYPE_CHECKING:
    from paincast.cohort.tables import Cohort
    from paincast.predictor import Predictor
    from paincast.tracking import Store

trusted_keys_option = click.option(
    "--trusted-keys",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="PEM file of public keys: refuse models that none of them signed ('paincast promote --sign').",
)

tracking_uri_option = click.option(
    "--tracking-uri", help="MLflow store; default: MLFLOW_TRACKING_URI, or mlflow.db in this folder."
)

exclude_overlap_option = click.option(
    "--exclude-overlap", is_flag=True, help="Leave out patients that a model was trained on, instead of refusing."
)


def find_store(tracking_uri: str | None) -> Store:
    """Find the MLflow store, which must exist."""
    from paincast.errors import DataError
    from paincast.settings import TrackingSettings
    from paincast.tracking import resolve_store

    store = resolve_store(TrackingSettings(uri=tracking_uri))
    if store.database is not None and not store.database.is_file():
        raise DataError(
            f"no runs are recorded in {store.database}; run 'paincast train' first, or give --tracking-uri",
            code="PC-CLI-14",
        )
    return store


@click.command()
@click.argument("run_or_version")
@click.option(
    "--gate", "choice", default="default", show_default=True, help="default, research, or a YAML file of criteria."
)
@click.option(
    "--sign",
    "signing_key",
    metavar="KEY",
    type=click.Path(path_type=Path),
    help="PEM file of a private key (Ed25519) that signs the model, so that 'predict --trusted-keys' takes it.",
)
@tracking_uri_option
def promote(run_or_version: str, choice: str, signing_key: Path | None, tracking_uri: str | None) -> None:
    """Make a model the champion if its evidence passes a gate.

    RUN_OR_VERSION is the id of a run, NAME/VERSION or NAME@ALIAS. Every criterion is printed with the requirement and
    the result; a missing number fails. A refused promotion changes nothing. A promoted model is available at
    models:/NAME@champion, and the verdict is stored with its run and version in MLflow.

    Runs and versions are marked "research use only" when they are logged. A gate without `research_use` removes the
    mark from the champion for as long as it is champion. A model of simulated patients only is refused by every gate
    except one for research, and keeps the mark.

    `--sign` signs a model that passes. A key is made by `openssl genpkey -algorithm ed25519 -out private.pem`, its
    public key by `openssl pkey -in private.pem -pubout -out public.pem`; nobody but you may be able to read the first.

    \b
    Examples:
      paincast promote paincast.genicular_rfa.pain_response@candidate
      paincast promote paincast.genicular_rfa.pain_response@candidate --sign private.pem
      paincast promote paincast.facet_rfa.pain_response/2 --gate research
      paincast promote paincast.facet_rfa.pain_response/2 --gate our_gate.yaml

    \b
    Exit codes: 0 promoted; 2 refused, or an error you can fix; nothing was changed.
    """  # noqa: D301
    from paincast.cli.hydra_app import read_gate
    from paincast.errors import RefusalError
    from paincast.tracking import promote as promote_version

    done = promote_version(find_store(tracking_uri), run_or_version, read_gate(choice), signing_key=signing_key)
    for finding in done.verdict.findings:
        required = f" (required: {finding.required})" if finding.required else ""
        echo(f"{finding.status:<10} {finding.criterion}: {finding.reason}{required}")
    name = f"{done.model_name} version {done.version}"
    if not done.verdict.passed:
        raise RefusalError(f"{name} is not promoted: {done.verdict.describe()}; nothing was changed", code="PC-CLI-15")
    mark = f"; {done.verdict.mark}" if done.verdict.mark else ""
    before = f", before it version {done.former}" if done.former not in (None, done.version) else ""
    echo(f"\n{name} is champion{before}{mark}: models:/{done.model_name}@champion")
    if done.signed_by:
        echo(f"signed by key {done.signed_by}")


@click.command()
@click.argument("model")
@tracking_uri_option
def rollback(model: str, tracking_uri: str | None) -> None:
    """Make the previous champion the champion again.

    MODEL is the name in the registry. Each further call goes back one more version. The former champion is not judged
    again: it keeps the verdict it was promoted with.

    \b
    Example:
      paincast rollback paincast.genicular_rfa.pain_response
    """  # noqa: D301
    from paincast.tracking import roll_back

    done = roll_back(find_store(tracking_uri), model)
    use = f"; {done.use}" if done.use else ""
    echo(f"{done.model_name}: version {done.restored} is champion again, in place of version {done.demoted}{use}")


@click.command("compare-runs")
@click.argument("champion")
@click.argument("candidate")
@click.option(
    "--cohort", required=True, type=click.Path(path_type=Path), help="A cohort that neither model was trained on."
)
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Also write the table to this .csv file.")
@click.option("--resamples", default=1000, show_default=True, help="Bootstrap resamples of patients.")
@click.option("--confidence", default=0.95, show_default=True, help="Coverage of the intervals.")
@click.option("--seed", default=7, show_default=True, help="Seed of the resamples.")
@click.option(
    "--models",
    default=Path("models"),
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder of models of trainings, where fingerprints tell whom they were trained on; those beside the store "
    "and in this folder are looked at too.",
)
@exclude_overlap_option
@tracking_uri_option
def compare_runs(
    champion: str,
    candidate: str,
    cohort: Path,
    out: Path | None,
    resamples: int,
    confidence: float,
    seed: int,
    models: Path,
    exclude_overlap: bool,
    tracking_uri: str | None,
) -> None:
    """Compare CHAMPION and CANDIDATE on the same rows of a cohort.

    Each is the id of a run, NAME/VERSION, NAME@ALIAS or the folder of a model; both must be models of the same
    technique, outcome and horizon. Differences are candidate minus champion, with intervals from a paired bootstrap of
    patients. For log loss, Brier score and ICI, lower is better; for AUROC, higher is better; the best calibration
    slope is 1. Use a cohort that neither was trained on: on its training patients, the model that overfits most wins.
    Such patients are found by the fingerprints that a training writes to its folder of models (never to MLflow), and
    the cohort is refused; without fingerprints, the output states that this cannot be checked.

    \b
    Example:
      paincast compare-runs paincast.facet_rfa.pain_response@champion \\
          paincast.facet_rfa.pain_response@candidate --cohort data/cohorts/later_years
    """  # noqa: D301
    import numpy as np

    from paincast.cohort.tables import load_cohort
    from paincast.files import atomic_file
    from paincast.fingerprints import find_fingerprints
    from paincast.serving.comparison import compare_models

    loaded = load_cohort(cohort)
    first, second = (_load_untrained_on(source, loaded, tracking_uri) for source in (champion, candidate))
    rng = np.random.default_rng(seed)
    table, flow = compare_models(
        first,
        second,
        loaded,
        rng=rng,
        resamples=resamples,
        confidence=confidence,
        fingerprints=find_fingerprints(models, champion, candidate, *_list_model_folders(tracking_uri)),
        exclude_overlap=exclude_overlap,
    )
    print_table(flow, keys=1)
    echo()
    print_table(table.drop(columns="method"), keys=1, float_format="%.4f")
    echo(f"\n{table['method'].iloc[0]}; the cohort is {loaded.basis}")
    if out is not None:
        with atomic_file(out) as draft:
            table.to_csv(draft, index=False)
        echo(f"written: {out}")


def _list_model_folders(tracking_uri: str | None) -> list[Path]:
    """List folders with fingerprints in the working folder and next to the database of the store."""
    from paincast.fingerprints import KEPT
    from paincast.settings import TrackingSettings
    from paincast.tracking import resolve_store

    database = resolve_store(TrackingSettings(uri=tracking_uri)).database
    folders = {Path.cwd()} if database is None else {Path.cwd(), database.parent}
    return [kept.parent for folder in sorted(folders) for kept in sorted(folder.glob(f"*/{KEPT}"))]


def _load_untrained_on(source: str, cohort: Cohort, tracking_uri: str | None) -> Predictor:
    """Load a model; raise an error if its run shows that it was trained on exactly these episodes."""
    from paincast.errors import RefusalError
    from paincast.serving.predict import load_model
    from paincast.tracking import find_tracked_model, summarize_dataset, use_store

    if Path(source).is_dir():
        return load_model(source)
    store = find_store(tracking_uri)
    recorded = find_tracked_model(store, source)
    with use_store(store):
        model = load_model(recorded.address)
    if summarize_dataset(cohort.select_technique(model.technique), "cohort").digest in recorded.digests:
        raise RefusalError(
            f"{source} was trained on these episodes, so its performance would be overstated; give a cohort "
            "that neither model was trained on",
            code="PC-CLI-16",
        )
    return model


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
