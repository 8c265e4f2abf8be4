"""The `tpeak` command."""

from tpeak.cli.command import main

__all__ = ["main"]
