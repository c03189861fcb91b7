"""The customers' systems: one module each, beside the transports that they share.

To add one, write ONE module: a Connector (JsonConnector for JSON records) and a function
``connect(settings: ClientSettings) -> Connector``. Put it into this folder as ``NAME.py``, or into a package of your
own, named by the entry point group ``pipeline.clients`` or as ``package.module:connect``. Then set CLIENTS to its name.
No line of the existing code changes.
"""
