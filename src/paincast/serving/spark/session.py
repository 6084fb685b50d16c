"""Start Spark, where it can be, and use the session that is there."""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from paincast.errors import SettingsError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LOCAL_MASTER = "local[*,4]"
"""This machine, where no other master is configured; a task is tried four times, as on a cluster."""

_QUIET = {"spark.log.level": "ERROR", "spark.ui.showConsoleProgress": "false"}
_LOGGED = {
    "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.properties')}"
}
_LOCAL = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
}


def require_spark() -> None:
    """Refuse to go on without pyspark or Java.

    Raises
    ------
    SettingsError
        If either is missing.
    """
    if find_spec("pyspark") is None:
        raise SettingsError(
            "--engine spark needs pyspark: pip install 'paincast[spark]'; without, leave out --engine",
            code="PC-SPARK-01",
        )
    home = os.environ.get("JAVA_HOME")
    if not (shutil.which("java") or (home and (Path(home) / "bin" / "java").is_file())):
        raise SettingsError(
            "--engine spark needs Java 17 or newer: install it, or set JAVA_HOME; without, leave out --engine",
            code="PC-SPARK-02",
        )


@contextmanager
def hold_session(master: str | None) -> Iterator[SparkSession]:
    """Use the active session, or start one that ends with the block.

    Parameters
    ----------
    master : str, optional
        Address of the master; by default as Spark is configured, and this machine if it is not.

    Raises
    ------
    SettingsError
        If Spark does not start.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of versions of pandas whose data frames are not used here
        from pyspark.sql import SparkSession

        active = SparkSession.getActiveSession()
        session = active or _start(master)
    try:
        yield session
    finally:
        if active is None:
            session.stop()


def _start(master: str | None) -> SparkSession:
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    settings = dict(_QUIET)
    if not _is_configured():
        settings |= _LOGGED if master else {**_LOGGED, **_LOCAL}
        master = master or LOCAL_MASTER
    builder = SparkSession.builder.appName("paincast predict")
    for name, value in settings.items():
        builder = builder.config(name, value)
    try:
        return (builder.master(master) if master else builder).getOrCreate()
    except Exception as error:  # of Java or of the gateway: what is wrong stands in the log of Spark
        raise SettingsError(
            f"Spark did not start with the master {master or 'that is configured'} ({type(error).__name__}); see its "
            "messages above, and check address and Java",
            code="PC-SPARK-03",
        ) from error


def _is_configured() -> bool:
    """Whether a master is given by spark-submit, the environment or the defaults of Spark."""
    if "PYSPARK_GATEWAY_PORT" in os.environ or "MASTER" in os.environ:
        return True
    if "--master" in os.environ.get("PYSPARK_SUBMIT_ARGS", ""):
        return True
    home = os.environ.get("SPARK_HOME")
    folder = os.environ.get("SPARK_CONF_DIR") or (home and f"{home}/conf")
    defaults = Path(folder) / "spark-defaults.conf" if folder else None
    return defaults is not None and defaults.is_file() and "spark.master" in defaults.read_text(encoding="utf-8")
