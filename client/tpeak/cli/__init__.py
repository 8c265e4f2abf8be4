"""The `tpeak` command."""

from tpeak.cli.main import main

__all__ = ["main"]
