"""The Dockerfile, taken apart as far as the tests need it."""

import json
import re
import shlex
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def stages():
    """The instructions of each stage: their words by their name, in the order of the file."""
    text = re.sub(r"(?m)^#.*\n", "", (ROOT / "Dockerfile").read_text())
    found = []
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        name, _, words = line.partition(" ")
        if name == "FROM":
            found.append(defaultdict(list))
        if found:
            found[-1][name].append(words)
    return found


def environment():
    """What the image sets."""
    return dict(pair.split("=", 1) for words in stages()[-1]["ENV"] for pair in shlex.split(words))


def command():
    """What it runs, without the interpreter."""
    last = stages()[-1]
    return [*json.loads(last["ENTRYPOINT"][0]), *json.loads(last["CMD"][0])][1:]
