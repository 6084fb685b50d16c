"""The columns of the contract by the names that registries give them, and how a name is matched to them."""
