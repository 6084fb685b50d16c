"""What the simulator costs: episodes a second, memory and how time grows, each size in a process of its own.

Other work on a machine can only make a run slower. What is compared is therefore run in turns, so that a busy spell
meets all alike, and of each the fastest run is taken.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from simulator_sample import SEED, WORKERS
from simulator_sdv import PINS, time_sdv

from paincast.evidence import simulated_techniques
from paincast.simulator import write_cohort

BYTES_PER_EPISODE = 1_500
"""Room asked for on disk before a cohort is written; about twice what is needed."""

TURNS = 3
LARGE = 5_000_000
"""From this number of episodes on there are no more than two turns."""

TIMES = ("seconds", "processor")


def time_writing(folder: Path, episodes: int, workers: int = WORKERS) -> dict[str, float]:
    """Write a cohort of all techniques; seconds on the clock and of the processor, episodes and bytes."""
    techniques = simulated_techniques()
    started, used = time.perf_counter(), time.process_time()
    each = -(-episodes // len(techniques))
    write_cohort(folder, techniques=list(techniques), episodes_per_technique=each, seed=SEED, workers=workers)
    seconds, processor = time.perf_counter() - started, time.process_time() - used
    rows = {file.stem: pq.ParquetFile(file).metadata.num_rows for file in folder.rglob("*.parquet")}
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return {"episodes": rows["episodes"], "seconds": seconds, "processor": processor, "bytes": size}


def time_after_preparing(folder: Path, episodes: int, workers: int) -> dict[str, float]:
    """The same, with the time of one episode of each technique, on warm caches, taken off; short runs are repeated."""
    time_writing(folder.with_name("least"), 1, workers)
    runs, least = [], []
    for _ in range(5 if episodes <= 100_000 else 1):
        least += [time_writing(folder.with_name("least"), 1, workers) for _ in range(2)]
        runs.append(time_writing(folder, episodes, workers))
    found = take_fastest(runs)
    for name, preparing in take_fastest(least).items():
        if name in TIMES:
            found |= {f"least_{name}": preparing, f"net_{name}": found[name] - preparing}
    return found


def take_fastest(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Take the least of each figure over runs of the same work."""
    return {name: min(run[name] for run in runs) for name in runs[0]}


