"""Bytes come apart into records in the same way wherever the blocks are cut in which they are read."""

import re

from hypothesis import given
from hypothesis import strategies as st

from pipeline.transports.folder.records import Broken, lines

texts = st.lists(st.sampled_from([b"{}", b'{"a": 1}', b"x", b" ", b"\r", b"\n", b"\r\n", b"\r\r\n"]), max_size=12).map(
    b"".join
)


class Blocks:
    """A stream that gives its bytes in blocks of the given sizes, whatever is asked for, then one by one."""

    def __init__(self, data, sizes):
        self._data = data
        self._sizes = list(sizes)

    def read(self, size):
        given = self._sizes.pop(0) if self._sizes else 1
        block, self._data = self._data[:given], self._data[given:]
        return block


@given(texts, st.lists(st.integers(1, 5), max_size=9))
def test_lines_end_in_lf_crlf_or_cr_wherever_blocks_end(data, sizes):
    stream = Blocks(data, sizes)
    found = list(lines(stream.read(9), stream))
    split = enumerate(re.split(rb"\r*\n|\r", data), 1)
    expected = [(f":{number}", line) for number, line in split if line.strip()]
    if expected:
        assert [(part.suffix, part.raw) for part in found] == expected
    else:
        (broken,) = found
        assert isinstance(broken, Broken)
        assert broken.suffix == ""
