"""Response models, by kind of outcome, as a training fits them and a bundle holds them.

``binary`` answers yes or no, ``survival`` how long, ``continuous`` by how much; ``calibration`` maps log odds to
calibrated ones, ``updating`` weighs published evidence against local patients. Beside them: ``estimator`` (the binary
model as a scikit-learn classifier), ``observation_weights`` (loss to follow-up), ``domain`` (who is unlike the training
cohort), ``serialization`` and ``release`` (a response as plain data, and what disclosure control rounds in it).
"""
