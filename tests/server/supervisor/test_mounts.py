"""The file system below a directory."""

from pathlib import Path

import pytest

from tpeak_server.supervisor import mounts

MOUNTINFO = r"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:27 / /home rw,relatime shared:2 - nfs4 server:/export/home rw,vers=4.2
31 30 254:3 / /home/ann/local rw,relatime - xfs /dev/vdb rw
32 22 0:40 / /mnt/with\040space rw,relatime master:3 propagate_from:2 - fuse.sshfs host:/ rw
33 22 0:41 / /twice rw - ext4 /dev/vdc rw
34 33 0:42 / /twice rw - lustre mgs:/scratch rw
"""


@pytest.mark.parametrize(
    ("directory", "kind"),
    [
        ("/var/lib/tpeak", "ext4"),
        ("/home/ann/.local/share/tpeak", "nfs4"),
        ("/home/ann/local/tpeak", "xfs"),
        ("/home/ann/localized", "nfs4"),
        ("/homes/ann", "ext4"),
        ("/mnt/with space/tpeak", "fuse.sshfs"),
        ("/twice/tpeak", "lustre"),
    ],
)
def test_the_mount_nearest_above_a_directory_decides(directory, kind):
    assert mounts.type_of(Path(directory), MOUNTINFO) == kind


def test_only_a_network_file_system_is_reported(tmp_path, monkeypatch):
    file = tmp_path / "mountinfo"
    file.write_text(MOUNTINFO)
    monkeypatch.setattr(mounts, "MOUNTINFO", file)
    assert mounts.network_type(Path("/home/ann/tpeak")) == "nfs4"
    assert mounts.network_type(Path("/var/lib/tpeak")) is None


def test_a_system_without_mountinfo_is_taken_for_local(tmp_path, monkeypatch):
    monkeypatch.setattr(mounts, "MOUNTINFO", tmp_path / "none")
    assert mounts.network_type(tmp_path) is None
