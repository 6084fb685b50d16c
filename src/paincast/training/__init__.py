"""Train, evaluate, explain, log and save one model per technique, outcome and month.

``questions.py`` lists what is asked, ``trainer.py`` loops over it; ``kinds/`` fits the model of each kind of outcome;
``finish.py`` holds the steps shared by all kinds: out-of-fold evaluation, explanation, logging and saving.
"""

from paincast.training.task import Task, TrainedModel
from paincast.training.trainer import FITTERS, TrainingResult, train

__all__ = ["FITTERS", "Task", "TrainedModel", "TrainingResult", "train"]
