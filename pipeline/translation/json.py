"""JSON as the layouts meet it: read with the position of what is malformed, written for people and programs."""

import re
from codecs import BOM_UTF8
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from pipeline.errors import Reason, Rejected
from pipeline.translation.foreign import foreign
from pipeline.translation.times import format_time

__all__ = ["dump", "encode", "load"]

T = TypeVar("T")

_POSITION: Final = re.compile(r"\s*\(byte ([0-9]+)\)")


def load(raw: bytes, decoder: "msgspec.json.Decoder[T]") -> T:
    """What ``raw`` says; raises Rejected with the byte offset of what is malformed.

    A byte-order mark at the beginning is ignored, as RFC 8259 (8.1) allows.
    """
    if not raw.startswith(BOM_UTF8):
        return _decode(raw, decoder)
    try:
        return _decode(raw.removeprefix(BOM_UTF8), decoder)
    except Rejected as error:
        raise Rejected(*(_behind_mark(reason) for reason in error.reasons)) from None


def dump(data: Mapping[str, Any]) -> bytes:
    """``data`` as JSON bytes: its keys in their order, two spaces, a newline at the end."""
    return msgspec.json.format(msgspec.json.encode(data), indent=2) + b"\n"


def encode(struct: Struct) -> bytes:
    """A Struct as compact JSON, its own times in the house's form."""
    said = msgspec.to_builtins(struct, builtin_types=(datetime,))
    times = {key: format_time(value) for key, value in said.items() if isinstance(value, datetime)}
    return msgspec.json.encode(said | times)


def _decode(raw: bytes, decoder: "msgspec.json.Decoder[T]") -> T:
    try:
        return decoder.decode(raw)
    except UnicodeDecodeError:
        what = foreign(raw)
        raise Rejected(Reason(what or "not UTF-8", offset=0 if what else _first_not_utf8(raw))) from None
    except RecursionError:
        raise Rejected("not usable JSON: nested too deep") from None
    except msgspec.ValidationError as error:
        raise Rejected(Reason(str(error))) from None
    except msgspec.DecodeError as error:
        raise Rejected(_malformed(raw, str(error))) from None


def _behind_mark(reason: Reason) -> Reason:
    return replace(reason, offset=None if reason.offset is None else reason.offset + len(BOM_UTF8))


def _first_not_utf8(raw: bytes) -> int | None:
    try:
        raw.decode()
    except UnicodeDecodeError as error:  # the decoder counts from the beginning of the text it is in
        return error.start
    return None


def _malformed(raw: bytes, message: str) -> Reason:
    if not raw.strip():
        return Reason("empty: expected a JSON object")
    if what := foreign(raw):
        return Reason(f"not JSON: {what}", offset=0)
    position = _POSITION.search(message)
    what = _POSITION.sub("", message).removeprefix("JSON is malformed: ")
    if position is None:
        return Reason(f"not JSON: {what[:1].lower()}{what[1:]}", offset=len(raw))
    return Reason(f"not JSON: {what} at byte {position[1]}", offset=int(position[1]))
