"""What a client is made from, and what its transport may know of it."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from msgspec import Struct, ValidationError, convert, structs

from pipeline.errors import WrongSettings
from pipeline.orders.terms import ID, Authority

__all__ = ["ClientSettings"]

S = TypeVar("S", bound=Struct)


class ClientSettings(Struct, frozen=True, kw_only=True):
    """What a client is made from."""

    name: str
    timezone: ZoneInfo = ZoneInfo("UTC")
    """Of dates that name no zone."""
    layout: str | None = None
    """Name of the layout of orders born in TracOS. None: the client's first."""
    layouts: Mapping[str, Mapping[str, Any]] = {}
    """Tables as settings spell them, by name: ``layout`` may name one, and is then all that the client speaks."""
    number: str = ID
    """What an order of the client's own is called in TracOS, where the client numbers its orders itself."""
    authority: Mapping[str, Authority] = {}
    """Who has the say, by field."""
    options: Mapping[str, Any] = {}
    """What this kind of client is told beside: folders, addresses ...; ``read`` turns them into a Struct."""
    defaults: Mapping[str, Any] = {}
    """Options that hold where nothing else is said, and where this kind of client has them."""
    variables: Mapping[str, str] = {}
    """The environment variables that ``defaults`` come from, by option."""
    said: Collection[str] = ()
    """Those of ``defaults`` that somebody has said: where this kind of client does not have one, that is wrong."""
    state_dir: Path = Path("data/state")
    """Where a client may keep what it has to remember from run to run, in files that begin with its name."""
    since: datetime | None = None
    """What changed at this time or later is read again, whatever is remembered; how far was read stays as it is."""
    secret: Callable[[str], str | None] = lambda name: None
    """The value of an environment variable, or of the file that the variable beside it (``_FILE``) names.

    Secrets are told by the variable's name alone. Raises WrongSettings where both are set, or the file holds no text.
    """
    code: str = ""
    """Stands for the client's own code; set by JsonConnector. Another code may understand the same bytes otherwise."""

    def read(self, kind: type[S]) -> S:
        """The options as a ``kind``; raises WrongSettings with all that is wrong with them, a line each."""
        values: dict[str, Any] = {}
        problems: list[str] = []
        fields = {field.name: field for field in structs.fields(kind)}
        for name, value in self.options.items():
            if name not in fields:
                near = get_close_matches(name, fields, 1)
                mean = f"did you mean {near[0]}? " if near else ""
                problems.append(f"{self.name}: {name}: there is no such option; {mean}known: {', '.join(fields)}")
                continue
            try:
                values[name] = convert(value, fields[name].type, dec_hook=_decode)
            except (ValidationError, ValueError, TypeError) as error:
                problems.append(f"{self.name}: {name}: {error}")
        for name in fields.keys() & self.defaults.keys() - self.options.keys():
            values[name] = self.defaults[name]
        for name in sorted(set(self.said) - fields.keys()):
            problems.append(f"{self.name}: {self.called(name)}: clients of this kind do not use it: leave it out")
        missing = [name for name, field in fields.items() if field.required and name not in values]
        problems += [f"{self.name}: {name}: required, but missing" for name in missing if name not in self.options]
        if problems:
            raise WrongSettings(problems)
        return kind(**values)

    def called(self, option: str) -> str:
        """The option by the name under which a person sets it."""
        return option if option in self.options else self.variables.get(option, option)

    def reveal(self, variable: str) -> str:
        """The secret that ``variable`` holds or has a file for; raises WrongSettings where there is none in UTF-8."""
        try:
            value = self.secret(variable)
        except WrongSettings as error:
            raise WrongSettings(f"{self.name}: {problem}" for problem in error.problems) from error
        if not value:
            raise WrongSettings(
                [
                    f"{self.name}: the environment variable {variable} is not set, and holds a secret of it "
                    f"(or {variable}_FILE, the name of a file that does)"
                ]
            )
        if not value.isascii() and any("\ud800" <= one <= "\udfff" for one in value):
            raise WrongSettings([f"{self.name}: {variable} holds bytes that are no UTF-8: set it anew"])
        return value


def _decode(kind: type, said: Any) -> Any:
    if issubclass(kind, Path) and (not isinstance(said, str | Path) or not str(said).strip() or "\0" in str(said)):
        raise ValueError("expected the name of a folder or a file")
    return kind(said)
