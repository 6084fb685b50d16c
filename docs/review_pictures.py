"""Take the pictures of the tour in docs/review.md: train models on simulated patients, promote one, photograph.

python docs/review_pictures.py -o reports/tour

Needs a chromium or chrome on the path, and the environment of `make test`. What it makes stays out of the repository.
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
from typing import TYPE_CHECKING

from paincast.cli.app import run

if TYPE_CHECKING:
    from playwright.sync_api import Browser

MODEL = "paincast.spinal_cord_stimulation.pain_response"
FEW = ("techniques=[spinal_cord_stimulation,si_joint_rfa]", "cohort.episodes_per_technique=300")
MANY = ("techniques=[spinal_cord_stimulation]", "cohort.episodes_per_technique=6000")
QUICK = (
    *("model=logistic", "model.selection_folds=2", "model.ridge_prior_sds=[0.25]", "model.lasso_penalties=[]"),
    *("model.borrowing=[0.0]", "uncertainty.refits=10", "evaluation=quick", "gate=research", "progress=false"),
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
CALM = (
    *("--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
"""No graphics card, and no calls of the browser itself."""

DESKTOP, PHONE = 1280, 390
"""Widths in pixels."""

HEIGHT = 900
PORT = 5200
PICTURES = "[...document.images].every(image => image.complete)"
"""Whether all pictures of a page have come, or failed to."""


def main() -> None:
    """Fill the folder that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, default=Path("reports/tour"), help="folder of the pictures")
    out = parser.parse_args().out.resolve()
    if find_browser() is None:
        sys.exit(f"no browser found; install one of: {', '.join(BROWSERS)}")
    work = out / "store"
    if not (work / "mlflow.db").is_file():
        train_models(work)
    call("report", f"{MODEL}@champion", "-o", str(out / "report"), "--tracking-uri", name_store(work))
    report = (out / "report" / "report.html").as_uri()
    with serve(work) as address, open_browser() as browser:
        host = address.partition("#")[0]
        run_page, version_page = (f"{host}{page}" for page in find_champion(work))
        for name, where, shown, width in (
            ("1_run_list", address, "text=refused", DESKTOP),
            ("2_run", f"{run_page}?workflowType=machine_learning", "text=SYNTHETIC", DESKTOP),
            ("3_calibration", f"{run_page}/artifacts/figures/calibration/calibration.png", "img", DESKTOP),
            ("4_report_in_mlflow", f"{run_page}/artifacts/report/report.html", "iframe", DESKTOP),
            ("5_report", report, "h1", DESKTOP),
            ("6_report_on_a_phone", report, "h1", PHONE),
            ("7_champion", version_page, "text=@ champion", DESKTOP),
        ):
            photograph(browser, where, shown, width, out / f"{name}.png")
            print(f"written: {out / name}.png", flush=True)


def find_browser() -> str | None:
    """Find the machine's own chromium."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Open the machine's chromium, without a window and without its calls home, for as long as the block lasts."""
    from playwright.sync_api import sync_playwright

    options = [*CALM, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=find_browser(), args=options)
        yield browser
        browser.close()


def train_models(work: Path) -> None:
    """Train models that are refused and one that passes for research, and make that one champion."""
    kept = (f"tracking.uri={name_store(work)}", f"tracking.artifacts={work}/artifacts", f"hydra.run.dir={work}/outputs")
    for chosen in (FEW, MANY):
        call("train", *QUICK, *chosen, *kept, f"models_folder={work}/models")
    call("promote", f"{MODEL}@candidate", "--gate", "research", "--tracking-uri", name_store(work))


def name_store(work: Path) -> str:
    """Give the address of the store in a folder."""
    return f"sqlite:///{work}/mlflow.db"


def call(*arguments: str) -> None:
    """Run one command of paincast."""
    if code := run(arguments):
        sys.exit(code)


def find_champion(work: Path) -> tuple[str, str]:
    """Ask the registry for the champion, and give the page of its run and that of its version."""
    from paincast.settings import TrackingSettings
    from paincast.tracking import resolve_store
    from paincast.tracking.versions import use_registry

    with use_registry(resolve_store(TrackingSettings(uri=name_store(work)))) as client:
        version = client.get_model_version_by_alias(MODEL, "champion")
        experiment = client.get_run(version.run_id).info.experiment_id
    return f"#/experiments/{experiment}/runs/{version.run_id}", f"#/models/{MODEL}/versions/{version.version}"


@contextmanager
def serve(work: Path, port: int = PORT) -> Iterator[str]:
    """Open the review for as long as the block lasts, and give its address."""
    command = [sys.executable, "-c", "from paincast.cli import main; main()", "review", "--no-browser"]
    command += ["--port", str(port), "--tracking-uri", name_store(work)]
    with subprocess.Popen(command, cwd=work, stdout=subprocess.PIPE, text=True) as review:
        try:
            assert review.stdout is not None
            found = re.search(r"http://\S+", review.stdout.readline())
            if found is None:
                sys.exit("the review did not start")
            yield found[0]
        finally:
            review.send_signal(signal.SIGINT)


def photograph(browser: Browser, address: str, shown: str, width: int, picture: Path) -> None:
    """Take a picture of a page once what it is about is shown."""
    page = browser.new_page(viewport={"width": width, "height": HEIGHT})
    page.goto(address)
    page.locator(shown).first.wait_for()
    page.wait_for_function(PICTURES)
    page.screenshot(path=picture, full_page=True)
    page.close()


if __name__ == "__main__":
    main()
