"""The pytest plug-in: ``pytest --client my_module:client`` runs the conformance suite on that ClientUnderTest."""

import sys
from importlib import import_module
from pathlib import Path

import pytest

__all__ = ["pytest_addoption", "pytest_configure", "pytest_generate_tests"]

SUITE = str(Path(__file__).with_name("conformance.py"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--client``."""
    parser.getgroup("workorder-sync").addoption(
        "--client",
        action="append",
        metavar="MODULE:NAME",
        default=[],
        help="run the conformance suite on this ClientUnderTest; may be given several times",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Have the suite collected, and nothing else, where clients are named and no tests are."""
    if config.getoption("client"):
        named = config.args_source is pytest.Config.ArgsSource.ARGS
        config.args[:] = [*config.args, SUITE] if named else [SUITE]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give ``under_test`` the clients that were named."""
    clients = metafunc.config.getoption("client")
    if "under_test" in metafunc.fixturenames and clients:
        metafunc.parametrize("under_test", [_load(name) for name in clients], ids=clients)


def _load(name: str) -> object:
    module, _, attribute = name.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return getattr(import_module(module), attribute or "client")
    except (ImportError, AttributeError) as error:
        raise pytest.UsageError(f"--client {name} cannot be loaded: {error}") from error
