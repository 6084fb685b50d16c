"""Decode delimited text (CSV, TSV): encoding, separator, header, and rows block by block."""
