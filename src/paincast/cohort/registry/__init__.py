"""Import registry exports: suggest, load and apply column mappings, and download published data sets."""
