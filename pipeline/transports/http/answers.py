"""What an API answered: read within bounds, unpacked, in UTF-8; and what it is where it is not what was asked for."""

import codecs
import html
import re
import zlib
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

import httpx
from msgspec import Struct

from pipeline.errors import Fatal, See
from pipeline.transports.http.headers import http_date

__all__ = ["ANSWER_BYTES", "Answer", "one_line", "read_answer", "saved_answer"]

ANSWER_BYTES: Final = 64 * 1024 * 1024
"""Of a page, unpacked."""

ERROR_BYTES: Final = 256 * 1024
"""What is read of an answer that is no success: enough for any reason."""

TITLE_CHARACTERS: Final = 80
CHARSET_CHARACTERS: Final = 40

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins like the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_HTML: Final = re.compile(
    rb"\s*(?:<!--.{0,1000}?-->\s*)*<(?:!doctype\s+html|html|head|body)[\s>]", re.IGNORECASE | re.DOTALL
)
_XML: Final = re.compile(rb"\s*<(?:\?xml\b|[A-Za-z_])")
_CHARSET: Final = re.compile(r"""charset\s*=\s*["']?([^\s"';,]+)""", re.IGNORECASE)
_TITLE: Final = re.compile(rb"<title[^>]{0,200}>(.{0,500}?)</title", re.IGNORECASE | re.DOTALL)


class Answer(Struct, frozen=True):
    """What the API answered, its body in UTF-8; ``is_cut``: that is not all of it, because it is too long."""

    status: int
    headers: httpx.Headers
    body: bytes
    is_cut: bool = False

    @property
    def is_success(self) -> bool:
        """Whether it says that it did what was asked."""
        return httpx.codes.is_success(self.status)

    @property
    def is_redirect(self) -> bool:
        """Whether it says that what was asked for is elsewhere."""
        return httpx.codes.is_redirect(self.status)

    @property
    def date(self) -> datetime | None:
        """The server's own clock, where it tells it."""
        return http_date(self.headers.get("Date"))

    @property
    def page_title(self) -> str | None:
        """The title of the page for people that it is; None where it is none."""
        if not self.body.strip() or _HTML.match(self.body) is None:
            return None
        title = _TITLE.search(self.body)
        return one_line(html.unescape(title[1].decode(errors="replace")), TITLE_CHARACTERS) if title else ""

    @property
    def kind(self) -> str:
        """What it is, in words: nothing, an HTML page with its title, XML, text."""
        if not self.body.strip():
            return "nothing"
        title = self.page_title
        if title is not None:
            return f"an HTML page ({title})" if title else "an HTML page"
        if _XML.match(self.body):
            return "XML"
        charset = _charset(self.headers.get("Content-Type", ""))
        try:
            self.body.decode()
        except UnicodeDecodeError:
            return f"text that is no {charset}" if charset else "text that is no UTF-8, and names no other charset"
        return "text"

    @property
    def moved_to(self) -> str:
        """Where a redirect leads to, without the query, which may hold what is nobody's business."""
        try:
            parts = urlsplit(self.headers.get("Location", ""))
        except ValueError:
            return "an address that is none"
        origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else ""
        return one_line(origin + parts.path, 200) or "no address"


def one_line(said: str, most: int) -> str:
    """``said`` for a log: blanks for what cannot be printed, no longer than ``most`` characters."""
    return " ".join("".join(one if one.isprintable() else " " for one in said).split())[:most]


async def read_answer(response: httpx.Response, most: int = ANSWER_BYTES) -> Answer:
    """The whole answer, or its first ``most`` bytes, and never more than that in memory.

    Raises httpx.DecodingError where it breaks off in the middle of what was packed.
    """
    if not response.is_success:
        most = min(most, ERROR_BYTES)
    unpacker = _Unpacker(response.headers.get("Content-Encoding", ""), response.url.host)
    body = bytearray()
    async for part in response.aiter_raw():
        body += unpacker.unpack(part, most + 1 - len(body))
        if len(body) > most:
            break
    else:
        unpacker.end()
    is_cut = len(body) > most
    content = _utf8(
        bytes(body[:most]), response.headers.get("Content-Type", ""), errors="ignore" if is_cut else "strict"
    )
    return Answer(response.status_code, response.headers, content, is_cut)


def saved_answer(body: bytes) -> Answer:
    """The answer whose unpacked body somebody has saved, of at most ``ANSWER_BYTES``: a success; more of it is cut."""
    is_cut = len(body) > ANSWER_BYTES
    content = _utf8(body[:ANSWER_BYTES], "", errors="ignore" if is_cut else "strict")
    return Answer(200, httpx.Headers(), content, is_cut)


class _Unpacker:
    """Unpacks gzip (and zlib) a bounded piece at a time: a small answer can hold gigabytes."""

    def __init__(self, coding: str, host: str) -> None:
        coding = coding.strip().lower()
        if coding not in {"", "identity", "gzip", "x-gzip", "deflate"}:
            raise Fatal(
                f"{host} packs its answers as {one_line(coding, 20)}, which was not asked for: see headers",
                see=See.API_ANSWERS,
            )
        self._stream = zlib.decompressobj(47) if coding not in {"", "identity"} else None  # 47: finds out which
        self._began = False

    def unpack(self, part: bytes, room: int) -> bytes:
        """What ``part`` holds, at most ``room`` bytes."""
        if self._stream is None:
            return part[:room]
        self._began |= bool(part)
        found = b""
        try:
            while part and len(found) < room:
                if self._stream.eof:
                    self._stream = zlib.decompressobj(47)  # gzip may come in several members
                found += self._stream.decompress(part, room - len(found))
                part = self._stream.unused_data
        except zlib.error as error:
            raise httpx.DecodingError("is packed wrongly") from error
        return found

    def end(self) -> None:
        """Nothing more comes."""
        if self._stream is not None and self._began and not self._stream.eof:
            raise httpx.DecodingError("breaks off in the middle")


def _utf8(body: bytes, content_type: str, errors: str) -> bytes:
    """``body`` in UTF-8 and without a byte-order mark, which RFC 8259 (8.1) lets a reader ignore.

    JSON is UTF-8 whatever the header says, unless it is no UTF-8 and the header names what it is. What cannot be
    decoded stays as it is.
    """
    for mark, codec in _MARKS:
        if body.startswith(mark):
            return _recoded(body[len(mark) :], codec, errors)
    if body[1:2] == b"\0" or body[:1] == b"\0":
        return _recoded(body, "utf-16-le" if body[1:2] == b"\0" else "utf-16-be", errors)
    charset = _charset(content_type)
    if charset is None or charset in {"utf-8", "utf8"}:
        return body  # whatever is wrong in it concerns one order
    try:
        body.decode()
    except UnicodeDecodeError:
        return _recoded(body, charset, errors)
    return body


def _recoded(body: bytes, codec: str, errors: str) -> bytes:
    if codec == "utf-8":
        return body
    try:
        return body.decode(codec, errors).encode()
    except (LookupError, ValueError):
        return body


def _charset(content_type: str) -> str | None:
    named = _CHARSET.search(content_type)
    return one_line(named[1].lower(), CHARSET_CHARACTERS) if named else None
