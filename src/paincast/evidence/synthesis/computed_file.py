"""Write ``computed.yaml``, and show what a study moves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from paincast.errors import DataError
from paincast.evidence.reading import list_source_ids, parse_yaml, read_yaml
from paincast.evidence.records import EVIDENCE_FOLDER, build_records, load_contents
from paincast.evidence.synthesis.audit import audit_figures, summarise_audit
from paincast.evidence.synthesis.compute import DIGITS, compute_records, round_figures
from paincast.evidence.synthesis.extraction import check_links, load_studies, parse_study
from paincast.evidence.synthesis.rates import compare_arms
from paincast.evidence.synthesis.study import Study
from paincast.files.bounded import read_yaml_text

COMPUTED = EVIDENCE_FOLDER / "computed.yaml"

EXACT = 0.001
"""Smaller changes are those of the numerical search for the spreads, which differ between machines."""

DIFF_COLUMNS = ("record", "figure", "before", "after", "change")

_HEADER = """\
# Computed from studies/ and records/ by `paincast evidence diff --write`. Do not edit: a test holds it against them.
"""
_SHOWN = ("curve", "scenarios", "comparators", "untreated", "predictors", "complications", "passes", "baseline")
_MOVED = ("share", "log_odds", "mean", "median", "lower", "upper", "sd")


def compute_file(studies: Mapping[str, Study]) -> dict[str, Any]:
    """Compute the content of ``computed.yaml``: the figures of all records, the studies they cite, and the audit.

    Parameters
    ----------
    studies : mapping of str to Study
        The extraction table.

    Returns
    -------
    dict
        ``records``, ``comparisons``, ``sources``, and ``audit``: what the simulated response of each technique stands
        on.
    """
    records = compute_records(studies, load_contents())
    files = ("contraindications", "costs", "practice", "controlled_trials", "comparisons")
    shared = [read_yaml(EVIDENCE_FOLDER / f"{name}.yaml") for name in files]
    contents = [*records.values(), *load_contents().values(), *shared]
    cited = set().union(*(list_source_ids(content) for content in contents))
    cited |= {name for content in load_contents().values() for name in content.get("sources", ())}
    comparisons = round_figures(compare_arms(studies, shared[-1]["comparisons"]))
    content = {
        "records": records,
        "comparisons": comparisons,
        "sources": {name: _cite(studies[name]) for name in sorted(cited & set(studies))},
    }
    audit = summarise_audit(audit_figures(records=build_records(content))).set_index("technique")
    return {**content, "audit": round_figures(audit.to_dict("index"))}


def _cite(study: Study) -> dict[str, str]:
    seen = {
        "access": "FOUND",
        "url": study.read_at,
        "doi": study.doi,
        "pmid": study.pmid,
        "note": f"read: {study.read}",
    }
    return {"citation": study.citation, **{name: value for name, value in seen.items() if value}}


def write_file(content: Mapping[str, Any]) -> Path:
    """Write ``computed.yaml`` into the folder of the evidence."""
    text = yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=150, default_flow_style=None)
    COMPUTED.write_text(_HEADER + text, encoding="utf-8")
    return COMPUTED


def load_file() -> dict[str, Any]:
    """Read ``computed.yaml`` of the package."""
    return read_yaml(COMPUTED)


def read_studies(files: Sequence[Path]) -> dict[str, Study]:
    """Read the extraction table with further studies, each in a YAML file named by its id.

    A file takes the place of the study of that name.

    Raises
    ------
    SettingsError
        If a file cannot be read in bounded time and memory.
    DataError
        If a file is no study, names one that is not in the table, or two files have the same name.
    """
    given = [file.stem for file in files]
    if repeated := sorted({name for name in given if given.count(name) > 1}):
        raise DataError(f"two files are named {repeated[0]}; give each study once", code="PC-EVIDENCE-54")
    further = {file.stem: parse_study(file.stem, parse_yaml(read_yaml_text(file), file.name)) for file in files}
    studies = {**load_studies(), **further}
    check_links(studies)
    return studies


def diff_files(before: Mapping[str, Any], after: Mapping[str, Any]) -> pd.DataFrame:
    """List the figures that differ between two contents of ``computed.yaml``, by more than the fit is exact to.

    Returns
    -------
    DataFrame
        ``record, figure, before, after, change``; the largest changes of shares and log odds first. A figure that only
        one has is missing in the other.
    """
    old, new = dict(_walk(before)), dict(_walk(after))
    rows = [(*key, old.get(key), new.get(key)) for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    table = pd.DataFrame(rows, columns=list(DIFF_COLUMNS[:4])).astype({"before": "float64", "after": "float64"})
    table["change"] = (table["after"] - table["before"]).round(DIGITS)
    table = table[~(table["change"].abs() < EXACT)].reset_index(drop=True)
    order = table["change"].abs().fillna(1.0).sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index(drop=True)


def _walk(content: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], float]]:
    contents = load_contents()
    for record, figures in content["records"].items():
        columns = [f"{entry['column']} {entry['transform']}" for entry in contents[record].get("predictors", ())]
        for part in _SHOWN:
            entries = figures.get(part, {})
            named = (
                dict(zip(_name_entries(part, entries, columns), entries, strict=False))
                if isinstance(entries, list)
                else entries
            )
            if part == "passes" and entries:
                named = {"test passed": entries}
            for name, entry in named.items():
                for figure in _MOVED:
                    if isinstance(entry, Mapping) and isinstance(entry.get(figure), (int, float)):
                        yield (record, f"{part} {name}: {figure}"), float(entry[figure])


def _name_entries(part: str, entries: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Sequence[str]:
    if part == "predictors":
        return columns
    return [f"{entry['outcome']} {entry['indication']} {entry['kind']} month {entry['month']:g}" for entry in entries]
