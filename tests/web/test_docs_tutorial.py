"""The path of a stranger: docs/tutorial.md, typed and clicked as it stands, in a fresh environment.

How long each step takes: ``pytest -m slow --log-cli-level INFO tests/web/test_docs_tutorial.py``.
"""

import logging
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.plant import ROOT

KEPT = {".ci", ".env.example", ".gitignore"}
PAGE = (ROOT / "docs/tutorial.md").read_text()
STEPS = re.split(r"(?m)^## (?=\d)", PAGE)[1:]
QUARTER_OF_AN_HOUR = 900
CONTROLS = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")

DONE = re.compile(r"""(?xsm)
    ^```console\n (?P<typed>.*?) ^```              # what is typed, and what is seen then
    | ^```\w+\ title="(?P<name>.+?)"\n (?P<file>.*?) ^```
    | ^\ {4}```json\n (?P<form>.*?) ^\ {4}```      # in a list: what is written into the form
    | ^\d\.\ (?P<clicked>.*?)$
""")


class Stranger:
    """Somebody who does what the page says, in a copy of what git knows."""

    def __init__(self, home, browser):
        self.home, self.browser, self.before, self.page = home, browser, [], None
        kept = {"PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE"}
        self.environ = {name: value for name, value in os.environ.items() if name in kept or name.startswith("PIP_")}
        self.environ |= {"LANG": "C.UTF-8", "COLUMNS": "120", "TERM": "xterm", "BROWSER": "true"}

    def does(self, step):
        for found in DONE.finditer(step):
            if found["typed"]:
                self.types(found["typed"])
            elif found["name"]:
                path = self.home / "workorder-sync-demo" / found["name"]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(found["file"])
            elif found["form"]:
                self.writes(found["form"].strip())
            elif self.page is not None:
                for name in re.findall(r"\*\*(.+?)\*\*", found["clicked"]):
                    self.clicks(name)

    def types(self, block):
        """Type each line that follows a $, and see what the page shows below it."""
        self.closes()
        for command, shown in re.findall(r"(?m)^\$ (.+)\n((?:(?!\$ ).*\n)*)", block):
            if command.startswith((". ", "export ", "cd ")):
                self.before.append(command)
                continue
            script = ["bash", "-c", " && ".join([*self.before, f"exec {command}"])]
            if " inspect" in command:
                self.opens(script)
                continue
            code, printed = self.on_a_terminal(*script)
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

    def opens(self, script):
        self.page = subprocess.Popen(script, cwd=self.home, env=self.environ, stdout=subprocess.PIPE, text=True)
        assert select.select([self.page.stdout], [], [], 30)[0], "the page is not there"
        self.browser.get(re.search(r"http://\S+", self.page.stdout.readline())[0])

    def clicks(self, name):
        from selenium.webdriver.common.by import By
        from selenium.webdriver.support.expected_conditions import staleness_of
        from selenium.webdriver.support.ui import WebDriverWait

        path = f"//a[normalize-space()='{name}'] | //button[normalize-space()='{name}']"
        element = self.browser.find_element(By.XPATH, path)
        element.click()
        WebDriverWait(self.browser, 60).until(staleness_of(element))  # else the page before is complete, too
        WebDriverWait(self.browser, 60).until(
            lambda page: page.execute_script("return document.readyState") == "complete"
        )
        if name == "Check":
            assert "Nothing is known against it" in self.browser.page_source

    def writes(self, text):
        from selenium.webdriver.common.by import By

        form = self.browser.find_element(By.ID, "payload")
        form.clear()
        form.send_keys(text)

    def closes(self):
        """With Ctrl-C."""
        if self.page is not None:
            self.page.send_signal(signal.SIGINT)
            self.page.communicate(timeout=60)
            self.page = None

    @staticmethod
    def sees(command, shown, printed):
        """The lines of the page, in their order; where it has ``...``, there may be others."""
        parts = [re.escape(part.strip("\n")) for part in re.split(r"(?m)^\.\.\.$", "\n".join(shown))]
        pattern = r"(?s:.*)".join(rf"(?m:^){part}(?m:$)" if part else "" for part in parts)
        assert re.fullmatch(rf"{pattern}\n?", printed) or not shown, f"{command}\n{printed}"


def not_theirs(folder, names):
    """What a copy of the project does not have: what was installed, made or noted here."""
    made = {"__pycache__", "site", *(["data"] if Path(folder) == ROOT else [])}
    return [name for name in names if name in made or (name.startswith(".") and name not in KEPT)]


@pytest.fixture
def stranger(tmp_path, browser):
    home = tmp_path / "copy"
    shutil.copytree(ROOT, home, ignore=not_theirs)
    someone = Stranger(home, browser)
    yield someone
    someone.closes()


@pytest.mark.slow
def test_each_step_is_as_the_page_says(stranger):
    took = {}
    for step in STEPS:
        began, name = time.monotonic(), step.partition("\n")[0]
        stranger.does(step)
        took[name] = time.monotonic() - began
        logging.info("%5.1f s  %s", took[name], name)
    assert len(took) == 5
    assert sum(took.values()) < QUARTER_OF_AN_HOUR


def test_what_is_not_printed_is_noticed():
    Stranger.sees("x", ["...", "b", "...", "d"], "a\nb\nc\nd\n")
    for shown in (["a", "d"], ["...", "d", "...", "b"], ["b", "..."], ["...", "c", ""]):
        with pytest.raises(AssertionError):
            Stranger.sees("x", shown, "a\nb\nc\nd\n")
