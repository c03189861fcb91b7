"""Any JSON API of work orders: how it pages, signs and takes orders is told by its options."""

from typing import Final

from pipeline.clients.connector import ClientSettings
from pipeline.clients.http_connector import HttpConnector
from pipeline.clients.spelling import spoken_by
from pipeline.translation import flag_order, status_order
from pipeline.transports.http import HttpOptions

__all__ = ["OPTIONS", "connect"]


OPTIONS: Final = HttpOptions


def connect(settings: ClientSettings) -> HttpConnector:
    """The client that ``settings`` describe; it speaks the layouts of ``erp_json``, or the one of its settings."""
    return HttpConnector(settings, spoken_by(settings, (status_order.TABLE, flag_order.TABLE)))
