"""A client one of whose records ends the process that parses it, where POISONED is set."""

import os
import signal

from pipeline.clients import erp_json
from pipeline.clients.wrapped import WrappedClient


class Poisoned(WrappedClient):
    def source(self, witness):
        return self.client.source(witness)

    def sink(self):
        return self.client.sink()

    def parse(self, raw):
        if b"poison" in raw and os.environ.get("POISONED"):
            os.kill(os.getpid(), signal.SIGKILL)
        return self.client.parse(raw)


def connect(settings):
    return Poisoned(erp_json.connect(settings))
