"""The transport of files: a folder that orders are read from, a folder that they are written to."""

from pipeline.transports.folder.csv_reader import csv_files
from pipeline.transports.folder.formats import JSON_FILES, FileFormat, json_files
from pipeline.transports.folder.known import KnownFiles
from pipeline.transports.folder.names import id_of, name_of
from pipeline.transports.folder.options import FolderOptions
from pipeline.transports.folder.settled import InboundAfter
from pipeline.transports.folder.sink import FolderSink
from pipeline.transports.folder.source import FolderSource

__all__ = [
    "JSON_FILES",
    "FileFormat",
    "FolderOptions",
    "FolderSink",
    "FolderSource",
    "InboundAfter",
    "KnownFiles",
    "csv_files",
    "id_of",
    "json_files",
    "name_of",
]
