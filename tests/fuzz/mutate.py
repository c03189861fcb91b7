"""Mutations of seeds, from a number: what the fuzzer does where no coverage guides it."""

from collections.abc import Sequence
from random import Random
from typing import Final

from tests.fuzz.given import TEXTS

MOST: Final = 8192
"""Bytes of an input."""

TOKENS: Final = (
    *(text.encode("utf-8", "surrogatepass") for text in TEXTS),
    *(b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\x00", b"\xef\xbb\xbf", b"\xff\xfe", b"\x1f\x8b\x08"),
    *(
        b'"',
        b'""',
        b",",
        b":",
        b"[",
        b"]",
        b"{}",
        b"[]",
        b'{"',
        b'":',
        b"\\ud800",
        b"\\u0000",
        b"1e999",
        b"-",
        b"0" * 400,
    ),
    *(b"&#" + b"9" * 4400 + b";", b"0." + b"0" * 4400, b"&amp;" * 300),
    *(b"[" * 600, b'{"a":' * 600, b";", b"\t", b"|", b"\r", b"=", b"<", b">", b'rel="next"', b"\\"),
)
"""Bytes that mean something to a parser."""


def mutated(seeds: Sequence[bytes], random: Random) -> bytes:
    """One of ``seeds``, changed a few times."""
    data = bytearray(random.choice(seeds))
    for _ in range(1 + random.getrandbits(2)):
        at = random.randint(0, len(data))
        end = min(len(data), at + random.randint(1, 16))
        match random.getrandbits(3):
            case 0 | 1:
                data[at:at] = random.choice(TOKENS)
            case 2:
                data[at:end] = random.choice(TOKENS)
            case 3:
                del data[at:end]
            case 4:
                data[at:at] = data[at:end] * random.choice((1, 2, 50))
            case 5 if at < len(data):
                data[at] = random.getrandbits(8)
            case 6 if at < len(data):
                data[at] ^= 1 << random.getrandbits(3) % 8
            case _:
                other = random.choice(seeds)
                data[at:] = other[random.randint(0, len(other)) :]
    return bytes(data[:MOST])
