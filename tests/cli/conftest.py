"""The command run in an empty folder, and a training that only writes down what it was asked."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pandas as pd
import pytest

from paincast.cli.app import run
from paincast.progress import Progress
from paincast.settings import TrainingSettings

Told = tuple[int, str, str]


@pytest.fixture
def tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    """Run a command in an empty folder: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Told:
        code = run(arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


class FakeTraining(ModuleType):
    """Stands in for ``paincast.training``."""

    def __init__(self) -> None:
        super().__init__("paincast.training")
        self.asked: list[TrainingSettings] = []
        self.configs: list[str] = []
        self.failure: BaseException | None = None

    def train(self, settings: TrainingSettings, *, config_yaml: str, report_to: Progress) -> SimpleNamespace:
        report_to.expect(2)
        self.asked.append(settings)
        self.configs.append(config_yaml)
        if self.failure is not None:
            raise self.failure
        summary = pd.DataFrame({"technique": ["facet_rfa", "si_joint_rfa"], "auroc": [0.6, None]})
        return SimpleNamespace(
            summary=summary,
            models_folder=Path("models"),
            review_hint="paincast review",
            trained={"facet_rfa/pain_response": None},
            refused={"si_joint_rfa/pain_response": "3 with the outcome"},
        )


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> FakeTraining:
    fake = FakeTraining()
    monkeypatch.setitem(sys.modules, "paincast.training", fake)
    return fake
