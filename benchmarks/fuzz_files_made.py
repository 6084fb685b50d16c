"""Malformed files of patients for ``fuzz_files.py``: wrong values in every type, damaged files, and what is no file."""

from __future__ import annotations

import csv
import decimal
import io
import os
import random
import zipfile
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

MARK, NUMBER = "Zq7x", "987654321"
MARKS = (MARK, NUMBER)
"""What stands in wrong values, and may stand in no output but the predictions."""

NUMBERS = ("age_years", "bmi", "pain_nrs", "odi", "opioid_mme", "pain_duration_months", "treated_levels")
IN_BYTES = 100_000_000


def make_text(rng: random.Random) -> str:
    """Make a wrong text."""
    texts = [
        *("", " ", "-0", "-0.0", "1e400", "-1e400", "NaN", "inf", "-Infinity", "0x10", "1_000", "٣٤", "1,2,3", "None"),
        *(f"=1+1{MARK}", f"+cmd|' /C calc'!{MARK}", f"@SUM({MARK})", f"-2+3{MARK}", f"={NUMBER}+1", f"{NUMBER}.25"),
        *(f"-{NUMBER}", f"{NUMBER}e300", f"\u202e{MARK}\u202c", f"\u200f{MARK}", f"\x00{MARK}", f"{MARK}\x07\x1b[31m"),
        *(f"{MARK}\nlumbar_facet,7", f"{MARK}\r\n{MARK}", f'"{MARK}', f'{MARK}"x"', f"'{MARK}", f"{MARK};{MARK}\t|"),
        *(f"2024-01-{MARK}", "2024-02-30", "31.12.1999", f"[{NUMBER}, 1]", f'{{"a": "{MARK}"}}', f"${{{MARK}}}"),
        *(f"%s%n{MARK}", f"../../{MARK}", f"<b>{MARK}</b>", f"{MARK}\ufffe", f"𝟕{MARK}", f"{MARK}\u0301" * 3),
        *(MARK * 200, MARK * 9000, "9" * 400, "7" + " " * 5000 + MARK, f"{MARK}\\", f"\\{MARK}", f"# {MARK}"),
    ]
    return rng.choice(texts)


def spoil(patients: pd.DataFrame, rng: random.Random, n: int) -> pd.DataFrame:
    """Put bad patients among good ones: every cell of a bad one may be wrong; ids stay, so that all are patients."""
    bad = patients.iloc[[rng.randrange(len(patients)) for _ in range(n)]].copy()
    share, columns = rng.choice([0.03, 0.1, 0.5]), list(patients.columns)
    rows = [
        {name: make_text(rng) if rng.random() < share else cell for name, cell in zip(columns, row, strict=True)}
        for row in bad.to_numpy().tolist()
    ]
    spoilt = pd.DataFrame(rows, columns=columns).assign(episode_id=[f"bad-{at}" for at in range(n)])
    order = [rng.random() for _ in range(len(patients) + n)]
    mixed = pd.concat([patients, spoilt], ignore_index=True)
    return mixed.iloc[np.argsort(order)].reset_index(drop=True)


