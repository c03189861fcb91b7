"""A clock that jumps: every look at it is counted, and from one of them on it is another time."""

import re
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

from pipeline.transports.folder.source import FolderSource

LOOKS = re.compile(r"\bdatetime\.now\(")


class Clock:
    """While it is entered, the program's clock jumps by ``jump`` at its look number ``at``, counted from 0."""

    def __init__(self, jump: timedelta = timedelta(), at: int = 0) -> None:
        self._jump, self._at = jump, at
        self.looks = 0
        """How often the program has looked."""
        self._stack = ExitStack()

    def __enter__(self) -> "Clock":
        shown = _shown(self._now)
        for module in _looking():
            self._stack.enter_context(mock.patch.object(module, "datetime", shown))
        seconds = {"clock": lambda: time.time() + self._look().total_seconds()}
        self._stack.enter_context(mock.patch.dict(FolderSource.__init__.__kwdefaults__, seconds))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _now(self, zone: tzinfo | None = None) -> datetime:
        return datetime.now(zone) + self._look()

    def _look(self) -> timedelta:
        self.looks += 1
        return self._jump if self.looks > self._at else timedelta()


def _shown(now: Callable[[tzinfo | None], datetime]) -> type:
    """What stands for ``datetime``, and differs in what it says of now alone."""

    class Kind(type):
        def __getattr__(cls, name: str) -> Any:
            return getattr(datetime, name)

        def __call__(cls, *values: Any, **more: Any) -> datetime:
            return datetime(*values, **more)

        def __instancecheck__(cls, one: Any) -> bool:
            return isinstance(one, datetime)

    return Kind("datetime", (), {"now": staticmethod(now)})


def _looking() -> list[ModuleType]:
    """The modules of the program that look at the clock."""
    ours = [module for name, module in sorted(sys.modules.items()) if name.startswith("pipeline.") and module.__file__]
    return [module for module in ours if LOOKS.search(Path(str(module.__file__)).read_text())]
