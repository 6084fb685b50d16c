"""Malformed declarations for ``fuzz_declared.py``: YAML, JSON and keys changed in any way, and what they were."""

from __future__ import annotations

import codecs
import copy
import json
import random
from pathlib import Path
from typing import Any

import yaml
from fuzz_files_made import MARK
from fuzz_ingest_made import VALUES, change_tree

CONTRACT = """
contract: 1
name: spine clinic
instruments:
  comi: {from: library, responder: {absolute: 3, because: agreed in our clinic}}
  zcq_function:
    title: Zurich Claudication Questionnaire, physical function
    range: [1, 4]
    direction: higher is worse
    responder: {absolute: 0.5, source: "Stucki 1996, 10.1097/00007632-199604010-00004"}
predictors:
  crp_mg_l: {type: number, unit: mg/L, range: [0, 500], known: before, skewed: true, label: CRP}
  modic_type: {type: category, values: [none, i, ii, iii], known: before}
  operating_minutes: {type: number, unit: min, range: [1, 600], known: during}
  blood_group: {type: category, values: [a, b, ab, zero], known: before, role: sensitive}
techniques:
  intradiscal_prp: {title: Platelet-rich plasma into the disc, month: 6}
  cooled_facet_rfa: {title: Cooled ablation of facet nerves, like: facet_rfa}
indications:
  discogenic_pain: {title: Discogenic low back pain, icd10: [M51.26]}
outcomes:
  function_response:
    any_of: [odi, womac, comi, zcq_function]
  walking_improved: {from: zcq_function, responder: {relative: 0.3}, at_month: 6, window: [3, 9]}
"""
GATE = """
name: ours
research_use: false
bases: [real, blended]
minimum_real: 100
sample_size: true
slope_probability: 0.8
lost_share: 0.3
auroc: [0.5, 0.95]
calibration_slope: [0.8, 1.25]
ici: 0.05
card_items:
  - tripod_5a
  - tripod_6b
"""
SETTINGS = """
# @package _global_
defaults:
  - override /cohort: simulated
  - override /technique: facet_rfa
cohort:
  episodes_per_technique: 2000
  interactions: 1.0
outcome:
  horizon_months: 6
evaluation:
  folds: 5
model:
  candidates: [logistic]
"""
STUDY = """
citation: An invented study
doi: 10.1000/1
read_at: https://example.org/1
read: abstract
design: randomised trial
country: Egypt
indications: [pelvic_cancer]
population: severe visceral pelvic pain
arms:
  ultrasound: {kind: treatment, what: from the front, technique: hypogastric_plexus_neurolysis, approach: percutaneous}
  fluoroscopy: {kind: treatment, what: from the back, technique: hypogastric_plexus_neurolysis, approach: percutaneous}
associations:
- {of: one against the other, outcome: pain, direction: better, column: guidance, contrast: {equals: a}, p: 0.01}
harms:
- {event: back pain, severity: minor, per: patient, kind: local_pain, arm: fluoroscopy, note: in some}
"""
DICTIONARY = (
    '"Variable / Field Name","Form Name","Section Header","Field Type","Field Label","Choices, Calculations, OR Slider '
    'Labels","Field Note","Text Validation Type OR Show Slider Number","Text Validation Min","Text Validation Max"\n'
    "record_id,baseline,,text,Record,,,,,\n"
    'crp,baseline,,text,"CRP (mg/L)",,,number,0,500\n'
    'modic,baseline,,radio,Modic changes,"0, none | 1, type I | 2, type II",,,,\n'
    'comorb,baseline,,checkbox,Comorbidity,"1, diabetes | 2, heart | 99, none of these",,,,\n'
    "nrs,baseline,,text,Pain now (0-10),,,integer,0,10\n"
    'sum,baseline,,calc,Sum,"[nrs]*2",,,,\n'
    'note,baseline,,notes,"Any remarks?",,,,,\n'
)
YAML_VALUES: list[Any] = [value for value in VALUES if not (isinstance(value, str) and not value.isprintable())]
YAML_VALUES += [
    "TODO",
    "true",
    "10",
    "1.5",
    "0x10",
    "1_000",
    "1e400",
    ".inf",
    ".nan",
    "~",
    "2024-01-01",
    "${oc.env:HOME}",
]
YAML_VALUES += ["${a.b}", "???", "%Y-%m", "%", "[", "x" * 200_000, [1, 2, 3], {"column": "id"}, {"always": "1"}, "a: b"]
BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
LINES = [
    *("\tkey: 1", "key: [", "key: {a: 1", "key: 'x", "- item", "? {a: b}\n: c", "!!python/object/apply:os.system [ls]"),
    *("key: !!binary aGk=", "<<: *x", "<<: {a: 1}", "key: &x *x", "key: &x [*x]", "*x : 1", "---", "...", "%YAML 9.9"),
    *("key: |\n  text\n more", "key: >-", "&x", "!", "@", "`", "key: \x00", "key: \x1b[31m", "key: \u202e", "\ufeff"),
    *(
        "key: \x85",
        "key: \u2028x",
        f"{MARK}: {MARK}",
        "null: 1",
        "~: 1",
        "1: 2",
        "1.5: 2",
        "true: false",
        "[a]: b",
        ": x",
    ),
    *("a: " + "[" * 500, "a: " + "{a: " * 500, "\n".join(" " * n + "a:" for n in range(200)), "#" * 100_000, BOMB),
    *("key: " + "9" * 5000, "key: !!int " + "1:" * 2000, "key: !!float 1e999999", "key: !!timestamp 2024-99-99"),
    *("\n".join(f"k{n}: {n}" for n in range(50_000)), "key: " + "x" * 1_100_000, "key: *nowhere", "key: !!set {a, a}"),
]


