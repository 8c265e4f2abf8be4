"""What the demo and its workers agree on. The `tpeak` command imports this and not the workers' module, which is run
as a program of its own.
"""

from __future__ import annotations

STUDY = "digits"
EPOCHS = 20
