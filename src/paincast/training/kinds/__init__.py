"""One trainer for each kind of outcome."""
