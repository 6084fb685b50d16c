"""The walk of patients from the command to the probability is the one that the architecture page lists."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

from paincast.cli import app
from paincast.predictor.answering import scorer
from paincast.serving.batch import run as batch
from paincast.serving.predict import load_models

PAGE = Path(__file__).parents[2] / "ARCHITECTURE.md"
STEP = re.compile(r"^\d+\. `(\w+)` \(`([\w.]+)`", re.MULTILINE)


def read_walk() -> list[tuple[str, str]]:
    [section] = re.findall(r"^## From a file of patients to a probability\n(.*?)^## ", PAGE.read_text(), re.M | re.S)
    return [(f"paincast.{module}", function) for function, module in STEP.findall(section)]


def test_no_module_of_the_walk_is_entered_twice():
    modules = Counter(module for module, _ in read_walk())
    assert [module for module, n in modules.items() if n > 1] == []


def test_patients_walk_as_the_page_says(patients, models_folder, tmp_path, monkeypatch):
    patients.to_csv(tmp_path / "patients.csv", index=False)
    models = load_models(models_folder / "facet_rfa")
    monkeypatch.setattr(batch, "load_models", lambda _, **__: models)
    monkeypatch.setattr(scorer, "FEW_ROWS", 0)  # they walk like many
    walk, frames = read_walk(), []

    def note(frame: FrameType, event: str, _: object) -> None:
        step = (frame.f_globals.get("__name__"), frame.f_code.co_name)
        if event == "call" and step in walk and frame not in frames:
            frames.append(frame)

    command = ["predict", str(tmp_path / "patients.csv"), "-o", str(tmp_path / "out.csv"), "--technique", "facet_rfa"]
    sys.setprofile(note)
    try:
        code = app.run([*command, "--no-progress"])
    finally:
        sys.setprofile(None)
    assert code == 0
    steps = [(frame.f_globals["__name__"], frame.f_code.co_name) for frame in frames]
    assert list(dict.fromkeys(steps)) == walk
    assert [step for step, n in Counter(steps).items() if n > 1] == []
