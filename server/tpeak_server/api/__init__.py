"""HTTP: one thin handler a route, wire schemas, errors as problems, the guard."""

from tpeak_server.api.app import create_app

__all__ = ["create_app"]
