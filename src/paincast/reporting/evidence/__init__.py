"""The evidence: protocol cards, lists, references and published rates."""
