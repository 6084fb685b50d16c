"""Models of a change in a number, with conformal quantiles."""