def write_text(rows: pd.DataFrame, path: Path, rng: random.Random) -> None:
    """Write a text file in any dialect and encoding."""
    separator, ending = rng.choice([",", ",", ";", "\t", "|"]), rng.choice(["\n", "\r\n", "\n"])
    stream = io.StringIO()
    quoting = rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    writer = csv.writer(stream, delimiter=separator, lineterminator=ending, quoting=quoting)
    writer.writerow(rows.columns)
    writer.writerows(rows.to_numpy().tolist())
    encoding = rng.choice(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16"])
    path.write_bytes(stream.getvalue().encode(encoding))


def make_csv(patients: pd.DataFrame, folder: Path, rng: random.Random) -> tuple[Path, int]:
    n = rng.randint(1, 200)
    path = folder / f"in{rng.choice(['.csv', '.csv', '.tsv', '.txt'])}"
    write_text(spoil(patients, rng, n), path, rng)
    return path, n


def change_bytes(path: Path, rng: random.Random) -> None:
    """Change, insert, repeat or remove bytes, or cut the end off."""
    raw = bytearray(path.read_bytes())
    for _ in range(rng.choice([1, 1, 3, 20, 200])):
        at, how = rng.randrange(max(1, len(raw))), rng.random()
        if how < 0.5 and raw:
            raw[at] = rng.randrange(256)
        elif how < 0.7:
            raw[at:at] = rng.choice(
                [b"\x00", b'"', b"\r", b"\xff\xfe", b"\xef\xbb\xbf", b"\x1a", b"\n\n", b"\xed\xa0\x80"]
            )
        elif how < 0.85:
            raw[at:at] = raw[at : at + rng.choice([1, 10, 1000])]
        elif how < 0.95:
            del raw[at : at + rng.choice([1, 10, 100])]
        else:
            del raw[at:]
    path.write_bytes(bytes(raw))


def changed(make: Callable[..., tuple[Path, int]]) -> Callable[..., tuple[Path, int]]:
    """Make a file and change its bytes."""

    def make_changed(patients: pd.DataFrame, folder: Path, rng: random.Random) -> tuple[Path, int]:
        path, n = make(patients, folder, rng)
        change_bytes(path, rng)
        return path, n

    return make_changed


def make_column(cells: Sequence[str], rng: random.Random) -> pa.Array:
    """Make a column of Parquet of any type, with marks in it."""
    n = len(cells)
    makers: list[Callable[[], pa.Array]] = [
        lambda: pa.array([[1.0, float(NUMBER)]] * n),
        lambda: pa.array([{"a": MARK, "b": 1}] * n),
        lambda: pa.array([[(MARK, 1)]] * n, pa.map_(pa.string(), pa.int64())),
        lambda: pa.array([decimal.Decimal(f"{NUMBER}.25")] * n, pa.decimal128(20, 2)),
        lambda: pa.array([decimal.Decimal("1e70")] * n, pa.decimal256(76, 2)),
        lambda: pa.array([timedelta(seconds=5)] * n, pa.duration("us")),
        lambda: pa.array([datetime(1, 1, 1), datetime(9999, 12, 31)] * n, pa.timestamp("us"))[:n],
        lambda: pa.array([date(2024, 1, 1)] * n),
        lambda: pa.array([5] * n, pa.time64("ns")),
        lambda: pa.array([MARK.encode() + b"\xff\x00"] * n, pa.binary()),
        lambda: pa.array([b"Zq7xZq7x"] * n, pa.binary(8)),
        lambda: pa.array([MARK, None] * n).dictionary_encode()[:n],
        lambda: pa.array([int(NUMBER)] * n).dictionary_encode(),
        lambda: pa.array([2**64 - 1] * n, pa.uint64()),
        lambda: pa.array([-(2**63)] * n, pa.int64()),
        lambda: pa.array([float("nan"), float("inf"), -0.0, 1e308, None] * n)[:n],
        lambda: pa.array(np.array([65504, np.nan, 1, 0] * n, dtype=np.float16))[:n],
        lambda: pa.array([float(NUMBER)] * n, pa.float32()),
        lambda: pa.nulls(n),
        lambda: pa.array([True, None] * n)[:n],
        lambda: pa.array([MARK * 9000, "", None] * n, pa.large_string())[:n],
        lambda: pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"Zq7xZq7xZq7xZq7x"] * n, pa.binary(16))),
        lambda: pa.array([make_text(rng) for _ in range(n)], pa.string_view()),
    ]
    return rng.choice(makers)()


