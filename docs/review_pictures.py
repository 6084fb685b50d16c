"""Take the pictures of the tour in docs/review.md: train two models on simulated patients, promote one, photograph.

python docs/review_pictures.py -o reports/tour

Needs a chromium or chrome on the path, and the environment of `make run`. What it makes stays out of the repository.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MODEL = "paincast.facet_rfa.pain_response"
QUICK = ("technique=facet_rfa", "model=logistic", "model.selection_folds=2", "uncertainty.refits=20")
FEW, MANY = 300, 6000
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
DESKTOP, PHONE = (1800, 1000), (500, 1000)
"""Width and height in pixels; a window of chromium is at least 500 wide."""

PATIENCE_MS = 20_000
PHOTOGRAPH_SECONDS = 120


def main() -> None:
    """Fill the folder that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, default=Path("reports/tour"), help="folder of the pictures")
    out = parser.parse_args().out.resolve()
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit(f"no browser found; install one of: {', '.join(BROWSERS)}")
    work = out / "store"
    work.mkdir(parents=True, exist_ok=True)
    train_two_models(work)
    call(work, "report", f"{MODEL}@champion", "-o", str(out / "report"))
    with serve(work) as address:
        host, _, runs = address.partition("/#/")
        run = re.search(r"run_id=([0-9a-f]{32})|$", read_champion(work))[1]
        experiment = runs.split("/")[1]
        page = f"{host}/#/experiments/{experiment}/runs/{run}"
        report = (out / "report" / "report.html").as_uri()
        for name, where, size in (
            ("1_run_list", address, DESKTOP),
            ("2_run", page, DESKTOP),
            ("3_calibration", f"{page}/artifacts/figures/calibration/calibration.png", DESKTOP),
            ("4_report_in_mlflow", f"{page}/artifacts/report/report.html", DESKTOP),
            ("5_report", report, (DESKTOP[0], 3000)),
            ("6_report_on_a_phone", report, (PHONE[0], 3000)),
            ("7_champion", f"{host}/#/models/{MODEL}", DESKTOP),
        ):
            photograph(browser, where, out / f"{name}.png", size)
            print(f"written: {out / name}.png", flush=True)


def train_two_models(work: Path) -> None:
    """Train one that is refused and one that passes for research, unless both are there."""
    if (work / "mlflow.db").is_file():
        return
    for episodes in (FEW, MANY):
        chosen = (*QUICK, f"cohort.episodes_per_technique={episodes}", "evaluation=quick", "gate=research")
        call(work, "train", *chosen, "progress=false")
    call(work, "promote", f"{MODEL}@candidate", "--gate", "research")


def call(work: Path, *arguments: str) -> None:
    """Run one command of paincast on the store of the tour."""
    subprocess.run([*paincast(), *arguments], cwd=work, env=environment(), check=True)


def paincast() -> list[str]:
    """Give the command, of the environment that runs this script."""
    return [sys.executable, "-c", "from paincast.cli import main; main()"]


def environment() -> dict[str, str]:
    """Leave out a store that the environment names: the tour has one of its own."""
    return {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}


def read_champion(work: Path) -> str:
    """Ask the registry for the run of the champion."""
    code = f"""
from mlflow import MlflowClient
print("run_id=" + MlflowClient("sqlite:///mlflow.db").get_model_version_by_alias("{MODEL}", "champion").run_id)
"""
    told = subprocess.run([sys.executable, "-c", code], cwd=work, env=environment(), stdout=subprocess.PIPE, text=True)
    return told.stdout


@contextmanager
def serve(work: Path) -> Iterator[str]:
    """Open the review for as long as the block lasts, and give its address."""
    command = [*paincast(), "review", "--no-browser", "--port", "5200"]
    with subprocess.Popen(command, cwd=work, env=environment(), stdout=subprocess.PIPE, text=True) as review:
        try:
            assert review.stdout is not None
            found = re.search(r"http://\S+", review.stdout.readline())
            if found is None:
                sys.exit("the review did not start")
            yield found[0]
        finally:
            review.send_signal(signal.SIGINT)


def photograph(browser: str, address: str, picture: Path, size: tuple[int, int]) -> None:
    """Take a picture of a page once its scripts have had their time."""
    options = ["--headless", "--disable-gpu", "--hide-scrollbars", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    subprocess.run(
        [
            *(browser, *options, f"--window-size={size[0]},{size[1]}", f"--virtual-time-budget={PATIENCE_MS}"),
            *(f"--screenshot={picture}", address),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=PHOTOGRAPH_SECONDS,
        check=True,
    )


if __name__ == "__main__":
    main()
