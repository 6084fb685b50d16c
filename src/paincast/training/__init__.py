"""Training: from a cohort to evaluated, explained, logged and saved models, one per technique and outcome.

``trainer.py`` goes over techniques and outcomes; ``kinds/`` fits by kind of outcome; ``finish.py`` does what all
kinds share: out-of-fold evaluation, sealing, explanation, logging, saving.
"""

from paincast.training.task import Task, TrainedModel
from paincast.training.trainer import FITTERS, TrainingResult, train

__all__ = ["FITTERS", "Task", "TrainedModel", "TrainingResult", "train"]
