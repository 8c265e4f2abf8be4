"""Why the supervisor does not start, or does not go on."""


class Refused(Exception):
    """Something stands in the way; the message says what, where, and what to do."""


class AlreadyRunning(Refused):
    """Another supervisor holds the data directory."""


class Interrupted(Exception):
    """Somebody asked the supervisor to stop, by a signal."""
