"""Models of a change in a score: conditional quantiles with a conformalized interval."""
