"""``clients schema``: what CLIENTS_FILE may hold, for an editor."""

from pathlib import Path

import msgspec
from loguru import logger

from pipeline.cli.output import print_json, print_lines
from pipeline.cli.start import prepare
from pipeline.errors import WrongUsage
from pipeline.service.schema import schema_of_clients

__all__ = ["schema"]


def schema(*, out: Path | None = None) -> int:
    """Print what CLIENTS_FILE may hold, as JSON Schema (draft 4), which editors of TOML take.

    Args:
        out: Write it into this file instead.
    """
    prepare()
    made, untold = schema_of_clients()
    for line in untold:
        logger.warning("{}; anything goes in its options", line)
    if out is None:
        print_json(made)
        return 0
    try:
        out.write_bytes(msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n")
    except OSError as error:
        raise WrongUsage(f"{out} cannot be written: {error.strerror}") from error
    print_lines([f"written: {out}", f"name it in the first line of the file of clients: #:schema ./{out.name}"])
    return 0
