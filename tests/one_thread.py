"""Imported before numpy: as the server's processes, the tests have one thread of linear algebra.

More of them spin beside each other, and round differently from one time to the next.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
