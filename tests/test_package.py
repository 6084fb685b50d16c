"""What is published: the version in one place, and a wheel and an sdist that work where nothing else is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml

import paincast
from paincast.serving.coherence import IN_LINE

ROOT = Path(__file__).resolve().parents[1]
BUNDLES = ROOT / "tests" / "golden" / "bundles"
SECONDS_OF_IMPORT = 0.05  # of the processor: what else the machine does says nothing of the package

PREDICT = """
import paincast, pandas
patients = pandas.read_csv("patients.csv")
models = paincast.load_models("models")
alone = [model.predict(patients) for model in models.values()]
pandas.concat(alone).to_csv("predictions.csv", index=False)
paincast.predict(patients, models).to_csv("together.csv", index=False)
"""
TIME_IMPORT = """
import time
started = time.process_time()
import paincast
print(paincast.__version__, time.process_time() - started)
"""


def run(*command: str | Path, folder: Path) -> str:
    """Run a command without what this process's environment would lend it, and give what it printed."""
    lent = ("PYTHON", "MLFLOW_", "PAINCAST_", "COV_", "COVERAGE_", "VIRTUAL_ENV")
    environment = {name: text for name, text in os.environ.items() if not name.startswith(lent)}
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_citation_names_this_version() -> None:
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"] == paincast.__version__


@pytest.fixture
def empty_environment(tmp_path: Path) -> Iterator[Path]:
    """Make an environment that holds the pinned core and what builds packages; give its folder of commands."""
    folder = tmp_path / "environment"
    venv.create(folder, with_pip=True, symlinks=True)
    commands = folder / ("Scripts" if os.name == "nt" else "bin")
    install = (commands / "python", "-m", "pip", "install", "-qq", "--no-deps", "--require-hashes")
    run(*install, "-r", ROOT / "requirements" / "build.lock", folder=tmp_path)
    core = ROOT / "requirements" / "core.lock"
    run(*install, "--no-build-isolation", "--use-pep517", "-r", core, folder=tmp_path)
    yield commands
    shutil.rmtree(folder)  # more than a gigabyte, which pytest would keep


@pytest.mark.slow
def test_wheel_and_sdist_work_in_an_empty_environment(empty_environment: Path, tmp_path: Path) -> None:
    """Both are installed in turn, imported in time, and show help, print the schema, simulate and predict."""
    run(sys.executable, "-m", "hatchling", "build", "-d", tmp_path / "dist", folder=ROOT)
    built = sorted((tmp_path / "dist").iterdir(), reverse=True)
    assert [file.name for file in built] == [
        f"paincast-{paincast.__version__}.tar.gz",
        f"paincast-{paincast.__version__}-py3-none-any.whl",
    ]
    with zipfile.ZipFile(BUNDLES / "format2.zip") as archive:
        archive.extractall(tmp_path)
    for distribution in built:
        work = tmp_path / distribution.name.removeprefix("paincast-")
        work.mkdir()
        python = empty_environment / "python"
        install = ("-m", "pip", "install", "-qq", "--no-deps", "--no-build-isolation", "--force-reinstall")
        run(python, *install, distribution, folder=work)
        run(python, "-m", "pip", "check", folder=work)
        check_installed(empty_environment, work)


def check_installed(commands: Path, folder: Path) -> None:
    """Use the package as a stranger would who has just installed it."""
    measured = [run(commands / "python", "-c", TIME_IMPORT, folder=folder).split() for _ in range(5)]
    assert {version for version, _ in measured} == {paincast.__version__}
    assert min(float(seconds) for _, seconds in measured) < SECONDS_OF_IMPORT
    paincast_command = commands / "paincast"
    assert "train" in run(paincast_command, "--help", folder=folder)
    assert "| age_years |" in run(paincast_command, "schema", folder=folder)
    run(paincast_command, "evidence", "facet_rfa", "--format", "html", "-o", "card.html", folder=folder)
    assert "</html>" in (folder / "card.html").read_text(encoding="utf-8")
    simulate = ("simulate", "-o", "cohort", "--technique", "facet_rfa", "--episodes", "40", "--no-progress")
    run(paincast_command, *simulate, folder=folder)
    assert len(pd.read_parquet(folder / "cohort" / "episodes.parquet")) == 40
    (folder / "patients.csv").write_bytes((BUNDLES / "patients.csv").read_bytes())
    (folder / "models").symlink_to(folder.parent / "linear")
    run(commands / "python", "-W", "ignore", "-c", PREDICT, folder=folder)
    check_answers(pd.read_csv(folder / "predictions.csv"))
    together = pd.read_csv(folder / "together.csv")
    check_answers(together[~together["cautions"].fillna("").str.contains(IN_LINE)], whole=False)


def check_answers(predictions: pd.DataFrame, *, whole: bool = True) -> None:
    """Hold the probabilities against those that the same models gave before, of all patients or of some."""
    expected = pd.read_csv(BUNDLES / "format2_answers.csv").query("bundle.str.startswith('linear')")
    keys = ["episode_id", "outcome"]
    both = expected.merge(predictions, on=keys, suffixes=("", "_now"))
    assert len(both) == len(expected) if whole else 0.8 * len(expected) < len(both) < len(expected)
    assert both["probability_now"].to_numpy() == pytest.approx(both["probability"].to_numpy(), abs=1e-12, nan_ok=True)
