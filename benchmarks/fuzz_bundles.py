"""Change released bundles in every way, hash them anew, and load them: refused in words, or a model that answers.

``python benchmarks/fuzz_bundles.py --each 400`` changes each bundle of ``tests/golden/bundles`` 400 times: single
values of its JSON, and bytes of its files. What is refused must be refused by a code and without the value that was put
in; what is read must answer patients with finite numbers. A crash ends a worker and is counted.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

BUNDLES = Path(__file__).resolve().parents[1] / "tests" / "golden" / "bundles"
SENTINEL = "Zq7-sentinel"
DEEP: list[Any] = []
for _ in range(300):
    DEEP = [DEEP]
VALUES: list[Any] = [
    *(None, [], {}, "", "1", -1, 0, 1, 2, True, False, 0.5, 1e308, -1e308, 10**30, 10**400, 1e-300, SENTINEL, DEEP),
    *(float("inf"), float("nan"), [1.0], [[1.0]], {SENTINEL: 1}, SENTINEL * 2000, 987654321.25),
]


def list_places(node: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """List every place of a tree; of a list the first, a middle one and the last."""
    below = list(node) if isinstance(node, dict) else []
    if isinstance(node, list) and node:
        below = sorted({0, len(node) // 2, len(node) - 1})
    return [found for name in below for found in ((*place, name), *list_places(node[name], (*place, name)))]


def change_json(state: Any, places: list[tuple[Any, ...]], rng: random.Random) -> None:
    """Change, remove, repeat or shorten what stands at a place."""
    place = rng.choice(places)
    node = state
    for name in place[:-1]:
        node = node[name]
    old = node[place[-1]]
    kind = rng.random()
    if kind < 0.1:
        del node[place[-1]]
    elif kind < 0.2 and isinstance(old, list):
        node[place[-1]] = old[:-1] if rng.random() < 0.5 else [*old, *old[-1:]]
    elif kind < 0.3 and isinstance(old, int | float) and not isinstance(old, bool):
        node[place[-1]] = old * rng.choice([-1, 1e6, 1e-9])
    else:
        node[place[-1]] = rng.choice(VALUES)


def change_bytes(raw: bytes, rng: random.Random) -> bytes:
    """Change some bytes, or cut the end off."""
    if rng.random() < 0.15:
        return raw[: rng.randrange(len(raw))]
    changed = bytearray(raw)
    for _ in range(rng.choice([1, 1, 2, 8])):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def make_mutant(folder: Path, target: Path, rng: random.Random) -> None:
    """Write a changed bundle, with a hash as somebody would make it who knows how."""
    from paincast.models.serialization import name_files
    from paincast.predictor.bundle.content import hash_content

    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    state = json.loads(files["bundle.json"])
    boosters = sorted(name for name in files if name.endswith(".ubj"))
    if boosters and rng.random() < 0.5:
        name = rng.choice(boosters)
        files[name] = change_bytes(files[name], rng)
    else:
        for _ in range(rng.choice([1, 1, 1, 2])):
            change_json(state, [place for place in list_places(state) if place != ("version",)], rng)
    try:
        state.pop("version", None)
        state["version"] = hash_content(state, [files[name] for name in name_files(state)])
    except Exception:
        state["version"] = "0" * 12
    files["bundle.json"] = json.dumps(state).encode()
    if rng.random() < 0.1:
        files["bundle.json"] = change_bytes(files["bundle.json"], rng)
    for old in target.iterdir():
        old.unlink()
    for name, raw in files.items():
        (target / name).write_bytes(raw)


def judge(target: Path, patients: pd.DataFrame, place: str) -> str:
    """Load a changed bundle; say what came of it."""
    from paincast.errors import DataError
    from paincast.predictor import PREDICTION_COLUMNS, load_predictor

    try:
        predictor = load_predictor(target)
    except DataError as error:
        told = str(error).replace(place, "")
        if SENTINEL in told or "987654321" in told or not error.code:
            return f"ECHO {error.code}"
        return f"{error.code} {told[told.rfind('(') :]}" if error.code == "PC-MODEL-19" else error.code
    with np.errstate(all="ignore"):
        rows = predictor.predict(patients)
    assert tuple(rows.columns) == PREDICTION_COLUMNS
    answered = rows[~rows["abstained"]]
    estimate = "expected" if predictor.question.kind == "continuous" else "probability"
    if not np.isfinite(answered[estimate].astype(float)).all():
        return "NOT FINITE"
    return "answers"


def work(bundle: str, each: int, seed: int, start: int) -> None:
    """Change one bundle many times; print a line before and after each time."""
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("format2.zip", "format2_curved.zip", "format2_prior.zip"):
            with zipfile.ZipFile(BUNDLES / name) as archive:
                archive.extractall(scratch, [one for one in archive.namelist() if one.startswith(f"{bundle}/")])
        of = "patients_contract.csv" if bundle.startswith("contract") else "patients.csv"
        patients, target = pd.read_csv(BUNDLES / of).head(4), Path(scratch, "mutant")
        target.mkdir()
        for number in range(start, each):
            print(f"{number} ", end="", flush=True)
            make_mutant(Path(scratch, bundle), target, random.Random(f"{bundle} {seed} {number}"))
            try:
                print(judge(target, patients, str(target)), flush=True)
            except Exception as error:
                print(f"TRACEBACK {type(error).__name__} {error}"[:150].replace("\n", " "), flush=True)


def is_failure(outcome: str) -> bool:
    """Whether a changed bundle came to anything but an answer or an error with a code."""
    return outcome.startswith(("ECHO", "NOT FINITE", "TRACEBACK", "CRASH"))


def main() -> int:
    """Run a worker for each bundle, and sum up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--worker", nargs=2, default=None)
    given = parser.parse_args()
    if given.worker:
        work(given.worker[0], given.each, given.seed, int(given.worker[1]))
        return 0
    names = []
    for name in ("format2.zip", "format2_curved.zip", "format2_prior.zip"):
        with zipfile.ZipFile(BUNDLES / name) as archive:
            names += [str(Path(one).parent) for one in archive.namelist() if one.endswith("bundle.json")]
    total, started = Counter(), time.time()
    for bundle in sorted(name for name in names if given.only in name):
        counted, start = Counter(), 0
        while start < given.each:
            command = [sys.executable, __file__, "--each", str(given.each), "--seed", str(given.seed)]
            done = subprocess.run(
                [*command, "--worker", bundle, str(start)], capture_output=True, text=True, check=False
            )
            lines = [line.split(" ", 1) for line in done.stdout.splitlines()]
            counted.update(line[1] for line in lines if len(line) > 1)
            shown = [
                line for line in lines if len(line) > 1 and line[1].split(" ")[0].isupper() and "PC-" not in line[1]
            ]
            for line in shown[:10]:
                print(f"  {bundle} {' '.join(line)}")
            if not done.returncode:
                break
            start = int(lines[-1][0]) + 1 if lines else given.each
            counted[f"CRASH {done.returncode}"] += 1
            print(f"  {bundle} {start - 1} CRASH {done.returncode} {done.stderr[-200:]}")
        print(bundle, dict(counted.most_common()), flush=True)
        total += counted
    print(f"{total.total()} bundles in {time.time() - started:.0f} s:", dict(total.most_common()))
    return int(any(map(is_failure, total)))


if __name__ == "__main__":
    sys.exit(main())
