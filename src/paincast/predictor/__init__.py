"""The bundle: one model and all it needs to predict, explain and abstain.

``model.py`` is the :class:`Predictor`, ``route.py`` the one way from a table of patients to answers, ``rows.py`` the
columns of predictions, ``bundle.py`` the folder in which a predictor is kept, ``card.py`` how it is shown.
"""

from paincast.predictor.bundle import MANIFEST, add_version, load_predictor, save_predictor
from paincast.predictor.model import Predictor
from paincast.predictor.route import answer_patients
from paincast.predictor.rows import ANSWERS, PREDICTION_COLUMNS, make_abstentions

__all__ = [
    "ANSWERS",
    "MANIFEST",
    "PREDICTION_COLUMNS",
    "Predictor",
    "add_version",
    "answer_patients",
    "load_predictor",
    "make_abstentions",
    "save_predictor",
]
