"""Statistical disclosure control: what may be told of real patients in tables, figures, captions and text."""
