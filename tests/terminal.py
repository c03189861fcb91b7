"""A terminal: what a person sees who types there, to the letter."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

from tests.plant import ROOT

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def at_terminal(plant, *arguments, columns=80, typed="", script="pipeline/__main__.py", **environ):
    """The exit code, and all that is shown, with what is typed; lines end in a line feed alone, without colours."""
    code, said = watched(plant, *arguments, columns=columns, typed=typed, script=script, **environ)
    return code, _CONTROL.sub("", said).replace("\r\n", "\n")


def watched(plant, *arguments, columns=80, typed="", script="pipeline/__main__.py", **environ):
    """The same with all that moves the cursor."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    told = {"TERM": "xterm-256color"} | {name: str(value) for name, value in environ.items()}
    ours_alone = {"COLUMNS", "LINES", "CI"}
    environment = {name: value for name, value in plant.environ.items() if name not in ours_alone} | told
    command = [sys.executable, "-W", "error", str(ROOT / script), *map(str, arguments)]
    process = subprocess.Popen(
        command, cwd=plant.home, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    os.write(ours, typed.encode())
    said = b""
    while True:
        try:
            block = os.read(ours, 65536)
        except OSError:  # nobody has the other end any more
            break
        if not block:
            break
        said += block
    os.close(ours)
    return process.wait(timeout=60), said.decode()
