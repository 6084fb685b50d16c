"""Commands for choosing among techniques: comparisons of what they add over one another."""
