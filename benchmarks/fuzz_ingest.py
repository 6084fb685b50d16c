"""Ingest malformed exports: a cohort or one line of error, no value told, nothing left, no good patient lost.

``python benchmarks/fuzz_ingest.py --each 60`` writes 60 exports of each kind — plain tables that are read in batches,
rows of visits with joined files, long tables, REDCap, OMOP, FHIR — with good patients among bad ones, and runs
``paincast ingest``, and ``--suggest`` on damaged ones. Good patients must stand in the cohort as they do when ingested
alone, unless a column is doubted as a whole; wrong values hold a mark that no output but the cohort may show; reading
in batches must give what whole tables give. A crash ends a worker and is counted.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from fuzz_files_made import MARK, MARKS, NUMBER, change_bytes, make_column, make_text, write_text
from fuzz_ingest_made import FHIR_MAPPING, TABLE_KINDS, Kind, Tables, make_fhir
from fuzz_workers import add_options, find_fault, list_beside, name_error, run_command, run_kinds, work

MAPPINGS = {name: kind.mapping for name, kind in TABLE_KINDS.items()} | {"fhir": FHIR_MAPPING}
KINDS = [
    *(
        f"{name}{how}"
        for name in MAPPINGS
        for how in ("", "-changed", "-suggest")
        if name != "fhir" or how != "-suggest"
    ),
    *("plain-typed", "omop-typed"),
]
DOUBTS = ("unit", "column type", "decimal mark", "scale")
"""Rules on whole columns, by which values of good patients may go too."""


def spoil_tables(kind: Kind, tables: Tables, rng: random.Random, n_bad: int) -> Tables:
    """Put bad rows among good ones: copies under other ids, of which any cell may be wrong."""
    spoilt = {}
    for name, rows in tables.items():
        share, columns = rng.choice([0.03, 0.1, 0.5]), list(rows.columns)
        bad = []
        for at in range(n_bad):
            row = dict(zip(columns, rows.iloc[rng.randrange(len(rows))], strict=True))
            of = f"bad-{at // rng.choice([1, 2])}" if rng.random() < 0.95 else make_text(rng)
            bad.append(
                {
                    column: of if column in kind.ids else make_rare(rng, at) if rng.random() < share else cell
                    for column, cell in row.items()
                }
            )
        mixed = pd.concat([rows, pd.DataFrame(bad, columns=columns)], ignore_index=True)
        order = sorted(range(len(mixed)), key=lambda _: rng.random())
        spoilt[name] = mixed.iloc[order].reset_index(drop=True) if n_bad else mixed
    return spoilt


def make_rare(rng: random.Random, number: int) -> str:
    """Make a wrong text that stands once in a file, since drafts show codes that stand in three rows."""
    return make_text(rng).replace(MARK, f"{MARK}{number}", 1).replace(NUMBER, f"{NUMBER}{number}", 1)


def write_parquet(kind: Kind, rows: pd.DataFrame, path: Path, rng: random.Random, *, is_typed: bool) -> None:
    """Write Parquet; if typed, some columns but those of ids have any type."""
    columns = {name: pa.array(rows[name].tolist(), pa.string()) for name in rows}
    if is_typed:
        free = [name for name in columns if name not in kind.ids]
        for name in rng.sample(free, min(len(free), rng.choice([1, 3, 10]))):
            columns[name] = make_column(rows.iloc[:, 0].tolist(), rng)
    pq.write_table(pa.table(columns), path, row_group_size=rng.choice([1, 7, 1000]))


def make_export(name: str, how: str, folder: Path, rng: random.Random, n_bad: int) -> list[Path]:
    """Write the files of a kind; returns what is given to the command."""
    if name == "fhir":
        files = [make_fhir(folder, rng, n_bad)]
    else:
        kind, files = TABLE_KINDS[name], []
        tables = spoil_tables(kind, kind.make(), rng, n_bad)
        is_parquet = how == "typed" or (bool(n_bad) and name in ("plain", "omop") and rng.random() < 0.3)
        for file, rows in tables.items():
            path = folder / (Path(file).with_suffix(".parquet").name if is_parquet else file)
            if is_parquet:
                write_parquet(kind, rows, path, rng, is_typed=how == "typed")
            elif n_bad:
                write_text(rows, path, rng)
            else:
                rows.to_csv(path, index=False)
            files.append(path)
    if how in ("changed", "suggest") and n_bad:
        change_bytes(rng.choice(files), rng)
    return [folder] if name == "omop" and rng.random() < 0.5 else files


def read_good(folder: Path) -> dict[str, Any]:
    """Read what a cohort holds of good patients, as texts that differ in the last digit if numbers do."""
    from paincast.cohort.tables import load_cohort

    cohort = load_cohort(folder)
    told: dict[str, list[str]] = {}
    for table in ("episodes", "visits", "events"):
        rows = getattr(cohort, table)
        rows = rows[rows["episode_id"].astype("str").str.startswith("good-")]
        for row in rows.sort_values(list(rows.columns[:3])).itertuples(index=False):
            told.setdefault(row.episode_id, []).append(f"{table} {[cell for cell in row if not pd.isna(cell)]}")
    return told


def compare_good(out: Path, alone: dict[str, Any]) -> str:
    """Hold good patients of a cohort against what they are alone."""
    found = read_good(out)
    if found == alone:
        return "written, good patients as alone"
    listed = pd.read_csv(out / "rejects.csv", dtype="str", keep_default_na=False)
    if (listed["rule"].isin(DOUBTS) | (listed["row"] == "0")).any():
        return "written, a column doubted as a whole"
    lost = sorted(set(alone) - set(found))
    if lost:
        return f"LOST {lost[:5]} {len(lost)}"
    other = [of for of in alone if alone[of] != found[of]]
    pairs = [pair for pair in zip(alone[other[0]], found[other[0]], strict=False) if pair[0] != pair[1]]
    return f"OTHER {other[:5]} {pairs}"[:700]


def compare_ways(mapping: Path, files: list[Path], rng: random.Random) -> str:
    """Hold what reading in batches gives against whole tables."""
    from paincast.cohort.registry.ingest import ingest_in_batches, ingest_whole
    from paincast.cohort.registry.mapping import load_mapping
    from paincast.cohort.registry.streaming.decisions import MixedMarksError
    from paincast.cohort.registry.streaming.passes import UnsettledError
    from paincast.cohort.tables import digest_rows
    from paincast.errors import PaincastError

    loaded = load_mapping(mapping)
    try:
        whole, rejects = ingest_whole(loaded, files)
    except PaincastError as error:
        whole, rejects = None, error.code
    try:
        streamed, others = ingest_in_batches(loaded, files[0], batch_rows=rng.choice([7, 1000]))
    except (MixedMarksError, UnsettledError):
        return ""
    except PaincastError as error:
        return "" if whole is None else f"WAYS whole read, batches {error.code} {error}"
    if whole is None:
        return f"WAYS whole {rejects}, batches read"
    if digest_rows(whole) != digest_rows(streamed) or whole.details != streamed.details or not rejects.equals(others):
        return "WAYS differ"
    return ""


def judge_ingest(name: str, how: str, folder: Path, alone: dict[str, Any], rng: random.Random) -> tuple[int, str]:
    """Make an export and ingest it; returns the number of bad rows, and what came of it."""
    source, mapping, out = folder / "in", folder / "mapping.yaml", folder / "out"
    for made in (source, out):
        made.mkdir()
    out, n_bad = out / "cohort", rng.randint(1, 50)
    mapping.write_text(MAPPINGS[name], encoding="utf-8")
    files = make_export(name, how, source, rng, n_bad)
    if how == "suggest":
        return n_bad, judge_suggestion(files, out.with_suffix(".yaml"), rng)
    most = rng.choice(["1", "1", "1", "1", "0.05"])
    code, told = run_command(["ingest", str(mapping), *map(str, files), "-o", str(out), "--max-rejects", most])
    texts = [path for path in out.parent.rglob("*") if path.suffix in (".csv", ".json")]
    shown = told.replace(str(folder), "") + "".join(path.read_text("utf-8") for path in texts)
    if fault := find_fault(code, told) or find_mark(shown):
        return n_bad, fault
    if left := list_beside(out.parent, "cohort", "cohort.rejects.csv"):
        return n_bad, f"LEFT {left}"
    if code == 2:
        return n_bad, "UNREAD " + told if not how else name_error(told)
    if code == 3:
        return n_bad, "too many rejects"
    if name == "plain" and rng.random() < 0.3 and (fault := compare_ways(mapping, files, rng)):
        return n_bad, fault
    return n_bad, "written" if how else compare_good(out, alone)


def judge_suggestion(files: list[Path], out: Path, rng: random.Random) -> str:
    """Draft a mapping for a damaged export."""
    command = ["ingest", "--suggest", str(rng.choice(files)), "-o", str(out)]
    code, told = run_command([*command, *(["--dictionary", str(rng.choice(files))] if rng.random() < 0.2 else [])])
    shown = told + (out.read_text("utf-8") if out.exists() else "")
    return find_fault(code, told) or find_mark(shown) or (name_error(told) if code else "drafted")


def find_mark(shown: str) -> str:
    """Find a wrong value in what was told."""
    at = min((shown.find(mark) for mark in MARKS if mark in shown), default=-1)
    return f"ECHO {shown[max(0, at - 200) : at + 40]!r}" if at >= 0 else ""


def main() -> int:
    """Run a worker for each kind, and sum up."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, each=60)
    given = parser.parse_args()
    if not given.worker:
        return run_kinds(
            __file__, [kind for kind in KINDS if given.only in kind], ["--seed", str(given.seed)], given.each
        )
    kind, start = given.worker[0], int(given.worker[1])
    name, _, how = kind.partition("-")
    with tempfile.TemporaryDirectory() as scratch:
        first = Path(scratch)
        (first / "mapping.yaml").write_text(MAPPINGS[name], encoding="utf-8")
        (first / "in").mkdir()
        files = make_export(name, "", first / "in", random.Random(0), 0)
        code, told = run_command(["ingest", str(first / "mapping.yaml"), *map(str, files), "-o", str(first / "alone")])
        assert code == 0, told
        alone = read_good(first / "alone")
        assert len(alone) == 12, told

        def judge(number: int) -> tuple[int, str]:
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                return judge_ingest(name, how, Path(folder), alone, random.Random(f"{kind} {given.seed} {number}"))

        work(judge, given.each, start)
    return 0


if __name__ == "__main__":
    sys.exit(main())
