"""What the tests of APIs share: a fake ERP, and servers that answer what a test wants."""

import pytest

from pipeline.testing import FakeErp
from tests.asking import serve

__all__ = ["serve"]


@pytest.fixture
def erp():
    with FakeErp(merges=True) as erp:
        yield erp