def make_parquet(patients: pd.DataFrame, folder: Path, rng: random.Random) -> tuple[Path, int]:
    """Write Parquet with wrong texts in some rows, typed columns, and columns of other types that nobody needs."""
    n = rng.randint(1, 200)
    rows = spoil(patients, rng, n)
    columns: dict[str, Any] = {name: pa.array(rows[name].tolist(), pa.string()) for name in rows}
    for name in rng.sample([f"x{at}" for at in range(6)], 3):
        columns[name] = make_column(rows["episode_id"].tolist(), rng)
    for name in list(columns):
        if columns[name].type == pa.string() and rng.random() < 0.2:
            columns[name] = (
                columns[name].dictionary_encode() if rng.random() < 0.5 else columns[name].cast(pa.large_string())
            )
    options = {
        "compression": rng.choice(["snappy", "zstd", "gzip", "none", "lz4", "brotli"]),
        "row_group_size": rng.choice([1, 7, 1000]),
        "use_dictionary": rng.random() < 0.7,
        "version": rng.choice(["1.0", "2.6"]),
        "data_page_version": rng.choice(["1.0", "2.0"]),
        "write_statistics": rng.random() < 0.8,
    }
    path = folder / rng.choice(["in.parquet", "in.pq"])
    pq.write_table(pa.table(columns), path, **options)
    return path, n


def make_typed_parquet(patients: pd.DataFrame, folder: Path, rng: random.Random) -> tuple[Path, int]:
    """Write Parquet in which some columns of the contract have any type."""
    n = rng.randint(1, 200)
    rows = spoil(patients, rng, n)
    columns: dict[str, Any] = {name: pa.array(rows[name].tolist(), pa.string()) for name in rows}
    for name in rng.sample(list(columns), rng.choice([1, 3, 10])):
        columns[name] = make_column(rows["episode_id"].tolist(), rng)
    path = folder / "in.parquet"
    pq.write_table(pa.table(columns), path)
    return path, n


MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
OFFICE = "urn:oasis:names:tc:opendocument:xmlns:"
PRINTED = {at: None for at in range(32) if chr(at) not in "\t\n\r"} | {0xFFFE: None}


def list_xlsx_parts(rows: Sequence[Sequence[str]]) -> dict[str, str]:
    def write(cell: str) -> str:
        return f'<c t="inlineStr"><is><t>{escape(cell.translate(PRINTED))}</t></is></c>'

    lines = "".join(f"<row>{''.join(map(write, row))}</row>" for row in rows)
    book = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
    sheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"
    return {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" ContentType='
        f'"application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" '
        f'ContentType="{book}"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="{sheet}"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="rId1" '
        f'Type="{DOCUMENT}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{DOCUMENT}"><sheets><sheet name="Data" sheetId="1" '
        'r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="rId1" '
        f'Type="{DOCUMENT}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{MAIN}"><sheetData>{lines}</sheetData></worksheet>',
    }


def list_ods_parts(rows: Sequence[Sequence[str]]) -> dict[str, str]:
    def write(cell: str) -> str:
        text = escape(cell.translate(PRINTED))
        return f'<table:table-cell office:value-type="string"><text:p>{text}</text:p></table:table-cell>'

    body = "".join(f"<table:table-row>{''.join(map(write, row))}</table:table-row>" for row in rows)
    spaces = " ".join(f'xmlns:{name}="{OFFICE}{name}:1.0"' for name in ("office", "table", "text"))
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    return {
        "mimetype": kind,
        "content.xml": f'<office:document-content {spaces} office:version="1.2"><office:body><office:spreadsheet>'
        f'<table:table table:name="Data">{body}</table:table></office:spreadsheet></office:body>'
        "</office:document-content>",
        "META-INF/manifest.xml": f'<manifest:manifest xmlns:manifest="{OFFICE}manifest:1.0"><manifest:file-entry '
        f'manifest:full-path="/" manifest:media-type="{kind}"/></manifest:manifest>',
    }


