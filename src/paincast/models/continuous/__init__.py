"""Models of a change in a number: conditional quantiles whose interval is conformalized."""
