"""Predict for malformed files of patients: an answer or one line of error, no value told, nothing left, nobody lost.

``python benchmarks/fuzz_files.py --each 100`` writes 100 files of each kind, with good patients among bad ones, and
runs ``paincast predict`` on each, in this process. A good patient must be answered as when scored alone, unless the
file as a whole is damaged; wrong values hold a mark that no output but the predictions may show; an error must leave
the old output, and nothing else, behind. A crash ends a worker and is counted. ``--processes 20`` runs some files by
the console script as well.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import fuzz_workers
import pandas as pd
from fuzz_files_made import KINDS, MARKS, WHOLE_KINDS, make_file
from fuzz_workers import add_options, run_kinds, work

BUNDLES = Path(__file__).resolve().parents[1] / "tests" / "golden" / "bundles"
N_GOOD, OLD = 40, "an old output\n"
COMPARED = ["technique", "outcome", "month", "abstained", "abstained_because", "probability", "lower", "upper"]
COMPARED += ["expected", "expected_lower", "expected_upper", "reasons_for", "reasons_against", "cautions", "eligible"]


def load_good() -> pd.DataFrame:
    """Load patients whom every model can answer, with ids that no wrong value resembles."""
    patients = pd.read_csv(BUNDLES / "patients.csv", dtype="str", keep_default_na=False).head(N_GOOD)
    return patients.assign(episode_id=[f"good-{n}" for n in range(len(patients))], patient_id="good")


def take_models(given: str, scratch: Path) -> Path:
    """Return the folder of models: the given one, or released bundles."""
    if given:
        return Path(given)
    with zipfile.ZipFile(BUNDLES / "format2_prior.zip") as archive:
        archive.extractall(scratch, [one for one in archive.namelist() if one.startswith("prior/")])
    return scratch / "prior"


def read_answers(path: Path) -> dict[str, list[tuple[str, ...]]]:
    """Read the predictions of good patients by id, as texts that differ in the last digit if numbers do."""
    from paincast.serving.batch import read_predictions

    rows = read_predictions(path)
    rows = rows[rows["episode_id"].astype("str").str.startswith("good-")]
    told: dict[str, list[tuple[str, ...]]] = {}
    columns = [rows[name] for name in COMPARED if name in rows]
    for patient, *cells in zip(rows["episode_id"].astype("str"), *columns, strict=True):
        told.setdefault(patient, []).append(tuple(map(repr, cells)))
    return told


def run_command(source: Path, out: Path, models: Path, *, in_process: bool) -> tuple[int, str]:
    """Run the command; returns its exit code and all that it printed."""
    command = ["predict", str(source), "-o", str(out), "--models", str(models), "--no-progress"]
    if in_process:
        return fuzz_workers.run_command(command)
    done = subprocess.run([sys.executable, "-m", "paincast", *command], capture_output=True, check=False, timeout=300)
    return done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace")


def judge(
    source: Path, out: Path, models: Path, good: dict[str, list[tuple[str, ...]]], *, whole: bool, in_process: bool
) -> str:
    """Predict for a file; say what came of it."""
    folder = out.parent
    before = {path.name for path in folder.iterdir()}
    code, told = run_command(source, out, models, in_process=in_process)
    left = {path.name for path in folder.iterdir()} - before - {out.name, "out.rejects.csv", "out.summary.json"}
    rejects, summary = folder / "out.rejects.csv", folder / "out.summary.json"
    told = told.replace(str(source), "").replace(source.name, "")
    shown = told + "".join(path.read_text("utf-8") for path in (rejects, summary) if path.exists())
    if code == 1 or "Traceback" in told or code not in (0, 2, 3):
        return f"EXIT {code} {told[-300:]}"
    if any(mark in shown.replace(source.name, "") for mark in MARKS):
        at = min(shown.find(mark) for mark in MARKS if mark in shown)
        return f"ECHO {shown[max(0, at - 150) : at + 20]}"
    if left:
        return f"LEFT {left}"
    if code == 2:
        if out.name in before and out.read_text() != OLD:
            return "OLD OUTPUT CHANGED"
        if len(told.strip().splitlines()) != 1 or not told.startswith("error: "):
            return f"NOT ONE LINE {told[:200]!r}"
        return f"error {told[told.rfind('[') :].strip()}"
    return compare_good(out, rejects, good) if whole else "written"


def compare_good(out: Path, rejects: Path, good: dict[str, list[tuple[str, ...]]]) -> str:
    """Hold the answers of good patients against those that they get alone."""
    answers = read_answers(out)
    listed = pd.read_csv(rejects, dtype="str", keep_default_na=False) if rejects.exists() else None
    if listed is not None and (listed["rule"].isin(["unit", "column type"]) & (listed["row"] == "0")).any():
        return "written, a column doubted as a whole"
    lost = sorted(set(good) - set(answers))
    if lost:
        return f"LOST {lost[:5]} {len(lost)}"
    other = [patient for patient in good if answers[patient] != good[patient]]
    if other:
        pairs = zip(answers[other[0]][0], good[other[0]][0], strict=True)
        return f"OTHER ANSWERS {other[:5]} {[pair for pair in pairs if pair[0] != pair[1]]}"[:400]
    return "written, good patients as alone"


def work_kind(kind: str, given: argparse.Namespace) -> None:
    """Judge many files of one kind; print a line before and after each."""
    from paincast.serving.batch import predict_file, run

    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        models = take_models(given.models, scratch)
        loaded = run.load_models(models)
        patients, alone = load_good(), {}
        run.load_models = lambda *_, **__: loaded
        for row in range(len(patients)):
            patients.iloc[[row]].to_csv(scratch / "alone.csv", index=False)
            predict_file(scratch / "alone.csv", scratch / "alone.parquet", models=models)
            alone |= read_answers(scratch / "alone.parquet")

        def judge_number(number: int) -> tuple[int, str]:
            rng, in_process = random.Random(f"{kind} {given.seed} {number}"), number >= given.processes
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                return judge_one(kind, patients, Path(folder), models, alone, rng, in_process=in_process)

        work(judge_number, given.each, int(given.worker[1]))


def judge_one(
    kind: str, patients: pd.DataFrame, folder: Path, models: Path, alone: Any, rng: random.Random, *, in_process: bool
) -> tuple[int, str]:
    """Make a file of a kind in a folder of its own and judge it; the output is another folder."""
    (folder / "in").mkdir()
    (folder / "out").mkdir()
    out = folder / "out" / rng.choice(["out.csv", "out.parquet"])
    if rng.random() < 0.5:
        out.write_text(OLD)
    source, n_rows = make_file(kind, patients, folder / "in", rng)
    told = judge(source, out, models, alone, whole=kind in WHOLE_KINDS, in_process=in_process)
    return n_rows, told


def main() -> int:
    """Run a worker for each kind, and sum up."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, each=100)
    parser.add_argument("--models", default="", help="by default released bundles of tests/golden")
    parser.add_argument("--processes", type=int, default=0)
    given = parser.parse_args()
    if given.worker:
        work_kind(given.worker[0], given)
        return 0
    options = ["--seed", str(given.seed), "--models", given.models, "--processes", str(given.processes)]
    return run_kinds(__file__, [name for name in KINDS if given.only in name], options, given.each)


if __name__ == "__main__":
    sys.exit(main())
