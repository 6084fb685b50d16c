"""A PostgreSQL server of the tests' own, where the machine has the program."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROLE = "paincast"
PASSWORD = "of the tests"
SERVICE_USERS = ("postgres", "nobody")
START_SECONDS = 60.0


@dataclass(frozen=True)
class Server:
    """A running server; the password stands in the environment, as `libpq` reads it, and in no address."""

    port: int

    @property
    def environment(self) -> dict[str, str]:
        return {"PGPASSWORD": PASSWORD}

    def address(self, database: str) -> str:
        return f"postgresql+psycopg://{ROLE}@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        """Create an empty database and give its address."""
        with closing(self.connect()) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.address(name)

    def connect(self):
        import psycopg

        place = {"host": "127.0.0.1", "port": self.port, "user": ROLE, "password": PASSWORD, "dbname": "postgres"}
        return psycopg.connect(**place, autocommit=True)


def find_programs() -> Path | None:
    """Find the folder that holds `initdb` and `postgres`; the newest where a machine has several."""
    installed = Path("/usr/lib/postgresql")
    versions = sorted(installed.glob("[0-9]*/bin"), key=lambda folder: float(folder.parent.name), reverse=True)
    found = shutil.which("postgres")
    folders = [*([Path(found).resolve().parent] if found else []), *versions]
    return next((one for one in folders if (one / "postgres").is_file() and (one / "initdb").is_file()), None)


def find_user() -> str | None:
    """Find whom to run as; `postgres` refuses to run as root. Empty means as oneself, None that there is nobody."""
    if os.geteuid() != 0:
        return ""
    import pwd

    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in SERVICE_USERS if name in known), None)


@contextmanager
def run_server(programs: Path, user: str) -> Iterator[Server]:
    """Run a server in a folder of its own on a free port of this machine, until the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="paincast-postgres-"))
    try:
        (folder / "password").write_text(PASSWORD)
        if user:
            for path in (folder, folder / "password"):
                shutil.chown(path, user)
        run_as = {"user": user, "group": _group_of(user), "extra_groups": []} if user else {}
        options = ["--auth=scram-sha-256", f"--username={ROLE}", f"--pwfile={folder / 'password'}", "--no-sync"]
        made = subprocess.run(
            [programs / "initdb", f"--pgdata={folder / 'data'}", "--encoding=UTF8", "--locale=C", *options],
            **{**run_as, "cwd": folder, "capture_output": True, "text": True, "check": False},
        )
        assert made.returncode == 0, made.stderr
        port = _find_free_port()
        settings = [f"port={port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={folder}", "fsync=off"]
        with (
            (folder / "log").open("w") as log,
            subprocess.Popen(
                [programs / "postgres", "-D", folder / "data", *(part for one in settings for part in ("-c", one))],
                **{**run_as, "cwd": folder, "stdout": log, "stderr": subprocess.STDOUT},
            ) as process,
        ):
            try:
                server = Server(port)
                _await(server, process, folder / "log")
                yield server
            finally:
                process.send_signal(signal.SIGINT)  # the fast way out: SIGTERM would wait for every client to leave
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _group_of(user: str) -> int:
    import pwd

    return pwd.getpwnam(user).pw_gid


def _find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    import psycopg

    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            server.connect().close()
        except psycopg.OperationalError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        else:
            return
