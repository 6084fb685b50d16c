"""The command that serves models over HTTP."""

from __future__ import annotations

from pathlib import Path

import click

from paincast.cli.registry import trusted_keys_option
from paincast.cli.terminal.printing import echo


@click.command()
@click.argument("models", nargs=-1)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Processes that answer, each with models.",
)
@click.option(
    "--refresh",
    default=5.0,
    show_default=True,
    type=click.FloatRange(0.1),
    metavar="SECONDS",
    help="How often MODELS are looked at for new versions.",
)
@trusted_keys_option
@click.option(
    "--token-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="File with the token that clients have to send. Default: the variable PAINCAST_TOKEN, or none.",
)
@click.option(
    "--audit",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Append a line of JSON for each request: counts, versions, codes; never an id or a value.",
)
@click.option(
    "--max-patients", default=1000, show_default=True, type=click.IntRange(1), help="Most patients of a request."
)
@click.option(
    "--max-bytes", default=5_000_000, show_default=True, type=click.IntRange(1), help="Most bytes of a request."
)
@click.option(
    "--max-waiting",
    default=100,
    show_default=True,
    type=click.IntRange(1),
    help="Most requests that wait; further ones are told to try again.",
)
@click.option(
    "--timeout",
    default=30.0,
    show_default=True,
    type=click.FloatRange(0.1),
    metavar="SECONDS",
    help="Longest time for a request to come, and for its answer.",
)
def serve(
    models: tuple[str, ...],
    host: str,
    port: int,
    workers: int,
    refresh: float,
    trusted_keys: Path | None,
    token_file: Path | None,
    audit: Path | None,
    max_patients: int,
    max_bytes: int,
    max_waiting: int,
    timeout: float,
) -> None:
    """Serve MODELS over HTTP: folders of models, or MLflow addresses; default: models.

    POST /predict answers for all techniques, outcomes and months, with the numbers, words and rejects of `paincast
    predict`; GET /models lists the models, /ready and /health are for probes, and /openapi.json describes all of it,
    column by column. Errors have a code and hold nothing of the request.

    In an address of an alias, * stands for any characters: models:/paincast.*@champion serves every champion of the
    registry of MLFLOW_TRACKING_URI. New versions are loaded beside the old and exchanged in one step; one that cannot
    be loaded leaves the old in service, and /ready says so.

    Only this machine is served unless --host says otherwise, which needs a token; clients send it as `Authorization:
    Bearer TOKEN`. The server speaks plain HTTP: encryption is the task of a proxy in front of it.

    SIGTERM and Ctrl-C let running requests finish.

    \b
    Examples:
      paincast serve
      paincast serve models --port 8080 --audit audit.jsonl
      paincast serve 'models:/paincast.*@champion' --trusted-keys public.pem
      PAINCAST_TOKEN=$(cat token) paincast serve --host 0.0.0.0 --workers 2
      curl localhost:8000/predict -H 'Content-Type: application/json' \\
        -d '{"patients": [{"indication": "lumbar_facet", "pain_nrs": 7, "age_years": 57}]}'

    \b
    Exit codes: 0 stopped; 1 a bug in paincast; 2 an error you can fix, such as a port in use.
    """  # noqa: D301
    from paincast.serving.rest.options import ServerOptions, read_token
    from paincast.serving.rest.server import serve as run_server

    options = ServerOptions(
        models=models or ("models",),
        host=host,
        port=port,
        workers=workers,
        refresh_seconds=refresh,
        trusted_keys=trusted_keys,
        token=read_token(token_file),
        audit=audit,
        max_patients=max_patients,
        max_bytes=max_bytes,
        max_waiting=max_waiting,
        timeout_seconds=timeout,
    )
    run_server(options, tell=lambda line: echo(line, err=True))
