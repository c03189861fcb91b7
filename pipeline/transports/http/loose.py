"""JSON taken apart by its brackets and texts alone: one odd value in a page costs its own order, not the page; pure.

For what a strict decoder refuses as a whole: NaN, a tab or a lone surrogate in a text, an order nested too deep. Each
piece keeps its original bytes, and is judged by itself.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

__all__ = ["array_of", "object_of"]

_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["\[\]{}:,]', re.DOTALL)
_PAIRS: Final = {b"{": b"}", b"[": b"]"}


def object_of(data: bytes) -> Mapping[str, bytes]:
    """The members of an object; raises ValueError where its brackets do not close."""
    members = {}
    for piece in _pieces(data, b"{"):
        key = _TOKEN.match(piece)
        colon = _TOKEN.search(piece, key.end()) if key is not None else None
        if key is None or colon is None or colon[0] != b":":
            raise ValueError("no object")
        members[_text(key[0])] = piece[colon.end() :].strip()
    return members


def array_of(data: bytes) -> Sequence[bytes]:
    """The elements of an array; raises ValueError where its brackets do not close."""
    return list(_pieces(data, b"["))


def _pieces(data: bytes, opening: bytes) -> Iterator[bytes]:
    """What lies between the commas of the outermost brackets, which have to be ``opening`` and its other half."""
    data = data.strip()
    if data[:1] != opening:
        raise ValueError("other brackets")
    expected: list[bytes] = []
    begin = 1
    for token in _TOKEN.finditer(data):
        sign = token[0]
        if sign == b'"':
            raise ValueError("a text without an end")
        if sign in _PAIRS:
            expected.append(_PAIRS[sign])
        elif sign in _PAIRS.values():
            if not expected or expected.pop() != sign:
                raise ValueError("brackets that do not match")
            if not expected:
                piece = data[begin : token.start()].strip()
                if piece:
                    yield piece
                if token.end() != len(data):
                    raise ValueError("something after the end")
                return
        elif sign == b"," and len(expected) == 1:
            yield data[begin : token.start()].strip()
            begin = token.end()
    raise ValueError("brackets that do not close")


def _text(key: bytes) -> str:
    try:
        return str(msgspec.json.decode(key, type=str))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return key.decode(errors="replace")
