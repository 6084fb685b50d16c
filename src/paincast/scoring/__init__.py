"""The scoring core: patients as arrays of numbers and codes in, numbers of a model and reasons out.

Nothing here imports pandas, scikit-learn, mlflow or shap. ``patients.py`` holds patients, ``linear.py`` what a linear
model answers (``linear_plain.py`` with numpy, ``linear_compiled.py`` compiled: the same operations in the same order),
``kinds/`` what models of every kind do, ``patterns.py`` finds rows that get the same words, ``reasons.py`` makes
columns of reasons.
"""
