"""The figures; ``report`` declares those of a model, ``axes`` holds what all of them share."""
