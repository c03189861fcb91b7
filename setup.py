"""Write sample work orders, into TracOS and into the inbound folder: ``python setup.py``.

This is no setuptools script. What is there already is left alone, so that a second run changes nothing. Samples go into
a MongoDB that is not embedded only when somebody says so.
"""

import argparse
import os
import random
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Any

from pipeline.cli.asking import is_somebody_there, is_yes
from pipeline.cli.started import begun_by, beside
from pipeline.errors import Fatal, WrongUsage
from pipeline.orders.workorder import Status
from pipeline.service.samples import BAD, BEGIN, INBOUND, TRACOS, write_samples
from pipeline.service.settings import Settings, load
from pipeline.tracos.address import read_address
from pipeline.tracos.embedded import embedded_mongod
from pipeline.tracos.planting import plant
from pipeline.translation import flag_order, status_order
from pipeline.translation.times import format_time

FLAG_OF, WORD_OF = flag_order.TABLE.status.word_of, status_order.TABLE.status.word_of

BULK_NUMBERS = 100_000
SUBJECTS = ("Pump", "Valve", "Conveyor", "Compressor", "Boiler", "Press")
WORK = ("Grease the bearing", "Replace the seal", "Check the vibration", "Calibrate the sensor", "Clean the filter")

Order = dict[str, Any]


def bulk(orders: int, seed: int) -> tuple[Iterator[tuple[str, Any]], Iterator[Order]]:
    """``orders`` files and as many documents, of which half have a number in common."""
    client, tracos = random.Random(seed), random.Random(seed + 1)
    first = BULK_NUMBERS + orders // 2
    files = ((f"order-{number}.json", _client_order(number, client)) for number in _numbers(BULK_NUMBERS, orders))
    return files, (_tracos_order(number, tracos) for number in _numbers(first, orders))


def _numbers(first: int, count: int) -> range:
    return range(first, first + count)


def _client_order(number: int, chance: random.Random) -> Order:
    created = BEGIN + timedelta(minutes=chance.randrange(10_000))
    updated = created + timedelta(minutes=chance.randrange(10_000))
    status, title = chance.choice(list(Status)), f"{chance.choice(SUBJECTS)} {number}"
    if chance.random() < 0.5:
        order = {"orderNo": number, FLAG_OF[status]: True, "summary": title}
        return order | {"creationDate": format_time(created), "lastUpdateDate": format_time(updated)}
    order = {"id": number, "status": WORD_OF[status], "title": title, "description": chance.choice(WORK)}
    return order | {"createdAt": format_time(created), "updatedAt": format_time(updated)}


def _tracos_order(number: int, chance: random.Random) -> Order:
    created = BEGIN + timedelta(minutes=chance.randrange(10_000))
    updated = created + timedelta(minutes=chance.randrange(10_000))
    as_text = chance.random() < 0.5
    return {
        "number": number,
        "title": f"{chance.choice(SUBJECTS)} {number}",
        "description": chance.choice(WORK),
        "status": chance.choice(list(Status)).value,
        "createdAt": format_time(created) if as_text else created,
        "updatedAt": format_time(updated) if as_text else updated,
        "deleted": False,
        "isSynced": False,
    }


def see_meant(settings: Settings, *, yes: bool) -> None:
    """See that samples are meant to go into a MongoDB that may hold real orders; raises WrongUsage."""
    if settings.mongo_uri is None or yes:
        return
    place = f"{read_address(settings.mongo_uri).shown}/{settings.database}.{settings.mongo_collection}"
    if not is_somebody_there():
        raise WrongUsage(
            f"{place} is no embedded MongoDB, and nobody is there to be asked: --yes writes samples into it"
        )
    if not is_yes(f"write sample orders into {place}?"):
        raise WrongUsage("nothing was written")


def main() -> int:
    """Write the samples; returns the exit code."""
    parser = argparse.ArgumentParser(description="Write sample work orders into TracOS and into the inbound folder.")
    parser.add_argument("--orders", type=int, default=0, help="write this many more on each side")
    parser.add_argument("--seed", type=int, default=1, help="of the orders that --orders writes")
    parser.add_argument("--yes", action="store_true", help="into a MongoDB that is not embedded too, without asking")
    options = parser.parse_args()
    more_files, more_documents = bulk(options.orders, options.seed)
    try:
        settings = load(os.environ, Path(".env"))
        see_meant(settings, yes=options.yes)
        files = write_samples(settings.data_inbound_dir, chain(INBOUND.items(), BAD.items(), more_files))
        mongo = embedded_mongod(settings.data_mongo_dir, binary=settings.mongod_bin)
        with nullcontext(settings.mongo_uri) if settings.mongo_uri else mongo as uri:
            documents = plant(uri, settings.database, settings.mongo_collection, chain(TRACOS, more_documents))
    except Fatal as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"{documents:,} new work orders in TracOS ({settings.database}.{settings.mongo_collection})")
    print(f"{files:,} new files in {settings.data_inbound_dir}" + (", three of them bad on purpose" if files else ""))
    begun_by(sys.orig_argv, sys.argv[1:])
    print(f"next: {beside('src/main.py')}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
