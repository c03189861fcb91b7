"""What stands for a client's system while its client is tested: it shows records, and keeps what it is told."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from pipeline.orders.workorder import ExternalId
from pipeline.testing.fake_erp import FakeErp
from pipeline.testing.habits import Habits
from pipeline.translation.paths import getter, put

__all__ = ["FolderStand", "HttpStand", "Stand"]

Sample: TypeAlias = Mapping[str, Any] | bytes

READING = ("GET", "HEAD", "OPTIONS")
LONG_AGO = 1_760_000_000


class Stand(ABC):
    """One customer's system, fresh in ``folder``. Write one for a transport of your own."""

    can_fail = False
    """Whether ``fail`` does anything."""

    @abstractmethod
    @contextmanager
    def stand(self, folder: Path) -> Iterator[Mapping[str, Any]]:
        """Stand up; yields the options that lead a client to it."""

    @abstractmethod
    def show(self, samples: Sequence[Sample]) -> None:
        """Show these records, newer than what was shown before."""

    @abstractmethod
    def told(self) -> Mapping[str, Sample]:
        """What it was told, by order, as it would show it: equal if and only if the same was told."""

    def applied(self) -> int:
        """How many changes were applied; 0 where it does not count."""
        return 0

    def asked(self) -> int:
        """How often it was asked for a change, whatever came of it; 0 where it does not count."""
        return 0

    def fail(self, *faults: str) -> None:
        """The next answers go wrong, each in one way (see Faults); only where ``can_fail``."""
        raise NotImplementedError(f"{type(self).__name__} cannot fail")

    def remove(self, order_id: ExternalId) -> None:
        """Somebody removes an order there; only where ``can_fail``."""
        raise NotImplementedError(f"{type(self).__name__} cannot remove an order")


class FolderStand(Stand):
    """Two folders of files, each with one record, named by number and ``suffix``."""

    def __init__(self, suffix: str = ".json") -> None:
        self._suffix = suffix
        self._folder = Path()
        self._shown = 0

    @contextmanager
    def stand(self, folder: Path) -> Iterator[Mapping[str, Any]]:
        """Make both folders."""
        self._folder, self._shown = folder, 0
        (folder / "in").mkdir()
        yield {"inbound_dir": str(folder / "in"), "outbound_dir": str(folder / "out")}

    def show(self, samples: Sequence[Sample]) -> None:
        """Write a file a record."""
        for sample in samples:
            self._shown += 1
            path = self._folder / "in" / f"{self._shown:06}{self._suffix}"
            path.write_bytes(sample if isinstance(sample, bytes) else msgspec.json.encode(sample))
            os.utime(path, (LONG_AGO + self._shown,) * 2)

    def told(self) -> Mapping[str, Sample]:
        """The outbound files."""
        return {path.name: path.read_bytes() for path in (self._folder / "out").glob("*")}


class HttpStand(Stand):
    """A FakeErp; ``id_key`` and ``updated_key`` are those of the records, ``options`` override those of the stand.

    ``habits``: what it does otherwise than the plain one, such as number its orders itself.
    """

    can_fail = True

    def __init__(
        self,
        id_key: str = "id",
        updated_key: str = "updatedAt",
        options: Mapping[str, Any] | None = None,
        habits: Habits | None = None,
    ) -> None:
        self._keys = (id_key, updated_key)
        self._id_path = tuple(id_key.split("."))
        self._habits = habits
        self._options = options or {}
        self.erp: FakeErp | None = None

    @contextmanager
    def stand(self, folder: Path) -> Iterator[Mapping[str, Any]]:
        """Serve."""
        with FakeErp(id_key=self._keys[0], updated_key=self._keys[1], merges=True, habits=self._habits) as self.erp:
            paging = {"items": "items", "page": "cursor", "next": "cursor", "page_size": 2, "size_param": "limit"}
            since = {"since_param": "updated_since", "since": "{time}", "params": {}}
            yield {"url": self.erp.url, **paging, **since, "etag": "_etag", "retry_seconds": 10.0, **self._options}

    def show(self, samples: Sequence[Sample]) -> None:
        """Hold the records."""
        for sample in samples:
            data = msgspec.json.decode(sample) if isinstance(sample, bytes) else dict(sample)
            self._erp.put(data)

    def told(self) -> Mapping[str, Sample]:
        """The orders, those that were shown too."""
        told = {number: msgspec.to_builtins(order) for number, order in self._erp.orders.items()}
        for number, order in told.items():
            if not getter(self._id_path)(order):
                put(order, self._id_path, number)
        return told

    def applied(self) -> int:
        """How many writes were applied."""
        return self._erp.applied

    def asked(self) -> int:
        """All requests but those that only read."""
        return sum(one.method not in READING and one.path != "/token" for one in self._erp.requests)

    def fail(self, *faults: str) -> None:
        """Have the next answers go wrong; ``early`` and ``late``: its clock is an hour off, for good."""
        hours = {"early": -1, "late": 1}
        self._erp.skew = timedelta(hours=sum(hours.get(fault, 0) for fault in faults))
        self._erp.faults.once(*(fault for fault in faults if fault not in hours))

    def remove(self, order_id: ExternalId) -> None:
        """Remove it."""
        self._erp.remove(order_id)

    @property
    def _erp(self) -> FakeErp:
        if self.erp is None:
            raise RuntimeError("the stand does not stand")
        return self.erp
