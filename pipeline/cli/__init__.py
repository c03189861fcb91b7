"""The command line: each command a file, on top of everything else."""

from pipeline.cli.app import main, program

__all__ = ["main", "program"]
