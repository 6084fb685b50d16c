"""Effects of one technique against another: target trials on a cohort, with diagnostics before any contrast."""
