"""Everything that starts and stops things: PostgreSQL, the server's processes, and the files that say where they are.

    supervising parent ── lock on the data directory
      ├── PostgreSQL         in a session of its own: outlives a killed parent, and is adopted by the next
      ├── server process 1   uvicorn on the parent's socket; ends when its stdin, a pipe from the parent, ends
      └── server process N

SIGKILL of any of them, at any time, leaves a state from which the next start works.
"""
