"""What stands beside a bundle in MLflow, so that anyone's tools can serve it.

``signature.py`` declares what goes in and comes out, ``example.py`` invents patients to try it with, and ``wheel.py``
has the package itself travel with the model, with the requirements by which it is installed; ``log_served.py`` logs
all of it.
"""
