"""What stopped everything, or one client, told in the log: one line a problem."""

from loguru import logger

from pipeline.errors import Fatal, WrongSettings

__all__ = ["as_fatal", "tell"]


def tell(error: BaseException, *, who: str = "") -> Fatal:
    """Log what stopped everything, or ``who``, in one line a problem; returns it as what has an exit code."""
    fatal = as_fatal(error)
    lines = [f"wrong settings: {line}" for line in fatal.problems] if isinstance(fatal, WrongSettings) else [str(fatal)]
    for line in lines:
        logger.error("{}", f"{who}: {line}" if who else line)
    return fatal


def as_fatal(error: BaseException) -> Fatal:
    """What stopped something, as what has an exit code; its details are logged at TRACE."""
    logger.opt(exception=error).trace("stopped")
    if isinstance(error, Fatal):
        return error
    return Fatal(f"stopped by an unexpected {type(error).__name__}; set LOG_LEVEL=TRACE for the details")
