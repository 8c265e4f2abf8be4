"""The server of tpeak: studies in PostgreSQL, suggestions by TPE, over HTTP."""

from importlib.metadata import version

__version__ = version("tpeak")
