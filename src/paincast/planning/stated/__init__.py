"""Read what is stated for a plan: prices, the weights of a patient or clinic, and a comparison of techniques.

``values.py`` holds the limits of numbers and texts; ``prices.py`` and ``weights.py`` read a file each.
``comparison.py`` reads a comparison, ``result.py`` checks it, and ``contrast.py`` holds it against the patient.
"""

from paincast.planning.stated.comparison import read_contrast
from paincast.planning.stated.contrast import NO_CONTRAST, Contrast
from paincast.planning.stated.prices import Price, read_prices
from paincast.planning.stated.weights import read_weights

__all__ = ["NO_CONTRAST", "Contrast", "Price", "read_contrast", "read_prices", "read_weights"]
