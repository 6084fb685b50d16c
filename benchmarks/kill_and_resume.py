"""Kill batch predictions at random moments, fill the disk under them, and compare what a resumed run writes.

``python benchmarks/kill_and_resume.py`` trains a small model on made-up patients, predicts for a file of invented
patients once undisturbed, and then, 50 times for CSV and 50 times for Parquet, kills a run with SIGKILL at a random
moment (up to three times in a row) and lets ``--resume`` finish it. ``--tmpfs FOLDER`` (an empty folder; needs the
right to mount) predicts onto file systems of growing size too, from one that holds nothing to one that holds
everything. Every output must have the bytes of the undisturbed one. It prints one line for each experiment, and exits
with 1 if a file differs.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from paincast.cli import app
from paincast.serving.batch import predict_file

ROOT = Path(__file__).resolve().parents[1]
CHUNK_ROWS, PART_ROWS = 30, 30
"""Rows so few that a file of some hundred patients has many parts."""


def make_inputs(folder: Path, n_patients: int) -> None:
    """Write a model, and patients with rejects, duplicates far apart and a decimal comma."""
    sys.path.insert(0, str(ROOT / "tests" / "serving"))
    from conftest import INDICATIONS, make_predictor

    from paincast.predictor import save_predictor

    save_predictor(make_predictor("facet_rfa"), folder / "models")
    rng = np.random.default_rng(7)
    patients = pd.DataFrame(
        {
            "episode_id": [f"ex-{n}" for n in range(n_patients)],
            "indication": rng.choice(list(INDICATIONS.values()), n_patients),
            "pain_nrs": rng.integers(3, 11, n_patients).astype(str),
            "odi": rng.choice(["30", "45,5", "52", "none", "x", "170"], n_patients),
            "age_years": rng.integers(25, 90, n_patients),
        }
    )
    repeated = rng.choice(n_patients, n_patients // 50, replace=False)
    patients.loc[repeated, "episode_id"] = "ex-1"
    patients.to_csv(folder / "patients.csv", index=False, sep=";")


def predict(folder: Path, out: Path, *options: str) -> int:
    """Run the command in a process of its own, which is forked after the imports; returns its number."""
    pid = os.fork()
    if pid:
        return pid
    os.chdir(folder)
    for stream, name in ((sys.stdout, "stdout"), (sys.stderr, "stderr")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream.fileno())
    predict_file.__kwdefaults__.update(chunk_rows=CHUNK_ROWS, part_rows=PART_ROWS)
    arguments = ["predict", "patients.csv", "-o", str(out), "--max-rejects", "1", "--no-progress", *options]
    code = app.run(arguments)
    sys.stderr.flush()
    os._exit(code)


def finish(pid: int, folder: Path) -> tuple[int, str]:
    """Wait for a process; returns its exit code (that of kill -9 is -9) and what it said."""
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code, (folder / "stderr").read_text().strip()


def digest(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def count_parts(out: Path) -> int:
    manifest = out.parent / f".{out.name}.parts" / "manifest.jsonl"
    return manifest.read_bytes().count(b"\n") if manifest.is_file() else 0


def kill_and_resume(folder: Path, name: str, expected: dict[str, str], seconds: float, rng: random.Random) -> str:
    """Kill a run up to three times, resume it, and describe how it went."""
    out = folder / "killed" / name
    shutil.rmtree(out.parent, ignore_errors=True)
    out.parent.mkdir()
    (out.parent / name).write_text("old")
    kept = []
    for _ in range(rng.randint(1, 3)):
        pid = predict(folder, out, "--resume")
        time.sleep(rng.uniform(0.0, 1.0) * seconds)
        os.kill(pid, signal.SIGKILL)
        if finish(pid, folder)[0] == 0:
            break
        kept.append(count_parts(out))
        if kept[-1] and out.read_text() != "old" and digest(out.parent).get(name) != expected[name]:
            return "DIFFERENT: the old output was lost"
    code, err = finish(predict(folder, out, "--resume"), folder)
    if code or digest(out.parent) != expected:
        return f"DIFFERENT: code {code}, {err}"
    return f"identical; parts kept at each kill: {kept}"


def fill_and_resume(folder: Path, name: str, expected: dict[str, str], mount: Path, size: int) -> str:
    """Predict onto a file system of some bytes that holds an old output; give it room and resume."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(mount)], check=True)
    try:
        out = mount / name
        out.write_text("old")
        code, err = finish(predict(folder, out), folder)
        if code == 0:
            return "identical; it fitted" if digest(mount) == expected else "DIFFERENT: it fitted"
        if code != 2 or err.count("\n") or "No space left on device" not in err:
            return f"DIFFERENT: code {code}, {err}"
        if out.read_text() != "old":
            return "DIFFERENT: the old output was lost"
        kept = count_parts(out)
        subprocess.run(["mount", "-o", "remount,size=1g", str(mount)], check=True)
        code, err = finish(predict(folder, out, "--resume"), folder)
        if code or digest(mount) != expected:
            return f"DIFFERENT: code {code}, {err}"
        return f"identical; parts kept: {kept}"
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=50, help="kills for each format")
    parser.add_argument("--formats", nargs="+", default=["csv", "parquet"])
    parser.add_argument("--patients", type=int, default=180)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tmpfs", type=Path, help="empty folder to mount small file systems at")
    parser.add_argument("--sizes", type=int, default=12, help="sizes of file system for each format")
    given = parser.parse_args()
    rng, results = random.Random(given.seed), Counter[str]()
    with tempfile.TemporaryDirectory(prefix="paincast-kill-") as scratch:
        folder = Path(scratch)
        # Processes are forked from this one: it must not have computed anything, which starts threads.
        making = multiprocessing.get_context("spawn").Process(target=make_inputs, args=(folder, given.patients))
        making.start()
        making.join()
        for name in (f"out.{suffix}" for suffix in given.formats):
            whole = folder / "whole" / name
            begin = time.monotonic()
            code, err = finish(predict(folder, whole), folder)
            seconds = time.monotonic() - begin
            assert code == 0, err
            expected = digest(whole.parent)
            n_bytes = sum(path.stat().st_size for path in whole.parent.iterdir())
            print(f"{name}: undisturbed {seconds:.1f} s, {n_bytes:,} bytes", flush=True)
            for number in range(given.times):
                said = kill_and_resume(folder, name, expected, seconds, rng)
                results[said.split()[0].rstrip(":;")] += 1
                print(f"{name}: kill {number + 1}: {said}", flush=True)
            for number in range(given.sizes if given.tmpfs else 0):
                size = int(n_bytes * 2.4 * (number + 0.2) / given.sizes) // 4096 * 4096 + 8192
                said = fill_and_resume(folder, name, expected, given.tmpfs, size)
                results[said.split()[0].rstrip(":;")] += 1
                print(f"{name}: {size:,} bytes: {said}", flush=True)
            shutil.rmtree(whole.parent)
    print(dict(results))
    return int(results["DIFFERENT"] > 0)


if __name__ == "__main__":
    sys.exit(main())
