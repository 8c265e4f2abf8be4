"""Where the local server keeps its data: the same rules as the server's, which a contract test holds together."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

MOUNTINFO = Path("/proc/self/mountinfo")

NETWORK_TYPES = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "orangefs",
    "panfs", "pvfs2", "smb", "smb3", "smbfs", "wekafs",
    "fuse.ceph", "fuse.ceph-fuse", "fuse.davfs", "fuse.gcsfuse", "fuse.glusterfs", "fuse.goofys", "fuse.juicefs",
    "fuse.mfs", "fuse.moosefs", "fuse.mount-s3", "fuse.rclone", "fuse.s3fs", "fuse.seaweedfs", "fuse.sshfs",
})  # fmt: skip


def data_directory(environment: Mapping[str, str]) -> Path:
    """The data directory: TPEAK_DATA_DIR, else the user's own; root's is where other users may enter."""
    if given := environment.get("TPEAK_DATA_DIR"):
        return Path(given).expanduser().absolute()
    if sys.platform == "win32":
        return Path(environment.get("LOCALAPPDATA") or os.path.expanduser("~\\AppData\\Local")) / "tpeak"
    if os.geteuid() == 0:
        return Path("/var/lib/tpeak")
    if sys.platform == "darwin":
        return Path(os.path.expanduser("~/Library/Application Support/tpeak"))
    return Path(environment.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")).absolute() / "tpeak"


def network_type(directory: Path) -> str | None:
    """The type of the network file system that the directory lies on, None on a local one."""
    try:
        mountinfo = MOUNTINFO.read_text(errors="surrogateescape")
    except OSError:
        return None
    directory = directory.resolve()
    nearest, kind = -1, ""
    for line in mountinfo.splitlines():
        before, _, described = line.partition(" - ")
        point = Path(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), before.split(" ")[4]))
        if directory.is_relative_to(point) and len(point.parts) >= nearest:
            nearest, kind = len(point.parts), described.split(" ")[0]
    return kind if kind in NETWORK_TYPES else None
