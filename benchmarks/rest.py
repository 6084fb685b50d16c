"""Load, exchange of models and malformed requests against ``paincast serve`` on the loopback.

Run with: OMP_NUM_THREADS=1 python benchmarks/rest.py FOLDER [claim ...] [--seconds 60] [--connections 16]

FOLDER holds the models of benchmarks/serving.py (``all``), which are trained if they are missing. Claims:

- ``load``: one patient a request over connections that are kept, each sending its next request when the answer is
  there; for what an indication is treated by and for all models, by one process and by two. Percentiles of the time
  from the first byte sent to the last received, errors, requests a second, and seconds of the processor.
- ``swap``: eight clients while a model is exchanged twenty times; every answer has to be of one set of versions.
- ``fuzz``: Schemathesis (``--schemathesis PATH``, of an environment with benchmarks/rest_requirements.txt) with what
  /openapi.json allows and does not; no status above 499, nothing of a request that is refused in the response.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

CLAIMS = ("load", "swap", "fuzz")
SWAPS, CLIENTS = 20, 8


@contextmanager
def run_server(models: Path, *options: str) -> Iterator[tuple[str, int, subprocess.Popen]]:
    """Start a server as a process; give its host, port and process once it is ready."""
    command = [sys.executable, "-m", "paincast", "serve", str(models), "--port", "0", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        found = next(one for line in process.stderr if (one := re.search(r"http://([\d.]+):(\d+)", line)))
        threading.Thread(target=process.stderr.read, daemon=True).start()
        host, port = found[1], int(found[2])
        while ask_status(host, port, "/ready") != 200:
            time.sleep(0.1)
        yield host, port, process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def ask_status(host: str, port: int, path: str) -> int:
    import requests

    try:
        return requests.get(f"http://{host}:{port}{path}", timeout=10).status_code
    except requests.ConnectionError:
        return 0


def make_requests(indications: list[str], techniques: str | None, n: int = 500) -> list[bytes]:
    """Make requests of one invented patient each, ready to be sent."""
    draw = random.Random(7)
    made = []
    for number in range(n):
        patient = {
            "episode_id": f"invented-{number}",
            "indication": draw.choice(indications),
            "age_years": draw.randint(25, 90),
            "sex": draw.choice(["female", "male"]),
            "bmi": round(draw.uniform(19, 40), 1),
            "pain_nrs": draw.randint(4, 10),
            "pain_duration_months": draw.randint(3, 90),
            "odi": draw.randint(15, 85),
            "opioid_mme": draw.choice([0, 0, 10, 45]),
            "depression": draw.random() < 0.3,
            "smoker": draw.random() < 0.3,
            "diabetes": draw.random() < 0.2,
            "anticoagulant": False,
            "active_infection": False,
        }
        body = json.dumps({"patients": [patient], **({"techniques": techniques} if techniques else {})}).encode()
        head = ["POST /predict HTTP/1.1", "Host: x", "Content-Type: application/json", f"Content-Length: {len(body)}"]
        made.append("\r\n".join([*head, "", ""]).encode() + body)
    return made


async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> tuple[int, bytes]:
    """Send a request over a connection that is kept; return status and body."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    assert length is not None
    return int(head.split(b" ", 2)[1]), await reader.readexactly(int(length[1]))


async def load(
    host: str, port: int, made: list[bytes], seconds: float, connections: int
) -> tuple[list[float], Counter]:
    """Send requests over connections at once, each as soon as the one before is answered."""
    took: list[float] = []
    seen: Counter = Counter()
    begin = time.perf_counter()

    async def keep_asking(number: int) -> None:
        reader, writer = await asyncio.open_connection(host, port)
        place = number
        while time.perf_counter() - begin < seconds:
            sent = time.perf_counter()
            status, body = await send(reader, writer, made[place % len(made)])
            took.append(time.perf_counter() - sent)
            answered = b'"abstained":false' in body
            seen[
                "answers" if status == 200 and answered else "abstentions" if status == 200 else f"status {status}"
            ] += 1
            place += connections
        writer.close()

    await asyncio.gather(*(keep_asking(number) for number in range(connections)))
    return took, seen


