"""The transport of files: a folder that orders are read from, a folder that they are written to."""

from pipeline.clients.folder.formats import JSON_FILES, FileFormat
from pipeline.clients.folder.known import KnownFiles
from pipeline.clients.folder.names import id_of, name_of
from pipeline.clients.folder.options import FolderOptions
from pipeline.clients.folder.settled import InboundAfter
from pipeline.clients.folder.sink import FolderSink
from pipeline.clients.folder.source import FolderSource

__all__ = [
    "JSON_FILES",
    "FileFormat",
    "FolderOptions",
    "FolderSink",
    "FolderSource",
    "InboundAfter",
    "KnownFiles",
    "id_of",
    "name_of",
]
