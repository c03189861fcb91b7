"""Who watches the passes of a run, as the settings say: metrics for node exporter, alerts, traces."""

from collections.abc import Iterator
from contextlib import contextmanager

from loguru import logger

from pipeline.errors import WrongSettings
from pipeline.service.passes import Passes, Watcher
from pipeline.service.settings import Settings

__all__ = ["alerts_of", "traces_of", "watching"]


@contextmanager
def watching(settings: Settings) -> Iterator[Passes]:
    """What is to be told of the passes that are made inside of this; however that ends, METRICS_FILE is written then.

    Raises WrongSettings where the settings want what is not installed.
    """
    watchers = [*alerts_of(settings), *traces_of(settings)]
    if settings.metrics_file is None:
        yield Passes(settings, watchers)
        return
    try:
        from pipeline.service.metrics import Metrics  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise _missing("METRICS_FILE", error, "web") from error
    metrics = Metrics()
    try:
        yield Passes(settings, [metrics, *watchers])
    finally:
        metrics.write(settings.metrics_file)


def alerts_of(settings: Settings, *, at_once: bool = False) -> list[Watcher]:
    """Who tells ALERT_URL and PING_URL, where there are any: ``at_once``, or when the passes are settled."""
    if not (settings.alert_url or settings.ping_url):
        return []
    try:
        from pipeline.service.alerts import Alerts  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise _missing("ALERT_URL and PING_URL", error, "http") from error
    return [Alerts(settings, at_once=at_once)]


def traces_of(settings: Settings) -> list[Watcher]:
    """Who tells OTEL_EXPORTER_OTLP_ENDPOINT, where there is one."""
    if not settings.otel_exporter_otlp_endpoint:
        return []
    try:
        from pipeline.service.traces import Traces  # noqa: PLC0415 - an extra
    except ImportError as error:  # the variable may be there for other programs, and stops nothing
        (line,) = _missing("OTEL_EXPORTER_OTLP_ENDPOINT", error, "otel").problems
        logger.warning("{}; nothing is traced", line)
        return []
    return [Traces(settings.otel_exporter_otlp_endpoint)]


def _missing(setting: str, error: ImportError, extra: str) -> WrongSettings:
    return WrongSettings([f"{setting}: the package {error.name} is not installed: install the extra `{extra}`"])
