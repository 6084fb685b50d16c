"""Models of a binary outcome: learners, candidates, selection, partial pooling, the response itself."""
