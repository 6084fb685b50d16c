"""What the values of a column look like, what its codes mean, and whether both fit its name."""
