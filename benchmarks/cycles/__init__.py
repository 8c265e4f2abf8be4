"""Cycles of ask, report and tell: the loads that drive a server with them, and the figures made of it."""
