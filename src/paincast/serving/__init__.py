"""Use saved models: predict for patients or files, load from MLflow addresses, evaluate and compare on other cohorts.

``predict.py`` loads models and predicts in memory, ``batch.py`` predicts for files; ``asked.py`` decides what is asked
of whom, ``layout.py`` arranges the answers. ``evaluate.py`` evaluates models on
a cohort that they were not trained on (``external.py``: metrics and flow; ``calibration.py``: curves),
``comparison.py`` compares two models on the same rows, and ``overlap.py`` finds patients that a model was trained on.
``addresses.py`` loads models from MLflow; ``pyfunc.py`` is the model that MLflow serves, behind what
``mlflow_server/`` puts in the place of MLflow's own reading; ``rest/`` serves models over HTTP, and ``spark/`` has a
cluster make the parts of a batch. Only prediction is exported here, because evaluation takes longer to import.
"""

from paincast.serving.predict import load_model, load_models, predict

__all__ = ["load_model", "load_models", "predict"]
