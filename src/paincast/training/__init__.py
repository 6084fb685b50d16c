"""One training run: cohort, outcomes, honest evaluation, final fit, explanation, report, record."""

from paincast.training.run import FITTERS, TrainingResult, train
from paincast.training.task import Task, TrainedModel

__all__ = ["FITTERS", "Task", "TrainedModel", "TrainingResult", "train"]
