"""The code of a model in MLflow, which is loaded without pickle.

MLflow copies this file next to the bundle and executes it; do not import it. A copy outlives the version it is of, and
the name that it imports stays.
"""

from mlflow.models import set_model

from paincast.serving.mlflow_server.served import ServedPredictor

set_model(ServedPredictor())
