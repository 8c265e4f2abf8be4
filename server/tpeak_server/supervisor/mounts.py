"""Which file system a directory lies on, from /proc/self/mountinfo: a database on a network file system gets lost."""

from __future__ import annotations

import re
from pathlib import Path

MOUNTINFO = Path("/proc/self/mountinfo")

NETWORK_TYPES = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "orangefs",
    "panfs", "pvfs2", "smb", "smb3", "smbfs", "wekafs",
    "fuse.ceph", "fuse.ceph-fuse", "fuse.davfs", "fuse.gcsfuse", "fuse.glusterfs", "fuse.goofys", "fuse.juicefs",
    "fuse.mfs", "fuse.moosefs", "fuse.mount-s3", "fuse.rclone", "fuse.s3fs", "fuse.seaweedfs", "fuse.sshfs",
})  # fmt: skip
"""File systems whose locks and writes another machine takes part in."""


def network_type(directory: Path) -> str | None:
    """The type of the network file system that the directory lies on, or would, None on a local one."""
    try:
        mountinfo = MOUNTINFO.read_text(errors="surrogateescape")
    except OSError:
        return None
    found = type_of(directory.resolve(), mountinfo)
    return found if found in NETWORK_TYPES else None


def type_of(directory: Path, mountinfo: str) -> str | None:
    """The type of the file system mounted nearest above the directory; of several in one place the last counts."""
    nearest, kind = -1, None
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, described = before.split(" "), after.split(" ")
        if len(fields) < 5 or not described[0]:
            continue
        mounted = Path(_unescaped(fields[4]))
        if directory.is_relative_to(mounted) and len(mounted.parts) >= nearest:
            nearest, kind = len(mounted.parts), described[0]
    return kind


def _unescaped(path: str) -> str:
    """The path with its octal escapes (of spaces and the like) as characters."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), path)
