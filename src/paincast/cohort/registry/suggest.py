"""Draft a mapping from a registry's file for a data manager to correct. Every guess is marked as a guess."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import SequenceMatcher
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from paincast.cohort.coercion import find_missing_words, to_booleans, to_code, to_numbers
from paincast.cohort.dates import read_years
from paincast.cohort.identifiers import find_repeating_ids, find_twin_ids
from paincast.cohort.reading.files import read_text_table
from paincast.cohort.registry.dialects import write_dialect
from paincast.files.strict_yaml import UNFINISHED
from paincast.schema import EPISODES, VISITS, Column

MOST_CODES = 10
"""A column with more distinct values is treated as free text or an id; its values are not shown."""
FEWEST_PATIENTS = 3
"""A value that occurs in fewer rows is not shown, because it may identify a patient."""
LONGEST_CODE = 24
"""A longer value is treated as free text and not shown."""
CLOSE_ENOUGH = 0.82

SYNONYMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "episode_id": ("episode", "case id", "procedure id", "encounter", "record id", "procedure number"),
        "patient_id": (
            "patient",
            "id",
            "subject",
            "subject id",
            "participant",
            "bids id",
            "mrn",
            "pseudonym",
            "pid",
            "pat nr",
        ),
        "site_id": ("site", "hospital", "centre", "center", "clinic", "department"),
        "procedure_year": ("year", "year of procedure"),
        "technique": (
            "procedure",
            "intervention",
            "surgery type",
            "procedure type",
            "treatment type",
            "procedure code",
        ),
        "indication": ("diagnosis", "clinical finding", "dx", "icd", "disease"),
        "approach": ("route", "access"),
        "guidance": ("imaging", "image guidance"),
        "age_years": ("age", "age at procedure"),
        "sex": ("gender",),
        "bmi": ("body mass index",),
        "height_cm": ("height", "ht"),
        "weight_kg": ("weight", "wt"),
        "smoker": ("smoking", "tobacco"),
        "pain_nrs": ("nrs", "vas", "pain", "pain score", "pain avg", "average pain", "pain severity", "baseline pain"),
        "pain_duration_months": (
            "duration",
            "symptom duration",
            "disease duration",
            "pain duration",
            "backpain length",
        ),
        "odi": ("oswestry", "oswestry disability index"),
        "womac": ("womac total",),
        "eq5d_index": ("eq5d", "eq 5d", "eq5d index"),
        "opioid_mme": ("mme", "opioid dose", "morphine equivalent"),
        "catastrophizing_pcs": ("pcs", "catastroph", "pain catastrophizing"),
        "hads_anxiety": ("hads a",),
        "hads_depression": ("hads d",),
        "prior_spine_surgery": ("previous spine surgery", "prior back surgery"),
        "prior_procedure": ("previous surgeries", "previous procedure", "prior surgery"),
        "kellgren_lawrence": ("kl", "kl grade"),
        "ethnicity": ("race", "racial ethnic category"),
        "payer": ("insurance",),
        "pgic": ("global impression", "patient global impression of change"),
    }
)

_UNIT_WORDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "years": ("years", "year", "yrs", "y"),
        "months": ("months", "month", "mo"),
        "weeks": ("weeks", "week", "wk"),
        "days": ("days", "day"),
        "pounds": ("pounds", "lb", "lbs"),
        "kg": ("kg",),
        "inches": ("inches", "in"),
        "cm": ("cm",),
        "0-100": ("mm",),
    }
)
_NOISE = frozenset(
    "x y yp ys 0m baseline bl pre preop t0 at average score daily dose delta change".split()  # noqa: SIM905
)
_FOLLOW_UP = re.compile(
    r"(?:^|[\s_.-])(?:fu|m|month|post)?[\s_.-]?(\d{1,2})[\s_.-]?(m|mo|month|months|w|wk|week|weeks)(?:$|[\s_.-])"
)
DATE_FORMATS = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%d/%m/%y", "%m/%d/%y")
"""Common date formats other than ISO 8601."""

_WEEKS_PER_MONTH = 365.25 / 12 / 7


def suggest_mapping(file: str | Path) -> str:
    """Draft a mapping of a file, to be edited.

    Columns are guessed by name, synonym and unit. Codes are listed only if there are few of them, they are short and
    each occurs in at least three rows. Free text, ids and rare values are never shown. Anything that cannot be guessed
    is marked ``TODO``; :func:`paincast.cohort.registry.mapping.load_mapping` refuses the file until it is filled in.

    Parameters
    ----------
    file : str or Path
        CSV, TSV or Parquet file with one row per episode; follow-ups are recognised by names such as ``nrs_3m``.

    Returns
    -------
    str
        YAML text.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    table = read_text_table(file)
    rows = table.rows
    follow_ups = {name: month for name in map(str, rows) if (month := _follow_up_month(name)) is not None}
    guesses = _guess_columns([str(name) for name in rows if name not in follow_ups], EPISODES)
    ids = find_repeating_ids(rows)
    used = {*guesses.values(), *([] if "patient_id" in guesses else ids[:1])}
    visits, answered = _write_visits(rows, follow_ups)
    unused = [name for name in table.columns if name not in used | answered]
    lines = [
        "# A first mapping, guessed from the names in the file. Confirm or correct every line marked 'guess',",
        f"# and replace every {UNFINISHED}with a value: until then the mapping is refused.",
        f"title: {_quote(Path(file).stem)}",
        "",
        "read:",
        f"  file: {_quote(Path(file).name)}",
        *write_dialect(table),
        "",
        "episodes:",
        *_write_ids(guesses, ids, find_twin_ids(table.rejects)),
        *[line for name, source in guesses.items() if name not in ("episode_id", "patient_id")
          for line in _write_field(EPISODES[name], source, rows[source], indent=2)],
        *([] if "technique" in guesses else [f"  technique: {{always: {UNFINISHED}}}  # or: a column and its codes"]),
        *visits,
        "",
        "# Columns that are not read, because no column of the contract has a similar name:",
        *[f"#   {name}" for name in unused],
        *_write_rejects(table.rejects),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _write_rejects(rejects: pd.DataFrame) -> list[str]:
    """List the rows and columns that could not be read, by rule and position."""
    kinds = rejects.groupby(["rule", "column"], sort=False)["row"].agg(["size", "first"]).reset_index()
    if kinds.empty:
        return []
    lines = [
        f"#   {kind['rule']}: {kind['size']} x" + (f" '{kind['column']}'" if kind["column"] else "")
        + (f", first at row {kind['first']}" if kind["first"] else "")
        for kind in kinds.to_dict("records")
    ]  # fmt: skip
    return ["", "# Rows that could not be read (1 is the first row below the header):", *lines]


def _write_ids(guesses: Mapping[str, str], repeating: list[str], twins: list[str]) -> list[str]:
    """Write the two ids; rows are numbered only if no column shows that a patient has several rows."""
    patient = guesses.get("patient_id") or next(iter(repeating), None)
    episode = guesses.get("episode_id")
    by_row = "{row_number: true, prefix: row-}  # no column was found; rows are numbered"
    if twins and not patient:
        by_row = f"{{column: {UNFINISHED}}}  # {_quote(twins[0])} appears twice in the header: rename one"
    to_do = (
        f"{{column: {UNFINISHED}}}  # {_quote(str(patient))} stands in several rows: name what tells procedures"
        " apart, or columns: [patient, number]; rows of visits need 'baseline_rows'"
    )
    return [
        f"  episode_id: {{column: {_quote(episode)}}}  # guess"
        if episode
        else f"  episode_id: {to_do if patient in repeating else by_row}",
        f"  patient_id: {{column: {_quote(patient)}}}  # guess" if patient else f"  patient_id: {by_row}",
    ]


def _guess_columns(names: list[str], columns: Mapping[str, Column]) -> dict[str, str]:
    """Match each column of the contract to the most similar source column; each source column is used once."""
    scored = [(_resemblance(source, target), target, source) for target in columns for source in names]
    guesses: dict[str, str] = {}
    for score, target, source in sorted(scored, key=lambda entry: -entry[0]):
        if score >= CLOSE_ENOUGH and target not in guesses and source not in guesses.values():
            guesses[target] = source
    return {target: guesses[target] for target in columns if target in guesses}


def _resemblance(source: str, target: str) -> float:
    plain = _plain(source)
    known = (_plain(target), *map(_plain, SYNONYMS.get(target, ())))
    return max(SequenceMatcher(None, plain, name).ratio() if name else 0.0 for name in known)


def _plain(name: str) -> str:
    words = re.findall(r"[a-z]+|\d+[a-z]*", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower())
    units = {word for spellings in _UNIT_WORDS.values() for word in spellings}
    kept = [word for word in words if word not in _NOISE and word not in units and not word[0].isdigit()]
    return " ".join(kept or words)


def _follow_up_month(name: str) -> float | None:
    match = _FOLLOW_UP.search(name.lower())
    if not match or int(match[1]) == 0:
        return None
    return int(match[1]) / (_WEEKS_PER_MONTH if match[2].startswith("w") else 1.0)


def _write_visits(sheet: pd.DataFrame, follow_ups: Mapping[str, float]) -> tuple[list[str], set[str]]:
    lines: list[str] = []
    answered: set[str] = set()
    for month in sorted(set(follow_ups.values())):
        names = {_FOLLOW_UP.sub(" ", name.lower()): name for name, at in follow_ups.items() if at == month}
        guesses = _guess_columns(list(names), {name: VISITS[name] for name in VISITS if VISITS[name].role == "outcome"})
        if not guesses:
            continue
        lines.append(f"  - month: {{always: {month:.3g}}}  # guess, from the names of the columns")
        for target, plain in guesses.items():
            lines += _write_field(VISITS[target], names[plain], sheet[names[plain]], indent=4)
            answered.add(names[plain])
    return (["", "visits:", *lines] if lines else []), answered


def _write_field(column: Column, source: str, text: pd.Series, *, indent: int) -> list[str]:
    margin = " " * indent
    if column.type == "text":
        return [f"{margin}{column.name}: {{column: {_quote(source)}}}  # guess"]
    if column.type in ("number", "integer"):
        return [f"{margin}{column.name}: {{column: {_quote(source)}{_guess_reading(column, source, text)}}}  # guess"]
    if column.type == "boolean" and not to_booleans(text)[1].any():
        return [f"{margin}{column.name}: {{column: {_quote(source)}}}  # guess"]
    shown, n_hidden = _codes_to_show(text)
    lines = [
        f"{margin}{column.name}:  # guess",
        f"{margin}  column: {_quote(source)}",
        f"{margin}  # each code is {column.allowed}, or missing",
        f"{margin}  codes:",
    ]
    lines += [f"{margin}    {_quote(code)}: {_guess_meaning(column, code)}" for code in shown]
    if n_hidden or not shown:
        lines.append(f"{margin}    {UNFINISHED}: {UNFINISHED}  # values that are many, long or rare are not shown here")
    return lines


def _guess_reading(column: Column, source: str, text: pd.Series) -> str:
    words = re.findall(r"[a-z]+", source.lower())
    readings = [to_numbers(text, decimal=mark) for mark in (None, "comma")]
    values = min(readings, key=lambda reading: reading[1].sum())[0].dropna()
    if column.name == "procedure_year" and values.empty:
        return _guess_date_reading(text)
    if column.role == "outcome" and ({"delta", "change", "diff"} & set(words) or (values < 0).mean() > 0.2):
        return ", reads: change from baseline"
    if column.unit == "NRS points" and (values > 10).mean() > 0.2:
        return ", unit: 0-100"
    allowed = {"years": ("years", "months"), "months": ("months", "years", "weeks", "days")}.get(column.unit or "", ())
    allowed = allowed or {"kg": ("kg", "pounds"), "cm": ("cm", "inches")}.get(column.unit or "", ())
    named = [unit for unit in allowed if set(_UNIT_WORDS[unit]) & set(words)]
    return f", unit: {named[0]}" if named else ""


def _guess_date_reading(text: pd.Series) -> str:
    """Find the only common format that fits every date; it stays ``TODO`` if days and months are ambiguous."""
    given = text[~find_missing_words(text)]
    if _is_written(given, None):
        return ", reads: year of date"
    fitting = [form for form in DATE_FORMATS if _is_written(given, form)]
    return f', reads: year of date, date_format: "{fitting[0] if len(fitting) == 1 else UNFINISHED}"'


def _is_written(dates: pd.Series, date_format: str | None) -> bool:
    return not any(rows.any() for rows in read_years(dates, date_format)[1].values())


def _codes_to_show(text: pd.Series) -> tuple[list[str], int]:
    counts = text[~find_missing_words(text)].map(to_code).value_counts()
    if len(counts) > MOST_CODES:
        return [], len(counts)
    shown = [str(code) for code, n in counts.items() if n >= FEWEST_PATIENTS and len(str(code)) <= LONGEST_CODE]
    return sorted(shown), len(counts) - len(shown)


def _guess_meaning(column: Column, code: str) -> str:
    if column.type == "boolean":
        return UNFINISHED
    plain = code.lower().replace(" ", "_").replace("-", "_")
    starts = [
        category for category in column.categories if category == plain or (len(plain) == 1 and category[0] == plain)
    ]
    return starts[0] if len(starts) == 1 and not plain.isdigit() else UNFINISHED


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
