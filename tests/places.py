"""Short ways to write down places, and what became of items."""

import re

from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import Fate
from pipeline.dataflow.ports import Witness


def place(text):
    """The Locator that is shown as ``text``: a file, an element, a line, or an order that came a second time."""
    where, part = re.fullmatch(r"(?s)(.+?)(\[\d+\]|:\d+|#\d+)?", text).groups()
    return Locator(where, part or "")


async def deliver_all(source, items):
    """Tell ``source`` that these items are delivered."""
    await source.settle({item.locator: Fate.DELIVERED for item in items})


class Vouching(Witness):
    """Proves each record by its place; those in ``lost`` do not hold, of those in ``unproven`` there is no proof."""

    def __init__(self):
        self.lost, self.unproven, self.attends = set(), set(), False

    def attend(self):
        self.attends = True

    def take(self, locators):
        assert self.attends
        return [None if str(one) in self.unproven else str(one).encode() for one in locators]

    async def hold(self, proofs):
        return [proof if proof and proof.decode() not in self.lost else None for proof in proofs]
