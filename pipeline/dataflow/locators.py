"""Where in a source an item came from: a value that the source makes, and that is shown as text at the edges alone."""

from msgspec import Struct
from msgspec.structs import force_setattr

__all__ = ["Locator"]


class Locator(Struct, frozen=True, order=True, gc=False):
    """A place, and a part of it: ``a.json``, ``a.json[3]`` (an array's element), ``a.ndjson:12`` (a line, from 1).

    Unique in its source. Nobody takes its text apart: an order's id may hold every sign that parts are written with.
    Always valid UTF-8: what is none is percent-encoded.
    """

    place: str
    """A file's name, an order's id: what a person would look for."""
    part: str = ""
    """As it is written behind the place; empty: all of it."""

    def __post_init__(self) -> None:
        """See that the text can be written anywhere."""
        if not self.place.isascii():
            force_setattr(self, "place", _valid(self.place))
        if not self.part.isascii():
            force_setattr(self, "part", _valid(self.part))

    def __str__(self) -> str:
        return self.place + self.part

    @property
    def whole(self) -> "Locator":
        """The place alone."""
        return Locator(self.place) if self.part else self


def _valid(text: str) -> str:
    """``text`` itself, or, where UTF-8 cannot hold it, with what is in the way percent-encoded."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join(map(_encoded, text))
    return text


def _encoded(one: str) -> str:
    """A byte that was no UTF-8 (PEP 383) as that byte, another lone surrogate as its three."""
    if not "\ud800" <= one <= "\udfff":
        return one
    how = "surrogateescape" if "\udc80" <= one <= "\udcff" else "surrogatepass"
    return "".join(f"%{byte:02X}" for byte in one.encode(errors=how))
