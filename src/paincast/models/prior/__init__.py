"""Evidence as a prior: published evidence and patients in one logistic model with a number of real patients."""
