"""The page of a plan that a patient can read: words, pictures and one self-contained HTML file."""
