"""Predict for files of patients: parts that survive an interrupted run, and one output that is written at the end.

``run.py`` drives; ``scoring.py`` is the one place where a batch of patients becomes answers. ``parts.py`` keeps what is
finished, ``plan.py`` says what it was made from, ``ids.py`` finds ids of earlier batches, ``tally.py`` counts,
``output.py`` writes the tables and ``summary.py`` the summary beside them. ``predictions.py`` reads predictions back.
"""

from paincast.predictor.rows import PREDICTION_SCHEMA
from paincast.serving.batch.output import SUFFIXES
from paincast.serving.batch.predictions import read_predictions
from paincast.serving.batch.run import CHUNK_ROWS, PART_ROWS, predict_file
from paincast.serving.batch.summary import BatchSummary

__all__ = [
    "CHUNK_ROWS",
    "PART_ROWS",
    "PREDICTION_SCHEMA",
    "SUFFIXES",
    "BatchSummary",
    "predict_file",
    "read_predictions",
]
