"""What stopped everything, or one client, told in the log: one line a problem."""

from typing import TYPE_CHECKING

from loguru import logger

from pipeline.errors import Fatal, See, WrongSettings

if TYPE_CHECKING:
    from loguru import Record

__all__ = ["as_fatal", "event_of", "looked_up", "tell"]


def event_of(record: "Record") -> str:
    """What kind of line of the log it is, for machines: a name of its own, else that of the module that says it."""
    return str(record["extra"].get("event") or (record["name"] or "").removeprefix("pipeline."))


def as_fatal(error: BaseException) -> Fatal:
    """What stopped something, as what has an exit code and one line that may be shown."""
    if isinstance(error, Fatal):
        return error
    return Fatal(
        f"stopped by an unexpected {type(error).__name__}; set LOG_LEVEL=TRACE for the details", see=See.UNEXPECTED
    )


def looked_up(error: Fatal) -> str:
    """The line of an error, with the section of docs/troubleshooting.md that tells more of it."""
    return str(error) if error.see is None else f"{error} (see troubleshooting.md#{error.see})"


def tell(error: BaseException, *, who: str = "") -> Fatal:
    """Log what stopped everything, or ``who``, in one line a problem; returns it as what has an exit code."""
    fatal = as_fatal(error)
    logger.opt(exception=error).trace("stopped")
    lines = (
        [f"wrong settings: {line}" for line in fatal.problems]
        if isinstance(fatal, WrongSettings)
        else [looked_up(fatal)]
    )
    for line in lines:
        logger.bind(event="stopped").error("{}", f"{who}: {line}" if who else line)
    return fatal
