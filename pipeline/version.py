"""The version of this program."""

from typing import Final

__all__ = ["VERSION"]

VERSION: Final = "0.1.0"
"""As in pyproject.toml; here too, because asking the installed package takes longer than connecting to a server."""
