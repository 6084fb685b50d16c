"""Workers of the fuzzers: a process for each kind of file, started anew where a file ends it, and what came of all."""

from __future__ import annotations

import argparse
import io
import json
import resource
import subprocess
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

MOST_SECONDS, MOST_BYTES = 10, 8 * 2**30


def run_command(arguments: Sequence[str]) -> tuple[int, str]:
    """Run a command in this process; returns its exit code and all that it printed, warnings included."""
    from paincast.cli.app import run

    told, started = io.StringIO(), time.process_time()
    with redirect_stdout(told), redirect_stderr(told), warnings.catch_warnings():
        warnings.simplefilter("always")
        code = run(list(arguments))
    if (seconds := time.process_time() - started) > MOST_SECONDS:
        return 1, f"SLOW {seconds:.0f} s {told.getvalue()}"
    return code, told.getvalue()


def find_fault(code: int, told: str) -> str:
    """Find what no command may do, whatever it is given: end with another code, warn, print control characters."""
    if code not in (0, 2, 3) or "Traceback" in told:
        return f"EXIT {code} {told[-700:]}"
    if "Warning:" in told:
        return f"WARNING {told[:300]}"
    if any((ord(sign) < 32 and sign not in "\n\t") or 127 <= ord(sign) < 160 for sign in told):
        return f"CONTROL {told!r}"[:400]
    if code == 2 and (len(told.strip().splitlines()) != 1 or not told.startswith("error: ")):
        return f"NOT ONE LINE {told[:300]!r}"
    return ""


def name_error(told: str) -> str:
    """Name an error by its code."""
    return f"error {told[told.rfind('[') :].strip()}"


def is_failure(outcome: str) -> bool:
    """Whether a file came to anything but an output or an error with a code."""
    return outcome.split(" ")[0].isupper() or outcome == "error"


def work(judge: Callable[[int], tuple[int, str]], each: int, start: int) -> None:
    """Judge files by their numbers; print a line before and after each: the bad rows, and what came of it."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    for number in range(start, each):
        print(f"{number} ", end="", flush=True)
        try:
            n_rows, told = judge(number)
            print(n_rows, told.replace("\n", " | "), flush=True)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            print(f"0 HARNESS {type(error).__name__} {error} {where.name}:{where.lineno}".replace("\n", " "))


def run_kind(script: str, kind: str, options: Sequence[str], each: int) -> tuple[Counter[str], int]:
    """Run workers for a kind until all its files are judged; returns outcomes, and the number of bad rows."""
    counted: Counter[str] = Counter()
    start = n_rows = 0
    while start < each:
        command = [sys.executable, script, *options, "--each", str(each), "--worker", kind, str(start)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        lines = [line.split(" ", 2) for line in done.stdout.splitlines()]
        for number, rows, outcome in (line for line in lines if len(line) > 2):
            n_rows += int(rows)
            counted[outcome if not is_failure(outcome) else outcome.split(" ")[0]] += 1
            if is_failure(outcome):
                print(f"  {kind} {number} {outcome[:900]}", flush=True)
        if not done.returncode:
            break
        start = int(lines[-1][0]) + 1 if lines else each
        counted["CRASH"] += 1
        print(f"  {kind} {start - 1} CRASH {done.returncode} {done.stderr[-900:]}", flush=True)
    return counted, n_rows


def run_kinds(script: str, kinds: Sequence[str], options: Sequence[str], each: int) -> int:
    """Run all kinds, and sum up; returns 1 if anything failed."""
    total, total_rows, started = Counter(), 0, time.time()
    for kind in kinds:
        counted, n_rows = run_kind(script, kind, options, each)
        print(kind, json.dumps(dict(counted.most_common())), f"{n_rows} bad rows", flush=True)
        total += counted
        total_rows += n_rows
    words = f"{total.total()} files, {total_rows} bad rows in {time.time() - started:.0f} s:"
    print(words, json.dumps(dict(total.most_common())))
    return int(any(map(is_failure, total)))


def add_options(parser: argparse.ArgumentParser, *, each: int) -> None:
    """Add the options that all fuzzers have."""
    parser.add_argument("--each", type=int, default=each)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--worker", nargs=2, default=None)


def list_beside(folder: Path, *allowed: str) -> list[str]:
    """List what was left in a folder beside what is allowed."""
    return sorted(path.name for path in folder.iterdir() if path.name not in allowed)
