"""The transport of clients that are JSON APIs: pages in, one request an order out; needs the extra ``http``."""

from pipeline.transports.http.api import Api, Away
from pipeline.transports.http.options import HttpOptions
from pipeline.transports.http.sink import HttpSink
from pipeline.transports.http.source import HttpSource

__all__ = ["Api", "Away", "HttpOptions", "HttpSink", "HttpSource"]