def measure_processor(process: subprocess.Popen) -> float:
    """Measure the seconds of the processor that a process and its children have taken."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,cputimes="], capture_output=True, text=True, check=True).stdout
    rows = [tuple(map(int, line.split())) for line in listed.splitlines()]
    family = {process.pid}
    for _ in range(3):
        family |= {pid for pid, parent, _ in rows if parent in family}
    return float(sum(spent for pid, _, spent in rows if pid in family))


def claim_load(models: Path, arguments: argparse.Namespace) -> None:
    from paincast import load_models

    loaded = load_models(models)
    indications = sorted({name for model in loaded.values() for name in model.rules.indications})
    print(f"{len(loaded)} models, {arguments.connections} connections, {arguments.seconds:g} s each; ", end="")
    print(f"load of the machine before: {os.getloadavg()[0]:.1f}")
    print("workers  techniques   p50 ms   p95 ms   p99 ms   max ms  requests/s  processor ms/request  seen")
    for workers in (1, 2):
        with run_server(models, "--workers", str(workers)) as (host, port, process):
            for techniques in (None, "all"):
                made = make_requests(indications, techniques)
                asyncio.run(load(host, port, made, 3, arguments.connections))
                before = measure_processor(process)
                took, seen = asyncio.run(load(host, port, made, arguments.seconds, arguments.connections))
                spent = measure_processor(process) - before
                ranked = sorted(took)
                cuts = [1000 * ranked[min(int(share * len(ranked)), len(ranked) - 1)] for share in (0.5, 0.95, 0.99, 1)]
                rate, each = len(took) / arguments.seconds, 1000 * spent / len(took)
                print(f"{workers:7}  {techniques or 'treating':10}" + "".join(f"{cut:9.1f}" for cut in cuts), end="")
                print(f"{rate:12.0f}{each:22.1f}  {dict(seen)}", flush=True)
    print(f"processor of this client: {resource.getrusage(resource.RUSAGE_SELF).ru_utime:.0f} s", flush=True)


def claim_swap(models: Path, arguments: argparse.Namespace) -> None:  # noqa: ARG001
    """Exchange a model between two versions that differ in the level of their interval."""
    import requests

    from paincast import load_models
    from paincast.predictor import add_version, save_predictor

    name = "facet_rfa/pain_response"
    first = load_models(models)[name]
    versions = [add_version(replace(first, level=level)) for level in (0.8, 0.95)]
    level = {model.version: model.level for model in versions}
    patient = {"indication": "lumbar_facet", "pain_nrs": 7, "odi": 44, "age_years": 57}
    answers: list[dict] = []
    failed: Counter = Counter()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(shutil.copytree(models, Path(scratch) / "models"))
        save_predictor(versions[0], folder / name)
        with run_server(folder, "--refresh", "0.1") as (host, port, _):
            address, over = f"http://{host}:{port}", threading.Event()

            def ask() -> None:
                with requests.Session() as session:
                    while not over.is_set():
                        told = session.post(f"{address}/predict", json={"patients": [patient] * 2}, timeout=30)
                        if told.status_code == 200:
                            answers.append(told.json())
                        else:
                            failed[told.status_code] += 1

            clients = [threading.Thread(target=ask) for _ in range(CLIENTS)]
            for client in clients:
                client.start()
            waits = []
            for swap in range(SWAPS):
                wanted = versions[(swap + 1) % 2]
                save_predictor(wanted, folder / name)
                begin = time.perf_counter()
                while name not in read_versions(address, name) or read_versions(address, name)[name] != wanted.version:
                    time.sleep(0.02)
                waits.append(time.perf_counter() - begin)
                time.sleep(1.0)
            over.set()
            for client in clients:
                client.join()
    mixed = sum(not is_of_one_version(answer, name, level) for answer in answers)
    counted = Counter(answer["models"][name] for answer in answers)
    print(
        f"{SWAPS} exchanges under {CLIENTS} clients: {len(answers)} answers, {mixed} mixed, failed {dict(failed)}; ",
        end="",
    )
    print(f"{dict(counted)}; in service after {statistics.median(waits):.2f} s (median), {max(waits):.2f} s at most")


def read_versions(address: str, name: str) -> dict[str, str]:
    import requests

    listed = requests.get(f"{address}/models", timeout=10).json()["models"]
    return {model["name"]: model["version"] for model in listed if model["name"] == name}


def is_of_one_version(answer: dict, name: str, level: dict[str, float]) -> bool:
    """Check that rows and versions of an answer are of one set of models."""
    version = answer["models"][name]
    rows = [row for row in answer["predictions"] if row["technique"] == name.partition("/")[0]]
    return bool(rows) and all((row["model_version"], row["level"]) == (version, level[version]) for row in rows)


def claim_fuzz(models: Path, arguments: argparse.Namespace) -> None:
    if arguments.schemathesis is None:
        print("fuzz: skipped; give --schemathesis PATH")
        return
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    checks += ",unsupported_method,allow_header_conformance,nothing_echoed"
    with run_server(models) as (host, port, _), tempfile.TemporaryDirectory() as scratch:
        command = [
            str(arguments.schemathesis.absolute()),
            "run",
            f"http://{host}:{port}/openapi.json",
            "--checks",
            checks,
        ]
        command += ["--max-time", str(int(arguments.seconds)), "--continue-on-failure", "--request-timeout", "40"]
        hooks = {"SCHEMATHESIS_HOOKS": str(Path(__file__).absolute().with_name("rest_echo.py"))}
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        subprocess.run(command, env={**environment, **hooks}, cwd=scratch, check=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("claims", nargs="*", default=CLAIMS)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--schemathesis", type=Path)
    arguments = parser.parse_args()
    if not (arguments.folder / "all").exists():
        from serving import prepare_models

        prepare_models(arguments.folder)
    run = {"load": claim_load, "swap": claim_swap, "fuzz": claim_fuzz}
    for claim in arguments.claims:
        run[claim](arguments.folder / "all", arguments)


if __name__ == "__main__":
    main()
