"""TRIPOD+AI and PROBAST+AI, filled from the contents of a run: every item with its evidence, or shown as missing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from paincast.environment import hide_values
from paincast.errors import SettingsError, suggest_name
from paincast.reporting.model.run_contents import RunContents
from paincast.settings import TrainingSettings

FOLDER = Path(__file__).resolve().parent / "checklists"
CHECKLISTS = ("tripod_ai", "probast_ai")
FILLED, MISSING, OTHER_KIND = "filled", "missing", "does not apply"
STATEMENT = "statement"
NO_PATIENTS = "data of patients are needed; these were simulated"
COLUMNS = ("item", "checklist", "section", "asks", "status", "says", "evidence")


@cache
def load_checklist(name: str) -> Mapping[str, Any]:
    """Read a checklist of :data:`CHECKLISTS`: ``title``, ``source`` and ``items``."""
    read: Mapping[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return read


def name_item(checklist: str, item: str) -> str:
    """Give the name under which an item is stated and asked for by a gate.

    Examples
    --------
    >>> name_item("tripod_ai", "18a")
    'tripod_18a'
    """
    return f"{checklist.partition('_')[0]}_{item}"


def check_items(settings: TrainingSettings) -> None:
    """Check that the items named in statements and in the gate exist.

    Raises
    ------
    SettingsError
        If an item is unknown; the message names the setting and the nearest item.
    """
    known = [name_item(name, entry["item"]) for name in CHECKLISTS for entry in load_checklist(name)["items"]]
    for setting, items in (("statements", settings.statements), ("gate.card_items", settings.gate.card_items)):
        for item in items:
            if item not in known:
                raise SettingsError(
                    f"{setting}: unknown item '{item}'; {suggest_name(item, known)}", code="PC-REPORTING-01"
                )


def fill_checklists(run: RunContents, statements: Mapping[str, str], figures: Collection[str]) -> pd.DataFrame:
    """Fill both checklists from the contents of a run.

    Parameters
    ----------
    run : RunContents
        The run; its tables are those that will be recorded.
    statements : mapping of str to str
        What only people can say, by item: approval, funding, protocol. A statement fills its item whatever else does.
    figures : collection of str
        Names of the figures that will be recorded.

    Returns
    -------
    DataFrame
        A row for each item: ``item, checklist, section, asks, status, says, evidence``. ``status`` is ``filled``,
        ``missing``, or ``does not apply`` for items about probabilities when the outcome is a number. Items that need
        data of patients are missing when the patients were simulated.
    """
    rows = [
        _fill_item(name, entry, run, statements, figures)
        for name in CHECKLISTS
        for entry in load_checklist(name)["items"]
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _fill_item(
    checklist: str, entry: Mapping[str, Any], run: RunContents, statements: Mapping[str, str], figures: Collection[str]
) -> dict[str, str]:
    name = name_item(checklist, entry["item"])
    title = load_checklist(checklist)["title"]
    row = {"item": name, "checklist": title, "section": entry["section"], "asks": entry["asks"]}
    if statements.get(name):
        return {
            **row,
            "status": FILLED,
            "says": hide_values(statements[name]),
            "evidence": "stated in the settings of the run",
        }
    if entry.get("only") == "probability" and run.facts.get("kind") == "continuous":
        return {**row, "status": OTHER_KIND, "says": "the outcome is a number, not a probability", "evidence": ""}
    if entry.get("of") == "patients" and run.tags.get("basis") == "synthetic":
        return {**row, "status": MISSING, "says": NO_PATIENTS, "evidence": ""}
    absent = [pointer for pointer in entry["evidence"] if not _is_recorded(pointer, run, figures)]
    if absent:
        return {**row, "status": MISSING, "says": _describe_absent(absent, name), "evidence": ""}
    words = {**run.params, **run.tags, **run.facts, "title": run.title, "sources": run.format_sources()}
    text = entry.get("says", "").format_map(_Words({word.replace(".", "_"): value for word, value in words.items()}))
    also, further = _add_further(entry, run, figures)
    pointers = "; ".join(map(_format_pointer, [*entry["evidence"], *further]))
    return {**row, "status": FILLED, "says": f"{text}{also}", "evidence": pointers}


def _add_further(entry: Mapping[str, Any], run: RunContents, figures: Collection[str]) -> tuple[str, list[str]]:
    """Give what the run says about the further evidence of an item, or that it is missing, and the pointers to it."""
    text = ""
    pointers: list[str] = []
    for pointer, words in entry.get("also", {}).items():
        if _is_recorded(pointer, run, figures):
            text, pointers = f"{text}; {words}", [*pointers, pointer]
        else:
            text = f"{text}; missing: {words}"
    return text, pointers


class _Words(dict[str, str]):
    """Words to fill a sentence with; an absent one says that it is unknown."""

    def __missing__(self, key: str) -> str:
        return "unknown"


def _is_recorded(pointer: str, run: RunContents, figures: Collection[str]) -> bool:
    kind, _, name = pointer.partition(":")
    if kind == "table":
        return name in run.tables and len(run.tables[name]) > 0
    if kind == "artifact":
        return True
    return name in {"fact": run.facts, "param": {**run.tags, **run.params}, "figure": figures}.get(kind, ())


def _format_pointer(pointer: str) -> str:
    kind, _, name = pointer.partition(":")
    return {
        "table": f"tables/{name}.csv",
        "figure": f"figures/{name}.png",
        "fact": f"tables/provenance.csv: {name}",
        "param": f"parameter {name}",
    }.get(kind, name)


def _describe_absent(absent: list[str], name: str) -> str:
    if STATEMENT in absent:
        return f"stated by people: statements.{name}=..."
    return f"the run lacks {', '.join(map(_format_pointer, absent))}"


def list_missing(checklist: pd.DataFrame) -> Iterator[tuple[str, list[str]]]:
    """List for each checklist the items that are missing."""
    for title, items in checklist.groupby("checklist", sort=False):
        yield str(title), items.loc[items["status"] == MISSING, "item"].tolist()
