"""What is agreed with one client: its words, the fields that travel, who has the say, and whose ids count."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from pipeline.orders.workorder import ExternalId, Kind, Values

__all__ = ["ID", "Authority", "Ids", "Project", "Terms", "within"]

Project: TypeAlias = Callable[[Values], Values]
"""What a layout can say of values: a field's own word where it has one, None where it says nothing."""

Ids: TypeAlias = Literal["shared", "client"]
"""``shared``: an order has one number on both sides; ``client``: the client numbers its orders itself."""

ID: Final = "{id}"
"""Stands for the client's id in ``number``."""


class Authority(StrEnum):
    """Whose value of a field counts where both sides have edited it."""

    NEWEST = "newest"
    CLIENT = "client"
    """The client's, always: an edit in TracOS gives way."""
    TRACOS = "tracos"
    """TracOS's, always: an edit of the client gives way."""


class Terms(Struct, frozen=True, kw_only=True):
    """What is agreed with the client ``client``."""

    client: str
    projections: Mapping[str, Project]
    """Of its layouts, by name."""
    default_layout: str
    """Of orders born in TracOS."""
    fields: Mapping[str, Kind] = {}
    """The fields beyond title, description, status and deleted that its layouts have, by their names in a document."""
    authority: Mapping[str, Authority] = {}
    """By field; newest where nothing is said."""
    ids: Ids = "shared"
    number: str = ID
    """With the client's own ids: the number that an order of the client's gets in TracOS, such as ``SAP-{id}``."""

    def project(self, layout: str, values: Values) -> Values:
        """What ``layout`` can say of ``values``."""
        return self.projections[layout](values)

    def authority_of(self, field: str) -> Authority:
        """Who has the say in a field."""
        return self.authority.get(field, Authority.NEWEST)

    def id_beside(self, external_id: ExternalId | None) -> ExternalId | None:
        """The client's id, where it is told beside our number, because the two may differ."""
        return external_id if self.ids == "client" else None

    def number_of(self, external_id: ExternalId) -> ExternalId:
        """The number in TracOS of an order that the client has made."""
        if self.ids == "shared" or self.number == ID:
            return external_id
        return self.number.replace(ID, str(external_id))


def within(project: Project, fields: Mapping[str, Kind]) -> Project:
    """``project``, which says nothing of fields that its layout does not have, whatever it thinks of them."""

    def projected(values: Values) -> Values:
        if values.more:
            values = replace(values, more={field: value for field, value in values.more.items() if field in fields})
        return project(values)

    return projected
