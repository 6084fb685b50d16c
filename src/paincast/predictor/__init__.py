"""The predictor: one model with everything it needs to predict, explain and abstain, and its bundle on disk.

``model.py`` defines the :class:`Predictor`, ``answers.py`` what it answers before that is written into rows,
``route.py`` gets from a table of patients to predictions, ``ids.py`` gives their ids back, ``rows.py`` defines the
columns of predictions, ``answering/`` answers by the scoring core, ``bundle/`` saves and loads a predictor, and
``card.py`` formats its display.
"""

from paincast.predictor.answers import Answers
from paincast.predictor.bundle import MANIFEST, add_version, load_predictor, save_predictor
from paincast.predictor.model import Predictor
from paincast.predictor.route import answer_patients
from paincast.predictor.rows import ANSWERS, LISTS, PREDICTION_COLUMNS, SERVED_COLUMNS, make_abstentions

__all__ = [
    "ANSWERS",
    "LISTS",
    "MANIFEST",
    "PREDICTION_COLUMNS",
    "SERVED_COLUMNS",
    "Answers",
    "Predictor",
    "add_version",
    "answer_patients",
    "load_predictor",
    "make_abstentions",
    "save_predictor",
]
