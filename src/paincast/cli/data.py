"""Commands for data: simulate, fetch, ingest, profile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from paincast.cli.terminal.printing import echo
from paincast.schema import TECHNIQUES
from paincast.settings import SCENARIOS, CohortSettings

if TYPE_CHECKING:
    from paincast.profiling import Profile

EXIT_REJECTS = 3
REJECTS = "rejects.csv"
REAL_DATA = Path("data/real")
_DEFAULTS = CohortSettings()


@click.command()
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder for the cohort.")
@click.option(
    "--technique",
    "techniques",
    multiple=True,
    type=click.Choice(TECHNIQUES),
    metavar="NAME",
    help="Technique to simulate; may be repeated. Default: all that have evidence.",
)
@click.option(
    "--episodes",
    default=_DEFAULTS.episodes_per_technique,
    show_default=True,
    type=click.IntRange(1),
    help="Episodes per technique.",
)
@click.option(
    "--scenario",
    default=_DEFAULTS.scenario,
    show_default=True,
    type=click.Choice(SCENARIOS),
    help="Evidence scenario: which published response rates to simulate.",
)
@click.option("--seed", default=_DEFAULTS.seed, show_default=True, help="Seed of the random numbers.")
@click.option(
    "--report",
    is_flag=False,
    flag_value=Path(),
    type=click.Path(path_type=Path),
    metavar="[FILE.html]",
    help="Also write a page that compares the cohort with its evidence. Default: <OUT>.report.html.",
)
@click.option("--progress/--no-progress", default=True, help="Progress on stderr.")
def simulate(
    out: Path,
    techniques: tuple[str, ...],
    episodes: int,
    scenario: str,
    seed: int,
    report: Path | None,
    progress: bool,
) -> None:
    """Simulate a cohort from published evidence, and write its truth next to it.

    Rows are written as they are simulated, so ten million episodes need no more memory than one million.

    \b
    Examples:
      paincast simulate --technique facet_rfa --technique si_joint_rfa --episodes 500 -o data/cohorts/simulated
      paincast simulate -o data/cohorts/simulated --report
    """  # noqa: D301
    from paincast.cli.terminal.progress import show_progress
    from paincast.simulator import write_cohort

    with show_progress("simulating", "episodes", is_wanted=progress) as shown:
        manifest = write_cohort(
            out,
            techniques=techniques or None,
            episodes_per_technique=episodes,
            scenario=scenario,
            seed=seed,
            progress=shown,
        )
    for technique in manifest["details"]["techniques"]:
        echo(f"  {technique}: {episodes} episodes")
    echo(f"written: {out} ({manifest['n_episodes']} episodes, basis {manifest['basis']})")
    if report is not None:
        _write_report(out, report if report.name else out.with_name(f"{out.name}.report.html"))


def _write_report(cohort: Path, path: Path) -> None:
    from paincast.reporting.simulation import report_simulation

    shown = report_simulation(cohort, path)
    echo(f"written: {path} ({shown} episodes beside their evidence)")


@click.command()
@click.argument("names", nargs=-1)
@click.option("--list", "listing", is_flag=True, help="List the data sets with citation and licence.")
@click.option("--mirror", help="Folder or URL of a mirror with the same files.")
@click.option(
    "-o",
    "--out",
    default=REAL_DATA,
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder of the data sets.",
)
@click.option("--progress/--no-progress", default=True, help="Progress on stderr.")
def fetch(names: tuple[str, ...], listing: bool, mirror: str | None, out: Path, progress: bool) -> None:
    """Fetch open data sets by NAME, checked against their published hashes.

    An interrupted download is resumed.

    \b
    Examples:
      paincast fetch --list
      paincast fetch caudal_esi_2018 genicular_rfa_2024
      paincast fetch caudal_esi_2018 --mirror /mnt/mirror
    """  # noqa: D301
    from paincast.cli.terminal.progress import show_progress
    from paincast.cohort.registry import data_sets

    if listing:
        for data_set in data_sets.list_data_sets():
            echo(f"{data_set.name}\n  {' '.join(data_set.citation.split())}\n  licence: {data_set.licence}")
        return
    if not names:
        raise click.UsageError("give the NAME of a data set; 'paincast fetch --list' lists them")
    for data_set in [data_sets.get_data_set(name) for name in names]:
        with show_progress(data_set.name, "bytes", is_wanted=progress) as shown:
            files = data_sets.fetch(data_set.name, out, mirror=mirror, progress=shown)
        echo(f"{data_set.name}: {', '.join(str(file) for file in files)}")
        echo(f"  cite: {' '.join(data_set.citation.split())}\n  licence: {data_set.licence}")


@click.command()
@click.argument("mapping", required=False)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Folder for the cohort (or file for --suggest).")
@click.option(
    "--max-rejects",
    default=0.05,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Refuse the cohort if a larger share of a table's rows lost a value; 1 accepts any share.",
)
@click.option(
    "--suggest", type=click.Path(path_type=Path), metavar="FILE", help="Write a draft mapping for FILE, to be edited."
)
@click.option(
    "--dictionary",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With --suggest: a data dictionary (of REDCap, or a table of names and labels).",
)
@click.pass_context
def ingest(
    context: click.Context,
    mapping: str | None,
    files: tuple[Path, ...],
    out: Path | None,
    max_rejects: float,
    suggest: Path | None,
    dictionary: Path | None,
) -> None:
    """Turn registry FILES into a cohort by a MAPPING: columns, units and codes, declared in YAML.

    MAPPING is the name of an included mapping or your own YAML file. For an included mapping, FILES default to those in
    data/real/<name> after `paincast fetch`.

    Nothing is dropped silently: rejects.csv in the cohort's folder lists what was left out with row, column and rule,
    but without the value. If more than --max-rejects is lost, the mapping is probably wrong: then the cohort is not
    written, the list is in <OUT>.rejects.csv, and the exit code is 3.

    \b
    Examples:
      paincast ingest caudal_esi_2018 -o data/cohorts/caudal_esi_2018
      paincast ingest --suggest export.csv -o our_registry.yaml
      paincast ingest --suggest export.csv --dictionary dictionary.csv -o our_registry.yaml
      paincast ingest our_registry.yaml export.csv -o data/cohorts/ours
    """  # noqa: D301
    if suggest is not None:
        _suggest(suggest, out, dictionary)
        return
    if mapping is None or out is None:
        raise click.UsageError("give a MAPPING and -o FOLDER, or --suggest FILE")
    from paincast.cohort.registry.ingestion import ingest_to_folder

    found = ingest_to_folder(files or None, mapping, out, max_rejects=max_rejects)
    for line in found.lines:
        echo(f"  {line}")
    if not found.is_written:
        echo(
            f"rejects: {found.share:.1%} of the rows of a table lost a value, more than --max-rejects "
            f"{max_rejects:g}; the cohort was not written. See {out.with_name(f'{out.name}.rejects.csv')}, correct the "
            "mapping, or accept it with --max-rejects 1",
            err=True,
        )
        context.exit(EXIT_REJECTS)
    echo(f"written: {out} (basis real, {found.n_episodes} real episodes)")


def _suggest(source: Path, out: Path | None, dictionary: Path | None) -> None:
    from paincast.cohort.registry.suggestion import format_dry_run, format_understood, run_dry, suggest
    from paincast.contract import find_contract
    from paincast.files import atomic_file

    suggestion = suggest(source, dictionary=dictionary, contract=find_contract(out or source))
    if out is None:
        echo(suggestion.text, nl=False)
    else:
        with atomic_file(out) as draft:
            draft.write_text(suggestion.text, encoding="utf-8")
    echo(format_understood(suggestion.understood), err=out is None)
    echo(format_dry_run(run_dry(suggestion.draft, source)), err=out is None)
    if out is not None:
        echo(f"written: {out}; edit it, then: paincast ingest {out} {source} -o FOLDER")


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
    from paincast.cli.terminal.printing import print_table
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
