"""Response models by kind of outcome: how they are fitted, applied and stored.

``binary`` models yes/no outcomes, ``survival`` durations and ``continuous`` changes in a score; ``calibration`` maps
log odds to calibrated log odds, and ``updating`` weighs published evidence against local patients. Further modules:
``estimator`` (the binary model as a scikit-learn classifier), ``observation_weights`` (loss to follow-up), ``domain``
(applicability domain), ``serialization`` (a response as plain data) and ``release`` (rounding for disclosure control).
"""
