"""A wrong order of stages is a type error, before anything runs."""

from mypy import api

SNIPPET = """
from collections.abc import Mapping
from pipeline import *
from pipeline.dataflow.ports import DeadLetters

def to_text(raw: bytes) -> str: return raw.decode()
def to_number(text: str) -> int: return int(text)
async def is_odd(number: int) -> bool: return number % 2 == 1

def good(source: Source[bytes], sink: BatchSink[int], dead: DeadLetters) -> None:
    together = parse(to_text) | translate(to_number)
    odd = read(source, flow="f") | hold_known(dead) | together | filter_items(is_odd)
    odd | deliver(sink) | dead_letters(dead) | settle(source)
"""

WRONG = {
    "stages in the wrong order": "read(source, flow='f') | translate(to_number) | parse(to_text)",
    "a sink of other payloads": "read(source, flow='f') | parse(to_text) | deliver(sink)",
    "a stage that does not follow another": "parse(to_text) | filter_items(is_odd)",
    "a wrong stage after a passage": "read(source, flow='f') | hold_known(dead) | translate(to_number)",
}


def check(tmp_path, name, text):
    path = tmp_path / f"{name}.py"
    path.write_text(text)
    out, err, status = api.run(["--strict", "--config-file", "", "--cache-dir", str(tmp_path / "cache"), str(path)])
    return out + err, status


def test_a_wrong_order_of_stages_is_a_type_error(tmp_path):
    wrong = "".join(
        f"def wrong_{number}(source: Source[bytes], sink: BatchSink[int], dead: DeadLetters) -> None:\n    {chain}\n"
        for number, chain in enumerate(WRONG.values())
    )
    first = SNIPPET.count("\n") + 2
    out, status = check(tmp_path, "snippet", SNIPPET + wrong)
    assert status == 1
    lines = {int(line.split(":")[1]) for line in out.splitlines() if ": error:" in line}
    assert lines == {first + 2 * number for number in range(len(WRONG))}, out
