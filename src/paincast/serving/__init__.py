"""Saved models at work: predictions, batches of files, MLflow addresses, evaluation on other cohorts.

``predict.py`` loads models and answers patients in memory, ``batch.py`` files of them. ``evaluate.py`` evaluates models
on a cohort that they were not trained on (``external.py``: metrics and flow; ``calibration.py``: curves),
``comparison.py`` compares two of them on the same rows, and ``overlap.py`` finds patients that a model has seen.
``addresses.py`` knows where MLflow keeps a model, ``pyfunc.py`` is what MLflow serves. Only what predicts is exported
here: evaluation takes longer to import.
"""

from paincast.serving.predict import load_model, load_models, predict

__all__ = ["load_model", "load_models", "predict"]
