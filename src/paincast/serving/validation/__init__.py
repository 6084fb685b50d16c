"""External validation: saved models on other patients, what these say of them, and models updated by them."""
