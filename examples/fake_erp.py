"""A fake ERP to try an API client on: ``python examples/fake_erp.py [--orders 20] [--faults 0.05]``; Ctrl-C ends it.

It prints the settings that lead to it. Edit an order there with, say,
``curl -X PATCH -d '{"status": "DONE"}' http://127.0.0.1:PORT/orders/3``.
"""

import argparse
import time
from contextlib import suppress

from pipeline.testing import FakeErp, Faults

SETTINGS = """\
[clients.fake]
kind = "rest_json"
url = "{url}"
items = "items"
page = "cursor"
next = "cursor"
since_param = "updated_since"
etag = "_etag"
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="A fake ERP on a port of this machine.")
    parser.add_argument("--orders", type=int, default=20)
    parser.add_argument("--faults", type=float, default=0.0, help="the share of answers that go wrong")
    parser.add_argument("--port", type=int, default=0)
    said = parser.parse_args()
    with FakeErp(faults=Faults(said.faults), port=said.port) as erp, suppress(KeyboardInterrupt):
        for number in range(said.orders):
            erp.put({"id": number, "status": "NEW", "title": f"Order {number}", "createdAt": "2026-10-01T08:00:00Z"})
        print("# clients.toml; then: CLIENTS_FILE=clients.toml python src/main.py")
        print(SETTINGS.format(url=erp.url), flush=True)
        while True:
            time.sleep(1)


if __name__ == "__main__":
    main()