def measure_apart(episodes: int, workers: int = WORKERS) -> dict[str, float]:
    """Write a cohort in a new process, watched from outside; adds the peak memory of it and its workers (PSS)."""
    with tempfile.TemporaryDirectory(prefix="paincast-benchmark-") as scratch:
        free, asked = shutil.disk_usage(scratch).free, BYTES_PER_EPISODE * episodes
        if free < asked:
            raise SystemExit(f"{episodes:,} episodes may need {asked / 1e9:.0f} GB on disk; {free / 1e9:.0f} are free")
        command = [sys.executable, __file__, str(Path(scratch) / "cohort"), str(episodes), str(workers)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        peak = [0.0]
        watcher = threading.Thread(target=_watch, args=(child, peak), daemon=True)
        watcher.start()
        output = child.communicate()[0]
        watcher.join()
        if child.returncode:
            raise SystemExit(f"writing {episodes:,} episodes failed")
    return {**json.loads(output.splitlines()[-1]), "peak_mib": peak[0]}


def _watch(child: subprocess.Popen[str], peak: list[float]) -> None:
    while child.poll() is None:
        peak[0] = max(peak[0], sum(_resident(process) for process in _session(child.pid)) / 1024)
        time.sleep(0.2)


def _session(leader: int) -> list[int]:
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.getsid(int(entry.name)) == leader:
                    members.append(int(entry.name))
            except OSError:
                continue
    return members


def _resident(process: int) -> float:
    """Proportional set size in KiB: pages that processes share are counted once."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return float(next((line.split()[1] for line in lines if line.startswith("Pss:")), 0))


def check_speed(episodes: int = 1_000_000) -> pd.DataFrame:
    """Episodes a second with all tables streamed to Parquet, beside SDV sampling one table of equal width, in turns."""
    with tempfile.TemporaryDirectory(prefix="paincast-benchmark-") as scratch:
        first = time_writing(Path(scratch) / "first", 60_000)
        table = Path(scratch) / "fitted.parquet"
        frame = pd.read_parquet(Path(scratch) / "first" / "episodes.parquet")
        frame = frame.dropna(axis=1, how="all").sample(5_000, random_state=1)
        frame.to_parquet(table, index=False)
        ours, theirs = [], []
        for _ in range(TURNS):
            written, sdv = time_writing(Path(scratch) / "large", episodes), time_sdv(table, 50_000)
            ours.append(written["episodes"] / written["seconds"])
            theirs.append(50_000 / (sdv["sample"] + sdv["write"]))
    small = first["episodes"] / first["seconds"]
    rows = [
        ("paincast, 60,000 episodes, all tables written", small, small, np.nan),
        (f"paincast, {episodes:,} episodes, all tables written", max(ours), min(ours), 100_000.0),
        (f"{name_sdv()}, one table of {sdv['columns']} columns sampled and written", max(theirs), min(theirs), np.nan),
        ("ratio of the fastest turns", max(ours) / max(theirs), min(np.divide(ours, theirs)), 20.0),
    ]
    found = pd.DataFrame(rows, columns=["what", "rows a second", "slowest turn", "bar"])
    found["ok"] = found["bar"].isna() | (found["rows a second"] >= found["bar"])
    return found


def name_sdv() -> str:
    version = next(line.split("==")[1] for line in PINS.read_text().splitlines() if line.startswith("sdv=="))
    return f"SDV {version} GaussianCopulaSynthesizer"


def check_growth(sizes: tuple[int, ...] = (10_000, 100_000, 1_000_000, 10_000_000)) -> pd.DataFrame:
    """Time and peak memory by number of episodes; net of preparing, which one episode of each technique costs too.

    Sizes are run in turns; the shortest time of each is taken, as is that of preparing over all, and the middle peak.
    """
    runs: dict[int, list[dict[str, float]]] = {size: [] for size in sizes}
    for turn in range(TURNS):
        for size in sizes:
            if turn < 2 or size < LARGE:
                runs[size].append(measure_apart(size))
    least = take_fastest([run for held in runs.values() for run in held])
    rows = []
    for held in runs.values():
        row = take_fastest(held) | {"peak_mib": float(np.median([run["peak_mib"] for run in held]))}
        rows.append(row | {f"net_{name}": row[name] - least[f"least_{name}"] for name in TIMES})
    found = pd.DataFrame(rows).drop(columns=[f"least_{name}" for name in TIMES])
    found["episodes a second"] = found["episodes"] / found["seconds"]
    found["gb"] = found.pop("bytes") / 1e9
    return found


def summarize_growth(found: pd.DataFrame) -> pd.DataFrame:
    """Slope of log time on log n, and the ratio of peak memories of the two largest."""
    size = np.log10(found["episodes"].to_numpy())
    clock, processor = (np.log10(found[name].to_numpy()) for name in ("net_seconds", "net_processor"))
    slopes = {
        "slope of log processor time on log n": np.polyfit(size, processor, 1)[0],
        "slope of log time on the clock on log n": np.polyfit(size, clock, 1)[0],
        "slope of log processor time, two largest": (processor[-1] - processor[-2]) / (size[-1] - size[-2]),
    }
    memory = float(found["peak_mib"].iloc[-1] / found["peak_mib"].iloc[-2])
    rows = [(name, float(slope), "0.9 to 1.1", bool(0.9 <= slope <= 1.1)) for name, slope in slopes.items()]
    rows.append(("peak memory, largest over the one before", memory, "at most 1.3", memory <= 1.3))
    return pd.DataFrame(rows, columns=["what", "value", "bar", "ok"])


def describe_machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1] for line in lines if line.startswith("model name")), "")
    return f"{model.strip()}, {os.cpu_count()} cores, Python {platform.python_version()}"


if __name__ == "__main__":
    found: dict[str, Any] = time_after_preparing(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    print(json.dumps(found))
