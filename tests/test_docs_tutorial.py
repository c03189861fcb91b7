"""The path of a stranger: docs/tutorial.md, typed as it stands, in a fresh environment.

How long each step takes: ``pytest -m slow --log-cli-level INFO tests/test_docs_tutorial.py``.
"""

import logging
import os
import pty
import re
import shutil
import subprocess
import time
from contextlib import suppress

import pytest

from tests.plant import ROOT

PAGE = (ROOT / "docs/tutorial.md").read_text()
STEPS = {
    part.partition("\n")[0]: re.findall(r'(?ms)^```(\w+)(?: title="([^"]+)")?\n(.*?)^```', part)
    for part in re.split(r"(?m)^## ", PAGE)[1:]
}
QUARTER_OF_AN_HOUR = 900
CONTROLS = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Stranger:
    """Somebody who types what the page says, in a copy of what git knows."""

    def __init__(self, home):
        self.home, self.before, self.mended = home, [], home / "mended"
        kept = {"PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE"}
        self.environ = {name: value for name, value in os.environ.items() if name in kept or name.startswith("PIP_")}
        editor = home.parent / "editor"
        editor.write_text(f'#!/bin/sh\ncp {self.mended} "$1"\n')
        editor.chmod(0o700)
        self.environ |= {"EDITOR": str(editor), "LANG": "C.UTF-8", "COLUMNS": "120", "TERM": "xterm"}

    def writes(self, title, text):
        path = self.mended if title == "in the editor" else self.home / title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def types(self, block):
        """Type each line that follows a $, and see what the page shows below it."""
        for command, shown in re.findall(r"(?m)^\$ (.+)\n((?:(?!\$ ).*\n)*)", block):
            if command.startswith((". ", "export ")):
                self.before.append(command)
                continue
            script = " && ".join([*self.before, command])
            code, printed = self.on_a_terminal("bash", "-c", script)
            assert code in {0, 4}, f"{command}\n{printed}"
            self.sees(command, shown.splitlines(), printed)

    def on_a_terminal(self, *command):
        """The exit code of a command, and all that it shows there, without colours."""
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            command, cwd=self.home, env=self.environ, stdin=theirs, stdout=theirs, stderr=theirs
        ) as process:
            os.close(theirs)
            printed = b""
            with suppress(OSError):  # the other end is closed
                while block := os.read(ours, 65536):
                    printed += block
            os.close(ours)
        return process.returncode, CONTROLS.sub("", printed.decode()).replace("\r\n", "\n")

    @staticmethod
    def sees(command, shown, printed):
        """The lines of the page, in their order; where it has ``...``, there may be others."""
        parts = [re.escape(part.strip("\n")) for part in re.split(r"(?m)^\.\.\.$", "\n".join(shown))]
        pattern = r"(?s:.*)".join(rf"(?m:^){part}(?m:$)" if part else "" for part in parts)
        assert re.fullmatch(rf"{pattern}\n?", printed) or not shown, f"{command}\n{printed}"


@pytest.fixture
def stranger(tmp_path):
    home = tmp_path / "copy"
    named = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True, cwd=ROOT, capture_output=True, text=True,
    ).stdout  # fmt: skip
    for name in filter(None, named.split("\0")):
        if (ROOT / name).exists():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, home / name)
    return Stranger(home)


@pytest.mark.slow
def test_each_step_is_as_the_page_says(stranger):
    took = {}
    for step, blocks in STEPS.items():
        began = time.monotonic()
        # What is written in an editor is known before it is opened.
        for language, title, text in sorted(blocks, key=lambda block: block[1] != "in the editor"):
            stranger.types(text) if language == "console" else stranger.writes(title, text)
        took[step] = time.monotonic() - began
        logging.info("%5.1f s  %s", took[step], step)
    assert sum(took.values()) < QUARTER_OF_AN_HOUR


def test_what_is_not_printed_is_noticed():
    Stranger.sees("x", ["...", "b", "...", "d"], "a\nb\nc\nd\n")
    for shown in (["a", "d"], ["...", "d", "...", "b"], ["b", "..."], ["...", "c", ""]):
        with pytest.raises(AssertionError):
            Stranger.sees("x", shown, "a\nb\nc\nd\n")
