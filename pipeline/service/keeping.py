"""What keeps logs and closed letters from growing for ever: called at the end of a run, or between passes."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from loguru import logger

from pipeline.deadletters import DeadLetterOffice
from pipeline.history.decisions import index_decisions
from pipeline.months import Months
from pipeline.service.settings import Settings

__all__ = ["tidy"]

MB: Final = 1_000_000


def tidy(settings: Settings) -> None:
    """Remove what is older, or more, than the settings keep, and bring the index of the decision log up to date.

    Raises nothing: what cannot be done now is told, and done another time.
    """
    now = datetime.now(UTC)
    most = None if settings.keep_mb is None else settings.keep_mb * MB
    for path in (settings.data_decision_log, settings.data_journal):
        with _told(path):
            for gone in Months(path).prune(now - timedelta(days=settings.keep_days), most):
                logger.info("{} is removed: KEEP_DAYS and KEEP_MB keep no more of {}", gone.name, path)
    with _told(settings.data_decision_log):
        index_decisions(settings.data_decision_log)
    with _told(settings.data_dead_letter_dir):
        DeadLetterOffice(settings.data_dead_letter_dir).prune(now - timedelta(days=settings.letters_keep_days))


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        logger.warning("{} cannot be kept small ({}): it grows; see its permissions", path, error.strerror)
