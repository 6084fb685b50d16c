"""Have the machines of a Spark cluster make the parts of a batch prediction.

What goes to the workers is what makes a part and the names of row groups, never a row: workers read, predict and write
by themselves (``worker.py``), in a file system that all machines share. ``engine.py`` hands the work out and gathers
the parts; ``session.py`` starts Spark. The rest is done as without Spark: parts, manifest and output are the same.
"""

from paincast.serving.spark.engine import SparkEngine

__all__ = ["SparkEngine"]
