"""The evidence shown: cards, listings, references, published rates."""
