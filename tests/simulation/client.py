"""The client of a run, made of the real parts, with the ends that the history's setting says."""

from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from pipeline.clients.connector import ClientSettings
from pipeline.clients.json_connector import JsonConnector
from pipeline.clients.spelling import spoken_by
from pipeline.orders.terms import Authority
from pipeline.translation import flag_order, status_order
from pipeline.translation.engine import layout_of
from pipeline.translation.layout import Layout
from tests.simulation.api import HttpClient, options_of
from tests.simulation.erp import FORMS, FULL, REFERENCE
from tests.simulation.folders import FolderClient
from tests.simulation.listed import ListClient
from tests.simulation.machine import Machine
from tests.simulation.steps import Setting

UTC: Final = ZoneInfo("UTC")
KINDS: Final = {"list": ListClient, "folders": FolderClient, "http": HttpClient}


def client_of(setting: Setting, machine: Machine) -> JsonConnector:
    """The client, without its ends."""
    options = options_of(setting, FORMS[setting.layout].updated) if setting.transport == "http" else {}
    settings = ClientSettings(
        name="erp",
        layout=setting.layout,
        number="ERP-{id}" if setting.ids == "client" else "{id}",
        authority={field: Authority(who) for field, who in setting.authority},
        state_dir=machine.state,
        options=options,
    )
    client = KINDS[setting.transport](settings, _layouts(setting.layout, setting.ids))
    client.ids = setting.ids
    return client


@cache
def _layouts(layout: str, ids: str) -> tuple[Layout[Any], ...]:
    settings = ClientSettings(name="erp", layout=layout, layouts={"full": FULL} if layout == "full" else {})
    tables = spoken_by(settings, (status_order.TABLE, flag_order.TABLE))
    return tuple(layout_of(table.referring(REFERENCE) if ids == "client" else table, UTC) for table in tables)
