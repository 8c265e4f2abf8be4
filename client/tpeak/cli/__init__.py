"""The `tpeak` command."""


def main() -> int:
    return 0
