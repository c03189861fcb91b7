"""What those who write clients and chains test with: ends in memory, a fake ERP, a conformance suite for clients.

Nothing else of the house imports this. The suite is a pytest plug-in: ``pytest --client my_module:client``.
"""

from pipeline.testing.ends import ListSink, ListSource, MemoryDeadLetters
from pipeline.testing.fake_erp import FakeErp, Request
from pipeline.testing.habits import Faults, Habits
from pipeline.testing.kit import ClientUnderTest
from pipeline.testing.stands import FolderStand, HttpStand, Stand

__all__ = [
    "ClientUnderTest",
    "FakeErp",
    "Faults",
    "FolderStand",
    "Habits",
    "HttpStand",
    "ListSink",
    "ListSource",
    "MemoryDeadLetters",
    "Request",
    "Stand",
]
