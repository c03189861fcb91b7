"""Whether bytes that nobody understands name an order; pure."""

import re
from collections.abc import Callable, Collection
from typing import Final

from pipeline.orders.workorder import ExternalId

__all__ = ["naming"]

_BEFORE: Final = rb'\\?"(?:%s)\\?"\s*:\s*(?:\\?")?'
"""A key of JSON and what follows it, also inside of a text of JSON."""
_AFTER: Final = rb"(?![\w.-])"


def naming(keys: Collection[str], ids: Collection[ExternalId]) -> Callable[[bytes], bool]:
    """Whether there is JSON, however broken, in which one of ``ids`` stands at one of ``keys``: the last of a path."""
    named = sorted({key.rpartition(".")[2] for key in keys})
    texts = sorted(str(one).encode(errors="surrogatepass") for one in ids)
    before = _BEFORE % b"|".join(re.escape(key.encode()) for key in named)
    pattern = re.compile(before + b"(?:" + b"|".join(map(re.escape, texts)) + b")" + _AFTER)
    return lambda body: bool(texts) and pattern.search(body) is not None