def change_yaml(text: str, rng: random.Random) -> bytes:
    """Change YAML: its values and keys, its lines, or its bytes."""
    how = rng.random()
    if how < 0.5:
        tree = change_tree(yaml.safe_load(text), rng, YAML_VALUES)
        return str(yaml.dump(tree, allow_unicode=True, sort_keys=False)).encode("utf-8", "surrogatepass")
    if how < 0.8:
        lines = text.splitlines()
        for _ in range(rng.choice([1, 1, 3])):
            at, what = rng.randrange(len(lines)), rng.random()
            if what < 0.5:
                lines[at:at] = [" " * rng.choice([0, 0, 2, 4]) + rng.choice(LINES)]
            elif what < 0.7:
                lines[at:at] = [lines[at]]
            elif what < 0.8:
                del lines[at]
            else:
                lines[at] = lines[at].replace(":", rng.choice(["", ": :", ":\t", "="]), 1)
            lines = lines or [""]
        return "\n".join(lines).encode("utf-8", "surrogatepass")
    if how < 0.9:
        return text.encode(rng.choice(["utf-16", "utf-16-le", "utf-32", "utf-7"])) + rng.choice([b"", b"\xff", b"\xe9"])
    raw = bytearray(text.encode())
    for _ in range(rng.choice([1, 1, 3, 20])):
        at = rng.randrange(len(raw))
        raw[at : at + rng.choice([0, 1, 1, 5])] = rng.choice(
            [b"\x00", b"\xff", b"\xed\xa0\x80", b"\t", b"\r", b"'", b"{"]
        )
    return rng.choice([b"", b"", codecs.BOM_UTF8]) + bytes(raw)


def change_json_file(file: Path, rng: random.Random) -> None:
    """Change what stands at some places of a JSON file."""
    tree = change_tree(json.loads(file.read_text("utf-8")), rng, copy.deepcopy(VALUES))
    file.write_text(json.dumps(tree), encoding="utf-8")


def change_key(pem: bytes, rng: random.Random) -> bytes:
    """Change a key in PEM, or what stands around it."""
    lines, how = pem.splitlines(), rng.randrange(10)
    if how == 0:
        return pem * rng.choice([2, 1000, 100_000])
    if how == 1:
        return b"\r\n".join(lines)
    if how == 2:
        return MARK.encode() + b"\n" + pem
    if how == 3:
        return pem.replace(b"PUBLIC", b"PRIVATE") if b"PUBLIC" in pem else pem.replace(b"PRIVATE", b"PUBLIC")
    if how == 4:
        return rng.choice([b"", b"\x00" * 1000, b"-----BEGIN " * 10_000, rng.randbytes(200), b"=" * 2_000_000])
    if how == 5:
        return pem.decode().encode("utf-16")
    body = bytearray(lines[1])
    for _ in range(rng.choice([1, 3, 20])):
        body[rng.randrange(len(body))] = rng.choice(b"AZaz09+/=\n -")
    return b"\n".join([lines[0], bytes(body), *lines[2:]]) + b"\n"