def change_parts(parts: dict[str, str], rng: random.Random) -> dict[str, str]:
    """Change the parts of an archive: names that climb, references, entities, counts of repeated cells, depth."""
    name, how = rng.choice(list(parts)), rng.random()
    text = parts[name]
    if how < 0.15:
        return {at: content for at, content in parts.items() if at != name}
    if how < 0.3:
        return {**parts, f"../../../{MARK}.txt": MARK, f"/etc/{MARK}": MARK}
    if how < 0.45:
        bomb = "".join(f'<!ENTITY e{at} "' + f"&e{at - 1};" * 10 + '">' for at in range(1, 9))
        return {**parts, name: f'<!DOCTYPE x [<!ENTITY e0 "{MARK}">{bomb}]>' + text.replace("7", "&e8;", 1)}
    if how < 0.6:
        times = rng.choice([10**3, 10**6, 10**9, 2**32, 10**20, -1])
        what = rng.choice(["table:number-columns-repeated", "table:number-rows-repeated"])
        tag = "<table:table-cell " if "columns" in what else "<table:table-row"
        return {**parts, name: text.replace(tag, f'{tag} {what}="{times}" ', rng.choice([1, 5]))}
    if how < 0.7:
        return {**parts, name: text.replace("<row>", f'<row r="{rng.choice([0, -1, 10**6, 10**12])}">', 1)}
    if how < 0.8:
        return {**parts, name: text.replace("<c ", f'<c r="{rng.choice(["A0", "XFD1048576", "ZZZZZ9", MARK])}" ', 1)}
    if how < 0.9:
        return {**parts, name: "<a>" * rng.choice([10**3, 10**6]) + text}
    at = rng.randrange(max(1, len(text)))
    return {
        **parts,
        name: text[:at]
        + rng.choice(["<", ">", "&#0;", "&x;", MARK, "]]>", '"', ""])
        + text[at + rng.choice([0, 1, 50]) :],
    }


def make_workbook(suffix: str, *, is_changed: bool) -> Callable[..., tuple[Path, int]]:
    def make(patients: pd.DataFrame, folder: Path, rng: random.Random) -> tuple[Path, int]:
        n = rng.randint(1, 100)
        rows = spoil(patients, rng, n)
        # A cell of a workbook ends its line where the text does, and holds fewer characters.
        cells = [list(rows.columns), *[[cell[:30_000] for cell in row] for row in rows.to_numpy().tolist()]]
        parts = list_xlsx_parts(cells) if suffix == ".xlsx" else list_ods_parts(cells)
        path = folder / f"in{suffix}"
        is_raw = is_changed and rng.random() < 0.4
        parts = change_parts(parts, rng) if is_changed and not is_raw else parts
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in parts.items():
                archive.writestr(name, text.encode("utf-8", "replace"))
        if is_raw:
            change_bytes(path, rng)
        return path, n

    return make


def make_statistical(patients: pd.DataFrame, folder: Path, rng: random.Random) -> tuple[Path, int]:
    """Write a file of SPSS or Stata and change its bytes."""
    import pyreadstat

    n = rng.randint(1, 60)
    rows = spoil(patients, rng, n)
    rows = rows.map(lambda cell: cell[:100].encode("latin-1", "replace").decode("latin-1").translate(PRINTED))
    suffix = rng.choice([".sav", ".zsav", ".dta", ".por"])
    path = folder / f"in{suffix}"
    short = rows.rename(columns={name: name[:8] for name in rows}) if suffix == ".por" else rows
    short = short.loc[:, ~short.columns.duplicated()]
    if suffix == ".dta":
        pyreadstat.write_dta(short.map(lambda cell: cell.encode("ascii", "replace").decode()), str(path))
    elif suffix == ".por":
        pyreadstat.write_por(short.map(lambda cell: cell.encode("ascii", "replace").decode()), str(path))
    else:
        pyreadstat.write_sav(short, str(path), compress=suffix == ".zsav")
    if rng.random() < 0.9:
        change_bytes(path, rng)
    return path, n


