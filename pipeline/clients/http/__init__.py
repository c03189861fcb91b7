"""The transport of clients that are JSON APIs: pages in, one request an order out; needs the extra ``http``."""

from pipeline.clients.http.connector import HttpConnector
from pipeline.clients.http.options import HttpOptions

__all__ = ["HttpConnector", "HttpOptions"]
