"""Makes the pictures in docs/images, from real runs on the sample data: ``python -m docs.screenshots``.

The terminal's are SVG, of what the commands print on a terminal; the page's are PNG, of Debian's Chromium.
"""

import base64
import io
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import staleness_of
from selenium.webdriver.support.wait import WebDriverWait

ROOT = Path(__file__).resolve().parents[1]
IMAGES = Path(__file__).parent / "images"
COLUMNS = 118
NARROW = 60
PROGRAM = "workorder-sync"

EDITED = '{"id": 902, "status": "NEW", "createdAt": "2026-10-01", "title": "Mended"}'


class Terminal:
    """Runs commands in a folder as if a person did, and keeps what they print."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith(("MONGO", "DATA_"))}
        self.environ |= {"PYTHONPATH": str(ROOT), "LINES": "50", "TERM": "xterm-256color"}
        self.environ |= {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        }  # hints name it alone
        self.environ |= {"CI": "true"}  # no progress: a picture does not move

    def run(self, *command: str, columns: int = COLUMNS) -> str:
        """What ``command`` prints on a terminal, both streams."""
        ours, theirs = pty.openpty()
        environ = self.environ | {"COLUMNS": str(columns)}
        process = subprocess.Popen(command, cwd=self.home, env=environ, stdout=theirs, stderr=theirs)
        os.close(theirs)
        said = b""
        while True:
            try:
                block = os.read(ours, 65536)
            except OSError:
                break
            if not block:
                break
            said += block
        process.wait()
        os.close(ours)
        return said.decode().replace("\r\n", "\n")

    def picture(self, name: str, *commands: tuple[str, ...], columns: int = COLUMNS) -> None:
        """A picture of these commands and of what they print."""
        console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True)
        for command in commands:
            said = self.run(PROGRAM, *command, columns=columns)
            console.print(Text.assemble(("$ ", "green"), (" ".join((PROGRAM, *command)), "bold")))
            console.print(Text.from_ansi(said))
        (IMAGES / f"{name}.svg").write_text(console.export_svg(title="workorder-sync"))

    def letter(self, part: str) -> str:
        """The id of the letter whose place holds ``part``."""
        listed = subprocess.run(
            [sys.executable, "-m", "pipeline", "dead-letters", "list"],
            cwd=self.home, env=self.environ, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return next(line.split("\t")[0] for line in listed.stdout.splitlines() if part in line)


def main() -> None:
    """Make all of them."""
    with tempfile.TemporaryDirectory() as folder:
        terminal = Terminal(Path(folder))
        terminal.run(sys.executable, str(ROOT / "setup.py"))
        terminal.picture("plan", ("plan",))
        terminal.picture("run", ("run",))
        broken = terminal.letter("bad-schema")
        terminal.picture("dead-letters", ("dead-letters", "list"), ("dead-letters", "show", broken))
        page_pictures(terminal, broken)
        editor = terminal.home / "editor"
        editor.write_text(f"#!/bin/sh\necho '{EDITED}' > \"$1\"\n")
        editor.chmod(0o700)
        terminal.environ |= {"EDITOR": str(editor), "VISUAL": ""}
        terminal.picture(
            "mend", ("dead-letters", "edit", broken), ("dead-letters", "retry", broken), ("explain", "902")
        )
        terminal.picture("doctor", ("doctor",), ("history",))
        terminal.picture("narrow", ("dead-letters", "list"), ("history",), ("conflicts", "list"), columns=NARROW)


PAGES = (
    ("overview", ""),
    ("letters", "letters"),
    ("letter", "letters/{broken}"),
    ("order", "orders?number=103&now=1"),
    ("conflicts", "conflicts"),
    ("runs", "runs"),
    ("run", "runs/{run}"),
)
LOOKS = {"": (1200, "light"), "-dark": (1200, "dark"), "-360": (360, "light")}
"""How wide each is shown, and in which colours, by the end of the picture's name."""
TALLEST = 1500
"""The beginning of a longer page."""


def page_pictures(terminal: Terminal, broken: str) -> None:
    """The page after some runs, each of its pages in each look; the letter as it is when a mended text was checked."""
    for number in range(1000, 1040):
        end = "" if number % 4 == 0 else "}"
        order = f'{{"id": {number}, "status": "NEW", "createdAt": "2026-10-01", "title": "Pump {number}"{end}'
        (terminal.home / f"data/inbound/{number}.json").write_text(order)
        if number % 10 == 0:
            terminal.run(PROGRAM, "run")
    runs = (terminal.home / "data/runs.jsonl").read_text().splitlines()
    names = {"broken": broken, "run": re.findall(r'"run":"([^"]+)"', runs[-1])[0]}
    command = [sys.executable, "-m", "pipeline", "inspect"]
    server = subprocess.Popen(command, cwd=terminal.home, env=terminal.environ, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    select.select([server.stdout], [], [], 30)
    found = re.search(r"http://\S+/", server.stdout.readline())
    assert found is not None
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    for argument in ("headless=new", "no-sandbox", "disable-gpu", "hide-scrollbars"):
        options.add_argument(f"--{argument}")
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    for name, path in PAGES:
        for end, (width, scheme) in LOOKS.items():
            show(browser, found[0] + path.format(**names), width, scheme)
            if name == "letter":
                check(browser)
            height = min(browser.execute_script("return document.documentElement.scrollHeight"), TALLEST)
            clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
            said = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
            (IMAGES / f"page-{name}{end}.png").write_bytes(base64.b64decode(said["data"]))
    browser.quit()
    server.terminate()
    server.communicate()


def show(browser: webdriver.Chrome, address: str, width: int, scheme: str) -> None:
    """Open a page in this look."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.get(address)


def check(browser: webdriver.Chrome) -> None:
    """Write a mended text into the form of a letter and have it checked; nothing is saved."""
    here = browser.find_element(By.TAG_NAME, "html")
    payload = browser.find_element(By.NAME, "payload")
    payload.clear()
    payload.send_keys(EDITED)
    browser.find_element(By.XPATH, "//button[text()='Check']").click()
    WebDriverWait(browser, 30).until(staleness_of(here))


if __name__ == "__main__":
    main()
