"""Published evidence and local patients together: the steps between the one and the other."""
