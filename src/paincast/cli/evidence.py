"""The command that shows the evidence: a list, the protocol card of a technique, references, a plot, or tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from paincast.cli.terminal.printing import echo
from paincast.schema import EPISODES, INDICATIONS, TECHNIQUES
from paincast.settings import SCENARIOS

if TYPE_CHECKING:
    from paincast.evidence import Record

IMAGES = (".png", ".svg", ".pdf")

DIFF = "diff"
"""In place of a technique: what studies move."""


def _complete(names: Sequence[str]) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    return lambda _context, _parameter, begun: [name for name in names if name.startswith(begun)]


@click.command(name="evidence")
@click.argument("technique", required=False, shell_complete=_complete((*TECHNIQUES, DIFF)))
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--indication", metavar="NAME", shell_complete=_complete(INDICATIONS), help="Only the records of this indication."
)
@click.option(
    "--approach",
    metavar="NAME",
    shell_complete=_complete(EPISODES["approach"].categories),
    help="Only the records of this approach.",
)
@click.option(
    "--scenario",
    default="literature",
    show_default=True,
    type=click.Choice(SCENARIOS),
    help="Evidence scenario of the expected response.",
)
@click.option(
    "--format",
    "style",
    type=click.Choice(["md", "html", "json"]),
    help="Format of the card or the list. Default: by the suffix of FILE, else md.",
)
@click.option("--references", type=click.Choice(["bibtex", "csl"]), help="Write the references instead.")
@click.option("--forest", is_flag=True, help="Draw published response rates into the image FILE.")
@click.option("--studies", is_flag=True, help="Write the results of the extracted studies as CSV instead.")
@click.option("--pooled", is_flag=True, help="Write the pooled curve of a TECHNIQUE, and what was counted, as CSV.")
@click.option("--write", is_flag=True, help="With diff: write what was computed into the package.")
@click.option(
    "--audit", is_flag=True, help="Rank the figures by influence and tell what stands on studies; CSV in FILE."
)
@click.option("-o", "--out", metavar="FILE", type=click.Path(path_type=Path), help="Write to FILE.")
def show_evidence(
    technique: str | None,
    files: tuple[Path, ...],
    indication: str | None,
    approach: str | None,
    scenario: str,
    style: str | None,
    references: str | None,
    forest: bool,
    studies: bool,
    pooled: bool,
    write: bool,
    audit: bool,
    out: Path | None,
) -> None:
    """Show the published evidence: all techniques, or the protocol card of TECHNIQUE.

    With diff in place of TECHNIQUE, compute all figures anew from the extraction table and show which of them move;
    each of FILES is a study in YAML, named by its id, that is added.

    \b
    Examples:
      paincast evidence
      paincast evidence facet_rfa
      paincast evidence epidural_steroid_injection --approach caudal --format html -o caudal.html
      paincast evidence --references bibtex -o evidence.bib
      paincast evidence --forest -o forest.png
      paincast evidence facet_rfa --studies -o facet_rfa_studies.csv
      paincast evidence facet_rfa --pooled -o facet_rfa_pooled.csv
      paincast evidence facet_rfa --audit
      paincast evidence diff new_study2026.yaml
    """  # noqa: D301
    if technique == DIFF:
        _deliver(_diff(files, write=write), out)
        return
    if files or write:
        raise click.UsageError(f"FILES and --write belong to 'paincast evidence {DIFF}'")
    tables = {"--studies": studies, "--pooled": pooled, "--audit": audit}
    _check_request(technique, indication, approach, {"--forest": forest, "--references": references, **tables}, out)
    if any(tables.values()):
        _deliver(_write_audit(technique, out) if audit else _write_table(technique, pooled=pooled), out)
        return
    records = _choose(technique, indication, approach)
    if forest:
        assert out is not None
        _draw_forest(records, out)
        return
    if references:
        text = _write_references(records, references)
    elif technique is None:
        text = _write_list(records, scenario, _find_style(style, out) if style or out else "text")
    else:
        text = _write_card(technique, indication, approach, scenario, _find_style(style, out))
    _deliver(text, out)


def _check_request(
    technique: str | None,
    indication: str | None,
    approach: str | None,
    outputs: dict[str, bool | str | None],
    out: Path | None,
) -> None:
    if technique is None and (indication or approach):
        raise click.UsageError("--indication and --approach choose among the records of a TECHNIQUE; give one")
    asked = [name for name, value in outputs.items() if value]
    if len(asked) > 1:
        raise click.UsageError(f"{' and '.join(asked)} are different outputs; give one of them")
    if outputs["--forest"] and (out is None or out.suffix.lower() not in IMAGES):
        raise click.UsageError(f"--forest draws an image: give -o FILE with the suffix {', '.join(IMAGES)}")
    if any(outputs[name] for name in ("--studies", "--pooled", "--audit")) and (indication or approach):
        raise click.UsageError(f"{asked[0]} takes a whole technique; leave out --indication and --approach")
    if outputs["--pooled"] and technique is None:
        raise click.UsageError("--pooled needs a TECHNIQUE")


def _choose(technique: str | None, indication: str | None, approach: str | None) -> tuple[Record, ...]:
    from paincast.evidence import load_records
    from paincast.reporting.evidence.card import choose_records

    if technique is None:
        return load_records()
    return choose_records(technique, indication=indication, approach=approach)


def _find_style(style: str | None, out: Path | None) -> str:
    by_suffix = {".html": "html", ".htm": "html", ".json": "json"}
    return style or by_suffix.get(out.suffix.lower() if out else "", "md")


def _write_list(records: tuple[Record, ...], scenario: str, style: str) -> str:
    from paincast.reporting.evidence.listing import build_list, write_lines

    if style == "json":
        return _write_json(records, scenario)
    if style == "text":
        return write_lines(records, scenario)
    from paincast.reporting.evidence.pages import write_html, write_markdown

    return {"md": write_markdown, "html": write_html}[style](build_list(records, scenario))


def _write_card(technique: str, indication: str | None, approach: str | None, scenario: str, style: str) -> str:
    from paincast.reporting.evidence.card import build_card, choose_records

    if style == "json":
        return _write_json(choose_records(technique, indication=indication, approach=approach), scenario)
    from paincast.reporting.evidence.pages import write_html, write_markdown

    card = build_card(technique, indication=indication, approach=approach, scenario=scenario)
    return {"md": write_markdown, "html": write_html}[style](card)


def _write_json(records: tuple[Record, ...], scenario: str) -> str:
    import json

    from paincast.reporting.evidence.plain import describe_records

    return json.dumps(describe_records(records, scenario), indent=2, ensure_ascii=False) + "\n"


def _write_references(records: tuple[Record, ...], style: str) -> str:
    from paincast.evidence import load_sources
    from paincast.reporting.evidence.references import format_bibtex, format_csl

    sources = load_sources()
    names = {name for record in records for name in record.sources}
    cited = [sources[name] for name in sorted(names)]
    return format_bibtex(cited) if style == "bibtex" else format_csl(cited) + "\n"


def _write_table(technique: str | None, *, pooled: bool) -> str:
    if pooled:
        from paincast.reporting.evidence.forest import tabulate_curves

        assert technique is not None
        return str(tabulate_curves(technique).to_csv(index=False))
    from paincast.evidence.synthesis.extraction import tabulate_results

    return str(tabulate_results(technique).to_csv(index=False))


def _diff(files: Sequence[Path], *, write: bool) -> str:
    """Compute all figures anew, and show which of them differ from those of the package."""
    from paincast.evidence.synthesis.computed_file import compute_file, diff_files, load_file, read_studies, write_file

    after = compute_file(read_studies(files))
    moved = diff_files(load_file(), after)
    if write:
        echo(f"written: {write_file(after)}", err=True)
    return str(moved.to_csv(index=False)) if len(moved) else "no figure moves\n"


def _write_audit(technique: str | None, out: Path | None) -> str:
    from paincast.evidence.synthesis.audit import audit_figures
    from paincast.reporting.evidence.influence import write_influence

    table = audit_figures(technique)
    return write_influence(table) if out is None else table.to_csv(index=False, float_format="%.6g")


def _draw_forest(records: tuple[Record, ...], out: Path) -> None:
    from paincast.errors import RefusalError
    from paincast.files import atomic_file
    from paincast.reporting.evidence.forest import collect_rates
    from paincast.reporting.figures.forest import save_forest

    rates = collect_rates(records)
    if rates.empty:
        raise RefusalError("no published response rate matches the request; there is nothing to draw", code="PC-CLI-02")
    with atomic_file(out) as draft:
        save_forest(rates, draft)
    published = int((rates["kind"] == "published").sum())
    echo(f"written: {out} ({published} published rates of {rates['record'].nunique()} records)")


def _deliver(text: str, out: Path | None) -> None:
    if out is None:
        echo(text, nl=False)
        return
    from paincast.files import atomic_file

    with atomic_file(out) as draft:
        draft.write_text(text, encoding="utf-8")
    echo(f"written: {out}")
