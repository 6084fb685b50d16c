"""Peers that need an environment of their own: FLAML and AutoGluon, each with a budget of time for a technique.

The environments are made below the system's folder for temporary files, from the pins beside this file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import venv
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

FloatArray = npt.NDArray[np.float64]

BUDGET_SECONDS = 60

OPENING = """
import pickle, sys, warnings
warnings.simplefilter("ignore")
import pandas as pd
step, folder, table, seed, budget = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
frame = pd.read_parquet(table)
"""

FLAML = """
from flaml import AutoML
if step == "fit":
    outcome = frame.pop("_outcome").astype(int)
    model = AutoML()
    model.fit(frame, outcome, task="classification", metric="log_loss", time_budget=budget, eval_method="cv",
              n_splits=5, n_jobs=1, seed=seed, verbose=0)
    pickle.dump(model, open(folder + "/model.pickle", "wb"))
else:
    model = pickle.load(open(folder + "/model.pickle", "rb"))
    pd.DataFrame({"p": model.predict_proba(frame)[:, 1]}).to_parquet(folder + "/predicted.parquet")
"""

AUTOGLUON = """
from autogluon.tabular import TabularPredictor
if step == "fit":
    frame["_outcome"] = frame["_outcome"].astype(int)
    TabularPredictor("_outcome", eval_metric="log_loss", path=folder + "/model", verbosity=0).fit(
        frame, time_limit=budget, presets="best_quality", num_cpus=1, num_gpus=0, dynamic_stacking=False,
        ag_args_ensemble={"fold_fitting_strategy": "sequential_local"})
else:
    model = TabularPredictor.load(folder + "/model", verbosity=0)
    pd.DataFrame({"p": model.predict_proba(frame)[1]}).to_parquet(folder + "/predicted.parquet")
"""

PROGRAMS: Mapping[str, str] = {"flaml": FLAML, "autogluon": AUTOGLUON}


def find_pins(name: str) -> Path:
    """Find the pinned requirements of a peer."""
    return Path(__file__).resolve().parent / f"skill_requirements_{name}.txt"


def make_environment(name: str) -> Path:
    """Make the environment once, and anew when the pins change; give its interpreter."""
    folder = Path(tempfile.gettempdir()) / f"paincast-benchmark-{name}"
    stamp, python, pins = folder / "pins.txt", folder / "bin" / "python", find_pins(name)
    if not stamp.is_file() or stamp.read_text() != pins.read_text():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([str(python), "-m", "pip", "install", "-qqq", "--no-deps", "-r", str(pins)], check=True)
        shutil.copyfile(pins, stamp)
    return python


def fit_elsewhere(
    name: str, frame: pd.DataFrame, outcome: FloatArray, seed: int
) -> Callable[[pd.DataFrame], FloatArray]:
    """Fit in the peer's own environment; what comes back predicts there."""
    scratch = tempfile.TemporaryDirectory(prefix=f"paincast-{name}-")
    folder = Path(scratch.name)
    _run(name, "fit", folder, frame.assign(_outcome=outcome), seed)

    def predict(asked: pd.DataFrame) -> FloatArray:
        _run(name, "predict", Path(scratch.name), asked, seed)
        return pd.read_parquet(folder / "predicted.parquet")["p"].to_numpy(float)

    return predict


def _run(name: str, step: str, folder: Path, frame: pd.DataFrame, seed: int) -> None:
    table = folder / f"{step}.parquet"
    frame.to_parquet(table, index=False)
    program = [str(make_environment(name)), "-c", OPENING + PROGRAMS[name], step, str(folder), str(table)]
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*program, str(seed), str(BUDGET_SECONDS)], check=False, capture_output=True, text=True, env=clean, cwd=folder
    )
    if done.returncode:
        raise RuntimeError(f"{name} ended with: {done.stderr.strip().splitlines()[-1:]}")
