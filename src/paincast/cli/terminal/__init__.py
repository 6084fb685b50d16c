"""What commands print: lines, tables, and how far they are."""
