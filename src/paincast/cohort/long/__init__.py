"""Long tables: a name, a value and a date in each row, of persons whose procedures stand elsewhere."""
