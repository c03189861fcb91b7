"""``help`` and ``--install-completion``: what this program can do, and a shell that knows it."""

import shutil
import sys
from typing import Final, Literal

from pipeline.cli.app import app
from pipeline.cli.started import NAME
from pipeline.errors import WrongUsage

__all__ = ["help_", "install_completion"]

BEGIN: Final = {
    "bash": "open a new shell, or read it now: . {path}",
    "zsh": "open a new shell; where nothing is completed there, put into ~/.zshrc: autoload -U compinit; compinit",
    "fish": "it is known at once",
}


def help_(*command: str) -> int:
    """Show the help of a command; without one, what commands there are.

    Args:
        command: Its name, such as run, or dead-letters retry.
    """
    _, _, unknown = app.parse_commands(list(command))
    if unknown:
        raise WrongUsage(f"there is no command {' '.join(command)}; `help` lists those that there are")
    app.help_print(list(command))
    return 0


def install_completion(shell: Literal["bash", "zsh", "fish"] | None = None, /) -> int:
    """Have the shell complete commands and options of the installed program; its start-up file gets a line for that.

    Args:
        shell: The shell; where it is not said, the one that this is.
    """
    from cyclopts.completion.detect import ShellDetectionError, detect_shell  # noqa: PLC0415 - seldom needed

    try:
        meant = shell or detect_shell()
        if meant not in BEGIN:
            raise WrongUsage(f"{meant} is not completed: say bash, zsh or fish")
        path = app.install_completion(shell=meant)
    except ShellDetectionError as error:
        raise WrongUsage("which shell this is cannot be told: say bash, zsh or fish") from error
    except OSError as error:
        raise WrongUsage(f"{error.filename} cannot be written: {error.strerror}") from error
    sys.stdout.write(f"written: {path}\n{BEGIN[meant].format(path=path)}\n")
    if not shutil.which(NAME):
        sys.stdout.write(f"it completes {NAME}, which is not on the PATH here\n")
    return 0
