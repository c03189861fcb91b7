"""Values: what people type, what the ERP makes of it, and how it is known again; and what must never be."""

from datetime import datetime

from tests.simulation.steps import Setting


class Wrong(Exception):
    """What must never be."""


def word(setting: Setting, text: str) -> str:
    """What the ERP keeps of a text."""
    return {
        "same": lambda: text,
        "cut": lambda: text[:14],
        "upper": text.upper,
        "trim": lambda: " ".join(text.split()),
        "escape": lambda: text.replace("&", "&amp;"),
    }[setting.way]()


def text(letter: str, n: int) -> str:
    """A text that shows whatever is done to texts."""
    return f"{letter}{n} pump & valve  in Room {n}"


def token(said: object) -> str | None:
    """Which edit a text is of, however it is rendered; None where it is no text."""
    return said.split()[0].casefold() if isinstance(said, str) and said.strip() else None


def shown(moment: datetime) -> str:
    """A moment as both sides write it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
