"""Executions that coverage guides: atheris, with all of the program instrumented, in a process a target."""

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.mutate import MOST, TOKENS
from tests.fuzz.played import Played

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where files cost the least."""
HANGS = 60
"""Seconds, after which an execution is given up."""
MOST_MB = 700
"""Of memory, with the instrumented program itself."""
LONGEST_TOKEN = 64

_DONE = re.compile(r"stat::number_of_executed_units:\s*([0-9]+)|#([0-9]+)\s+(?:DONE|NEW|REDUCE|pulse|RELOAD|INITED)")
_WHY = re.compile(r"=== Uncaught Python exception: ===\n(.+)|ERROR: libFuzzer: (.+)")


def is_there() -> bool:
    """Whether atheris is installed."""
    return importlib.util.find_spec("atheris") is not None


def play(name: str, corpus: list[bytes], executions: int, seconds: float, seed: int) -> Played:
    """Run a target so often, or so long, whichever is first; it ends at the first failure."""
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=MEMORY) as place:
        folder, words, crashes = Path(place) / "corpus", Path(place) / "words", Path(place) / "crashes"
        folder.mkdir()
        crashes.mkdir()
        for number, data in enumerate(corpus):
            (folder / f"{number}").write_bytes(data)
        words.write_text("".join(f'"{_escaped(one)}"\n' for one in TOKENS if 0 < len(one) <= LONGEST_TOKEN))
        limits = [f"-runs={executions}", f"-max_total_time={max(1, round(seconds))}", f"-max_len={MOST}"]
        bounds = [f"-timeout={HANGS}", f"-rss_limit_mb={MOST_MB}", "-print_final_stats=1", f"-seed={seed + 1}"]
        began = time.monotonic()
        run = subprocess.run(
            [
                sys.executable,
                "-m",
                __name__,
                name,
                *limits,
                *bounds,
                f"-dict={words}",
                f"-artifact_prefix={crashes}/",
                folder,
            ],
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            env={**os.environ, "TMPDIR": place},  # nothing is tidied up at its end
        )
        done = max((int(one or other) for one, other in _DONE.findall(run.stderr)), default=0)
        why, data = "", b""
        if run.returncode:
            said = _WHY.search(run.stdout + run.stderr)
            why = (said[1] or said[2]) if said else f"it ended with {run.returncode}: {run.stderr[-300:]}"
            data = next((path.read_bytes() for path in crashes.iterdir()), b"")
        return Played(name, done, time.monotonic() - began, why, data)


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{one:02x}" for one in word)


def main() -> None:
    """Fuzz the target that the first argument names; the others are libFuzzer's."""
    import atheris  # it is not everywhere
    from loguru import logger

    logger.remove()
    name = sys.argv.pop(1)
    with atheris.instrument_imports(include=["pipeline"]):
        from tests.fuzz.registry import targets

        run = targets()[name].run
    atheris.Setup(sys.argv, run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
