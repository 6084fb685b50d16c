"""Write one invented registry as four files: a messy CSV, a workbook, a REDCap export with its dictionary, and FHIR.

The patients do not exist. Run it in an empty folder: ``python make_files.py``.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path
from xml.sax.saxutils import escape
from zipfile import ZipFile

import numpy as np

N_PATIENTS = 240
SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATED = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"

HEADER = (
    "Patient no.",
    "Date of birth",
    "Sex",
    "Date of procedure",
    "Procedure",
    "Diagnosis",
    "Pain before (NRS 0-10)",
    "ODI before (%)",
    "Weight (kg)",
    "Height (cm)",
    "Earlier spine surgery",
    "Spine operations",
    "Opioids (MME, mg/day)",
    "Pain 6 months (NRS 0-10)",
    "PGIC 6 months",
)
DICTIONARY_HEADER = (
    *("Variable / Field Name", "Form Name", "Section Header", "Field Type", "Field Label"),
    *("Choices, Calculations, OR Slider Labels", "Field Note", "Text Validation Type OR Show Slider Number"),
    *("Text Validation Min", "Text Validation Max", "Identifier?", "Branching Logic (Show field only if...)"),
    *("Required Field?", "Custom Alignment", "Question Number (surveys only)", "Matrix Group Name"),
    *("Matrix Ranking?", "Field Annotation"),
)

Patient = dict[str, object]


def invent_patients(n: int = N_PATIENTS) -> list[Patient]:
    """Invent patients: depressed mood and earlier surgery make relief less likely; a fifth is lost to follow-up."""
    rng = np.random.default_rng(7)
    patients = []
    for number in range(n):
        is_facet = bool(rng.random() < 0.75)
        operations = int(rng.choice([0, 0, 0, 0, 1, 2]))
        before, odi = int(rng.integers(4, 10)), int(rng.integers(20, 70))
        log_odds = 0.5 - 1.2 * (operations > 0) - 0.03 * (odi - 45) + rng.normal(0, 0.5)
        responds = bool(rng.random() < 1 / (1 + np.exp(-log_odds)))
        after = round(before * rng.uniform(0.1, 0.45)) if responds else before - int(rng.integers(0, 3))
        is_seen = bool(rng.random() < 0.82)
        patients.append(
            {
                "number": f"K{number + 1:03d}",
                "born": date(1935, 1, 1) + timedelta(days=int(rng.integers(0, 19000))),
                "sex": int(rng.choice([1, 2])),
                "done": date(2019, 1, 7) + timedelta(days=int(rng.integers(0, 2000))),
                "procedure": "RF facet" if is_facet else "RF SI joint",
                "diagnosis": "facet pain" if is_facet else "SI joint pain",
                "nrs": before,
                "odi": odi if rng.random() < 0.9 else None,
                "weight": round(float(rng.normal(78, 13)), 1),
                "height": int(rng.normal(170, 9)),
                "surgery": "yes" if operations else "no",
                "operations": operations,
                "opioids": int(rng.choice([0, 0, 0, 20, 40, 60])),
                "nrs_6": after if is_seen else None,
                # Coded as the clinic does: 7 is very much improved.
                "pgic_6": (int(rng.choice([6, 7])) if responds else int(rng.choice([3, 4, 5]))) if is_seen else None,
            }
        )
    return patients


def list_rows(patients: Iterable[Patient]) -> list[list[object]]:
    """List the patients as rows of a table, in the order of the header."""
    return [list(patient.values()) for patient in patients]


def write_csv(path: Path, patients: Iterable[Patient]) -> None:
    """Write what many hospitals have: a title, semicolons, decimal commas, German dates, words for missing values."""
    lines = ["Pain procedures, export of the clinic;;;;;;;;;;;;;;", ";".join(HEADER)]
    lines += [";".join(_write_messily(value) for value in row) for row in list_rows(patients)]
    path.write_bytes(("\r\n".join(lines) + "\r\n").encode("cp1252"))


def _write_messily(value: object) -> str:
    if isinstance(value, date):
        return value.strftime("%d.%m.%Y")
    return "n/a" if value is None else str(value).replace(".", ",") if isinstance(value, float) else str(value)


def write_workbook(path: Path, patients: Iterable[Patient]) -> None:
    """Write a workbook of Excel with one sheet and real dates."""
    rows = [HEADER, *list_rows(patients)]
    lines = "".join(f"<row>{''.join(_write_cell(value) for value in row)}</row>" for row in rows)
    parts = {
        "[Content_Types].xml": (
            f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" ContentType="application/vnd.'
            'openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>'
            '<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.'
            'spreadsheetml.sheet.main+xml"/></Types>'
        ),
        "_rels/.rels": (
            f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" Type="{RELATED}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>'
        ),
        "xl/workbook.xml": (
            f'<workbook xmlns="{SHEET}" xmlns:r="{RELATED}"><sheets><sheet name="Procedures" sheetId="1" r:id="r1"/>'
            "</sheets></workbook>"
        ),
        "xl/_rels/workbook.xml.rels": (
            f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" Type="{RELATED}/worksheet" '
            f'Target="worksheets/sheet1.xml"/><Relationship Id="r2" Type="{RELATED}/styles" Target="styles.xml"/>'
            "</Relationships>"
        ),
        "xl/styles.xml": (
            f'<styleSheet xmlns="{SHEET}"><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs>'
            "</styleSheet>"
        ),
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{SHEET}"><sheetData>{lines}</sheetData></worksheet>',
    }
    with ZipFile(path, "w") as workbook:
        for name, text in parts.items():
            workbook.writestr(name, text)


def _write_cell(value: object) -> str:
    if value is None:
        return "<c/>"
    if isinstance(value, date):
        return f'<c s="1"><v>{(value - date(1899, 12, 30)).days}</v></c>'
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>'
    return f"<c><v>{value}</v></c>"


def write_redcap(path: Path, dictionary: Path, patients: Iterable[Patient]) -> None:
    """Write a longitudinal REDCap export of raw codes, and the data dictionary of its project."""
    names = [
        "record_id",
        "redcap_event_name",
        "dob",
        "sex",
        "proc_date",
        "proc",
        "dx",
        "nrs",
        "odi",
        "weight",
        "height",
    ]
    names += ["spine_surg", "n_spine_surg", "opioid_mme", "visit_date", "pgic"]
    rows = []
    for patient in patients:
        known: dict[str, object] = {
            "record_id": patient["number"],
            "redcap_event_name": "baseline_arm_1",
            "dob": patient["born"],
            "sex": patient["sex"],
            "proc_date": patient["done"],
            "proc": 1 if patient["procedure"] == "RF facet" else 2,
            "dx": 1 if patient["diagnosis"] == "facet pain" else 2,
            "nrs": patient["nrs"],
            "odi": patient["odi"],
            "weight": patient["weight"],
            "height": patient["height"],
            "spine_surg": int(patient["surgery"] == "yes"),
            "n_spine_surg": patient["operations"],
            "opioid_mme": patient["opioids"],
        }
        rows.append(known)
        if patient["nrs_6"] is not None:
            done = patient["done"]
            assert isinstance(done, date)
            seen = {"visit_date": done + timedelta(days=182), "nrs": patient["nrs_6"], "pgic": patient["pgic_6"]}
            rows.append({"record_id": patient["number"], "redcap_event_name": "month_6_arm_1", **seen})
    _write_table(path, names, [[row.get(name, "") for name in names] for row in rows])
    fields: list[tuple[str, str, str, str]] = [
        ("record_id", "text", "Record ID", ""),
        ("dob", "text", "Date of birth", ""),
        ("sex", "radio", "Sex", "1, male | 2, female"),
        ("proc_date", "text", "Date of the procedure", ""),
        (
            "proc",
            "radio",
            "Procedure",
            "1, Radiofrequency ablation of lumbar facet joints | 2, Sacroiliac joint ablation",
        ),
        ("dx", "radio", "Diagnosis treated", "1, Lumbar facet joint pain | 2, Sacroiliac joint pain"),
        ("nrs", "text", "Average pain, NRS 0-10", ""),
        ("odi", "text", "Oswestry Disability Index, %", ""),
        ("weight", "text", "Body weight, kg", ""),
        ("height", "text", "Body height, cm", ""),
        ("spine_surg", "yesno", "Earlier operation on the spine", ""),
        ("n_spine_surg", "text", "Number of earlier operations on the spine", ""),
        ("opioid_mme", "text", "Opioid dose, mg oral morphine equivalents per day", ""),
        ("visit_date", "text", "Date of the visit", ""),
        ("pgic", "text", "Patient Global Impression of Change", ""),
    ]
    table = [[name, "registry", "", kind, label, choices, *[""] * 12] for name, kind, label, choices in fields]
    _write_table(dictionary, DICTIONARY_HEADER, table)


def _write_table(path: Path, names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([names, *(["" if value is None else value for value in row] for row in rows)])


def write_fhir(path: Path, patients: Iterable[Patient]) -> None:
    """Write FHIR R4 as NDJSON: patients, procedures, and scores as observations."""
    with path.open("w", encoding="utf-8") as file:
        for patient in patients:
            for resource in _list_resources(patient):
                file.write(json.dumps(resource) + "\n")


def _list_resources(patient: Patient) -> list[dict[str, object]]:
    number, done = str(patient["number"]), patient["done"]
    assert isinstance(done, date)
    code = "900001" if patient["procedure"] == "RF facet" else "900002"
    reason = "M47.816" if patient["diagnosis"] == "facet pain" else "M53.3"
    before, after = done - timedelta(days=7), done + timedelta(days=182)
    scores = [
        ("72514-3", patient["nrs"], before),
        ("29463-7", patient["weight"], before),
        ("72514-3", patient["nrs_6"], after),
    ]
    return [
        {
            "resourceType": "Patient",
            "id": number,
            "gender": "male" if patient["sex"] == 1 else "female",
            "birthDate": str(patient["born"]),
        },
        {
            "resourceType": "Procedure",
            "id": f"procedure-{number}",
            "status": "completed",
            "subject": {"reference": f"Patient/{number}"},
            "performedDateTime": str(done),
            "code": {"coding": [{"system": "http://snomed.info/sct", "code": code}]},
            "reasonCode": [{"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": reason}]}],
        },
        *(
            {
                "resourceType": "Observation",
                "status": "final",
                "subject": {"reference": f"Patient/{number}"},
                "effectiveDateTime": str(at),
                "code": {"coding": [{"system": "http://loinc.org", "code": name}]},
                "valueQuantity": {"value": value, "code": "kg" if name == "29463-7" else "{score}"},
            }
            for name, value, at in scores
            if value is not None
        ),
    ]


def main(folder: Path = Path()) -> None:
    """Write the four files."""
    patients = invent_patients()
    write_csv(folder / "registry.csv", patients)
    write_workbook(folder / "registry.xlsx", patients)
    write_redcap(folder / "redcap.csv", folder / "redcap_dictionary.csv", patients)
    write_fhir(folder / "registry.ndjson", patients)


if __name__ == "__main__":
    main()
