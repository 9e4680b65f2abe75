from __future__ import annotations

import os

import pytest

from dataguard.model.medium import Medium
from dataguard.stores.medium import medium_of

PCI = "devices/pci0000:00"


class Host:
    """A made-up machine: its sysfs, and its mounts."""

    def __init__(self, top):
        self.sys = top / "sys"
        self.mounts = top / "mountinfo"
        self.lines = []
        (self.sys / "dev" / "block").mkdir(parents=True)
        (self.sys / "class" / "block").mkdir(parents=True)

    def disk(self, number, folder, *, rotational, slaves=(), vendor=None):
        device = self.sys / folder
        (device / "queue").mkdir(parents=True)
        (device / "queue" / "rotational").write_text(f"{rotational}\n")
        (device / "slaves").mkdir()
        for slave in slaves:
            (device / "slaves" / slave.name).symlink_to(slave)
        if vendor is not None:
            (device / "device").mkdir()
            (device / "device" / "vendor").write_text(f"{vendor:8}\n")
        return self._named(number, device)

    def partition(self, number, disk, name):
        device = disk / name
        device.mkdir()
        (device / "partition").write_text("1\n")
        return self._named(number, device)

    def _named(self, number, device):
        (self.sys / "dev" / "block" / number).symlink_to(device)
        (self.sys / "class" / "block" / device.name).symlink_to(device)
        return device

    def mount(self, target, kind, number, source):
        place = f"{30 + len(self.lines)} 1 {number} / {target} rw shared:1"
        self.lines.append(f"{place} - {kind} {source} rw\n")
        self.mounts.write_text("".join(self.lines))

    def medium(self, place):
        return medium_of(place, sys=str(self.sys), mounts=str(self.mounts))


@pytest.fixture
def host(tmp_path):
    host = Host(tmp_path)
    host.disk("8:0", f"{PCI}/ata1/host0/target0:0:0/0:0:0:0/block/sda", rotational=1, vendor="ATA")
    host.mount("/", "ext4", "8:0", "/dev/sda")
    return host


def test_rotating_disk(host):
    assert Medium.ROTATIONAL is host.medium("/gold/faces")


def test_partition_is_what_its_disk_is(host):
    disk = host.disk("259:0", f"{PCI}/nvme/nvme0/nvme0n1", rotational=0)
    host.partition("259:1", disk, "nvme0n1p1")
    host.mount("/fast", "xfs", "259:1", "/dev/nvme0n1p1")
    assert Medium.SOLID_STATE is host.medium("/fast/faces")
    assert Medium.SOLID_STATE is host.medium("/fast")
    assert Medium.ROTATIONAL is host.medium("/fastest")


@pytest.mark.parametrize(
    ("rotational", "expected"),
    [((0, 0), Medium.SOLID_STATE), ((0, 1), Medium.ROTATIONAL), ((1, 1), Medium.ROTATIONAL)],
)
def test_array_is_as_slow_as_its_slowest_disk(host, rotational, expected):
    disks = [
        host.disk(f"8:{16 * n}", f"{PCI}/ata{n}/block/sd{n}", rotational=value)
        for n, value in enumerate(rotational, 1)
    ]
    parts = [host.partition(f"8:{16 * n + 1}", d, f"{d.name}1") for n, d in enumerate(disks, 1)]
    array = host.disk("9:0", "devices/virtual/block/md0", rotational=1, slaves=parts)
    host.disk("253:0", "devices/virtual/block/dm-0", rotational=1, slaves=[array])
    host.mount("/array", "ext4", "253:0", "/dev/mapper/vg-gold")
    assert expected is host.medium("/array/faces")


def test_btrfs_is_found_by_its_source(host):
    host.disk("259:0", f"{PCI}/nvme/nvme0/nvme0n1", rotational=0)
    host.mount("/pool", "btrfs", "0:43", "/dev/nvme0n1")
    assert Medium.SOLID_STATE is host.medium("/pool/faces")


@pytest.mark.parametrize(
    ("folder", "vendor"),
    [(f"{PCI}/virtio1/block/vdz", None), (f"{PCI}/ata9/block/sdz", "VMware")],
)
def test_disk_of_a_hypervisor_is_not_believed_to_rotate(host, folder, vendor):
    host.disk("254:0", folder, rotational=1, vendor=vendor)
    host.mount("/virtual", "ext4", "254:0", "/dev/any")
    assert Medium.VIRTUAL is host.medium("/virtual")


@pytest.mark.parametrize(
    "folder",
    [
        "devices/virtual/block/nbd0",
        "devices/virtual/block/rbd7",
        "devices/platform/host2/session1/target2:0:0/block/sdq",
    ],
)
def test_disk_behind_a_network_is_network(host, folder):
    host.disk("43:0", folder, rotational=1)
    host.mount("/remote", "ext4", "43:0", "/dev/any")
    assert Medium.NETWORK is host.medium("/remote/faces")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        *((kind, Medium.NETWORK) for kind in ("nfs", "nfs4", "cifs", "lustre", "gpfs", "beegfs")),
        *((kind, Medium.NETWORK) for kind in ("ceph", "9p", "virtiofs", "fuse.sshfs", "fuse")),
        ("tmpfs", Medium.MEMORY),
        ("overlay", Medium.UNKNOWN),
        ("zfs", Medium.UNKNOWN),
    ],
)
def test_kind_of_file_system_tells_where_no_disk_does(host, kind, expected):
    host.mount("/other", kind, "0:99", "server:/export")
    assert expected is host.medium("/other/faces")


def test_last_mount_at_a_place_counts_and_names_are_unescaped(host):
    host.mount("/a\\040b", "tmpfs", "0:50", "none")
    host.mount("/a\\040b", "nfs4", "0:51", "server:/b")
    assert Medium.NETWORK is host.medium("/a b/faces")


def test_nothing_is_known_without_proc(tmp_path):
    assert Medium.UNKNOWN is medium_of("/gold", mounts=str(tmp_path / "absent"))


def test_loop_device_tells_what_it_is_set_to(loop_ext4):
    flag = f"/sys/class/block/{os.path.basename(loop_ext4.device)}/queue/rotational"
    with open(flag, encoding="ascii") as file:
        before = file.read()
    try:
        for value, expected in (("1", Medium.ROTATIONAL), ("0", Medium.SOLID_STATE)):
            with open(flag, "w", encoding="ascii") as file:
                file.write(value)
            assert expected is medium_of(loop_ext4.top)
    finally:
        with open(flag, "w", encoding="ascii") as file:
            file.write(before)
