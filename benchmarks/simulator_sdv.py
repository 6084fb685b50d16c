"""Time SDV's GaussianCopulaSynthesizer on one table, in an environment of its own that this script makes.

SDV stands under the Business Source License: it is run here to be compared with, and is no dependency of paincast.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

PINS = Path(__file__).resolve().parent / "sdv_requirements.txt"

PROGRAM = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import pandas as pd
from sdv.metadata import Metadata
from sdv.single_table import GaussianCopulaSynthesizer
frame = pd.read_parquet(sys.argv[1])
for name in frame.select_dtypes("category"):  # it fails on a category that no row has
    frame[name] = frame[name].cat.remove_unused_categories()
metadata = Metadata.detect_from_dataframes({"episodes": frame})
synthesizer = GaussianCopulaSynthesizer(metadata)
started = time.perf_counter()
synthesizer.fit({"episodes": frame})
fitted = time.perf_counter()
sampled = synthesizer.sample(int(sys.argv[2]))
sampled = sampled["episodes"] if isinstance(sampled, dict) else sampled
ended = time.perf_counter()
sampled.to_parquet(sys.argv[3])
written = time.perf_counter()
seconds = {"fit": fitted - started, "sample": ended - fitted, "write": written - ended}
print(json.dumps({"columns": frame.shape[1], **seconds}))
"""


def make_environment() -> Path:
    """Make the environment once, beside other temporary files, and anew when the pins change; give its interpreter."""
    folder = Path(tempfile.gettempdir()) / "paincast-benchmark-sdv"
    stamp = folder / "pins.txt"
    python = folder / "bin" / "python"
    if not stamp.is_file() or stamp.read_text() != PINS.read_text():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([str(python), "-m", "pip", "install", "-qqq", "--no-deps", "-r", str(PINS)], check=True)
        shutil.copyfile(PINS, stamp)
    return python


def time_sdv(table: Path, rows: int) -> dict[str, float]:
    """Fit on a Parquet table and sample as many rows; seconds of fitting, sampling and writing."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with tempfile.TemporaryDirectory() as scratch:
        command = [
            str(make_environment()),
            "-c",
            PROGRAM,
            str(table),
            str(rows),
            str(Path(scratch) / "sampled.parquet"),
        ]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=clean)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    print(json.dumps(time_sdv(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 50_000)))