def make_odd(patients: pd.DataFrame, folder: Path, rng: random.Random) -> tuple[Path, int]:
    """Make what is not a file of patients, or has an odd name or place."""
    suffix = rng.choice([".csv", ".parquet", ".xlsx", ".ods", ".sav", ".dta", ".tsv"])
    path, how = folder / f"in{suffix}", rng.randrange(12)
    good = patients.to_csv(index=False).encode()
    if how == 0:
        path.write_bytes(b"")
    elif how == 1:
        path.mkdir()
    elif how == 2:
        os.mkfifo(path)
    elif how == 3:
        path.symlink_to(path)
    elif how == 4:
        path.symlink_to(folder / "nowhere")
    elif how == 5:
        path = folder / f"in\n\x1b[31m\u202e;{suffix}"
        path.write_bytes(good)
    elif how == 6:
        path.write_bytes(rng.randbytes(rng.choice([1, 10, 10_000])))
    elif how == 7:
        path = Path("/dev/null")
    elif how == 8:
        path.write_bytes(rng.choice([b"\xef\xbb\xbf", b"\xff\xfe", b"\n" * 99, b"\x00" * 999, b",,,,\n,,,,\n", b'"']))
    elif how == 9:
        path.write_bytes(good.replace(b",", b"\x00"))
    elif how == 10:
        path.write_bytes(b'{"a":' * 100_000)
    else:
        path.write_bytes((f"episode_id,indication,pain_nrs\n{MARK}," + "7" * 1000 + "\n").encode() + good)
    return path, 1


def make_bomb(patients: pd.DataFrame, folder: Path, rng: random.Random) -> tuple[Path, int]:
    """Make a small file that expands to gigabytes."""
    how = rng.choice(["text", "rows", "xlsx", "ods", "csv", "columns"])
    if how == "text":  # cells of a megabyte each, which compress to nothing
        path = folder / "in.parquet"
        n = 3000
        cells = pa.array([MARK * 8000] * n)
        columns = {"episode_id": pa.array([str(at) for at in range(n)]), "indication": cells, "pain_nrs": cells}
        pq.write_table(pa.table(columns), path, compression="zstd", use_dictionary=rng.random() < 0.5)
    elif how == "rows":
        path = folder / "in.parquet"
        n = 3_000_000
        zeros = pa.array(np.zeros(n))
        columns = dict.fromkeys((f"x{at}" for at in range(100)), zeros)
        columns |= {"pain_nrs": pa.array(np.full(400_000, 7.0)), "indication": pa.array(["lumbar_facet"] * 400_000)}
        columns = {name: column[:400_000] for name, column in columns.items()}
        pq.write_table(pa.table(columns), path, compression="zstd")
    elif how in ("xlsx", "ods"):
        path = folder / f"in.{how}"
        name = "xl/worksheets/sheet1.xml" if how == "xlsx" else "content.xml"
        rows = [list(patients.columns), *patients.to_numpy().tolist()]
        parts = list_xlsx_parts(rows) if how == "xlsx" else list_ods_parts(rows)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for part, text in parts.items():
                if part == name:
                    with archive.open(part, "w", force_zip64=True) as stream:
                        stream.write(text[:-60].encode())
                        for _ in range(IN_BYTES * rng.choice([3, 15]) // 1_000_000):
                            stream.write(b" " * 1_000_000)
                else:
                    archive.writestr(part, text)
    elif how == "csv":
        path = folder / "in.csv"
        path.write_bytes(b"episode_id,indication,pain_nrs\n" + b'"' + MARK.encode() * 15_000_000)
    else:
        path = folder / "in.csv"
        path.write_bytes(b"a," * 3_000_000 + b"\n" + b"7," * 3_000_000 + b"\n")
    return path, 1


KINDS: dict[str, Callable[..., tuple[Path, int]]] = {
    "csv": make_csv,
    "csv-changed": changed(make_csv),
    "parquet": make_parquet,
    "parquet-typed": make_typed_parquet,
    "parquet-changed": changed(make_parquet),
    "xlsx": make_workbook(".xlsx", is_changed=False),
    "xlsx-changed": make_workbook(".xlsx", is_changed=True),
    "ods-changed": make_workbook(".ods", is_changed=True),
    "statistical": make_statistical,
    "odd": make_odd,
    "bomb": make_bomb,
}
"""Makers by kind: each writes a file into a folder, and returns it with the number of wrong rows."""

WHOLE_KINDS = ("csv", "parquet", "xlsx")
"""Kinds in which good patients are whole."""


def make_file(kind: str, patients: pd.DataFrame, folder: Path, rng: random.Random) -> tuple[Path, int]:
    """Make a file of a kind; returns it, and the number of wrong rows."""
    return KINDS[kind](patients, folder, rng)
