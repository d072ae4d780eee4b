#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs one entry of the matrix of emulated NICs. Exit code 77: it could not be tried, the last line says why."""

import argparse
import dataclasses
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import client
import downloads
import guest
import initramfs
import kernels
import negative
import network
import strictness

VFIO = ("vfio_iommu_type1", "vfio-pci")
HUGE_PAGES = "echo 96 >/proc/sys/vm/nr_hugepages\n"
PROGRAMS = ("apps/strictsend", "tests/vm/nic_probe")
EAL = "-- -m 64 --no-telemetry"
# The device reads what it was handed 5 ms after the doorbell.
LATE_VIRTIO = "virtio-net-pci,disable-legacy=on,iommu_platform=on,ats=on,tx=timer,x-txtimer=5000000"


@dataclasses.dataclass
class Entry:
    run: callable
    nic: str
    about: str
    kernel: str = downloads.RELEASE
    qemu: str = downloads.RELEASE
    vnet_hdr: bool = False
    modules: tuple = VFIO
    expected_faults: str = ""  # what this NIC's driver brings about by itself
    cases: str = ""  # of `strictsend conformance`; empty: it is not run


def fetch(entry):
    """The kernel and QEMU's command."""
    with downloads.exclusive():
        return kernels.Kernel(downloads.Suite(entry.kernel)), qemu_command(entry.qemu)


class Machine:
    """All that one entry needs to start guests: made once, guests may be several."""

    def __init__(self, entry, build, work):
        self.entry = entry
        self.build = build
        self.work = work
        self.kernel, self.qemu = fetch(entry)
        self.net = None
        self.notes = []

    def boot(self, script, files=None, programs=PROGRAMS):
        initrd = self.work / "initrd.cpio"
        initramfs.make(initrd, self.kernel, self.entry.modules,
                       {f"/opt/{pathlib.Path(program).name}": self.build / program for program in programs},
                       {"/test.sh": script.encode(), **(files or {})})
        return guest.Guest(self.qemu, self.kernel, initrd, self.entry.nic, self.net, vnet_hdr=self.entry.vnet_hdr,
                           log=self.work / "console.log")

    def note(self, text):
        self.notes.append(text)
        print(f"  {text}", flush=True)


def qemu_command(suite):
    if suite == downloads.RELEASE:
        return ["qemu-system-x86_64"]
    folder = downloads.Suite(suite).unpacked("qemu-system-x86", f"qemu-{suite}", dependencies=True)
    libraries = folder / "usr" / "lib" / "x86_64-linux-gnu"
    return ["env", f"LD_LIBRARY_PATH={libraries}", f"QEMU_MODULE_DIR={libraries}/qemu",
            str(folder / "usr" / "bin" / "qemu-system-x86_64"), "-L", str(folder / "usr" / "share" / "qemu"),
            "-L", str(folder / "usr" / "share" / "seabios")]


def expect(condition, what):
    if not condition:
        raise client.Wrong(what)


def conformance_script(machine, nic, eal=""):
    if not machine.entry.cases:
        return ""
    return strictness.sender("conformance", nic, f"--downloads 4 --cases {machine.entry.cases}", eal)


def dpdk_script(machine):
    return (HUGE_PAGES + "nic=$(nics)\nbind_vfio $nic\n"
            f"serve_until_told serve strictsend serve --nic dpdk:$nic --root /srv/files --cache 64M "
            f"--address {network.GUEST_ADDRESS}/24 {EAL}\n" + conformance_script(machine, "dpdk:$nic", EAL))


def serve(machine, script, judge_checksums=True, then=None, programs=PROGRAMS, more_files=None):
    """Downloads from `serve` in the guest, all of it compared, and what else the entry wants; returns serve's words."""
    files = client.make_files()
    in_guest = {f"/srv/files/{name}": content for name, content in files.items()} | (more_files or {})
    with machine.boot(script, in_guest, programs) as vm:
        begin = time.monotonic()
        vm.expect("^serving http")
        machine.note(f"serving after {time.monotonic() - begin:.1f} s")
        client.ping(machine.net)
        capture = client.Capture(machine.net, machine.work / "tap.pcapng")
        with capture:
            total = client.download_all(machine.net, files)
        vm.tell()
        expect(vm.exit_code("serve") == 0, "serve did not end well")
        said = vm.output_of("serve")
        for line in vm.lines:
            if line.startswith(("dpdk:", "af_xdp:", "zero-copy:")):
                machine.note(line)
        for what in ("frames left pinned", "snapshots left", "bytes copied to send"):
            expect(client.said_number(said, what) == 0, f"{what}: not 0 but {client.said_number(said, what)}")
        if judge_checksums:
            packets, longest = capture.judge()
            machine.note(f"{total} bytes downloaded and equal; {packets} packets of up to {longest} bytes, all checksums right")
        else:
            machine.note(f"{total} bytes downloaded and equal")
        if machine.entry.cases:
            strictness.prove(machine, vm, "conformance")
        if then:
            then(vm)
        vm.finish()
        vm.require_silent_kernel(machine.entry.expected_faults)
        return said


def run_dpdk(machine):
    serve(machine, dpdk_script(machine))


def run_tso(machine):
    said = serve(machine, dpdk_script(machine))
    expect("segmentation offload" in said, "the port does not offer segmentation")


def run_strictness(machine):
    nic = "dpdk:$nic"
    serve(machine, dpdk_script(machine) + strictness.mutants(nic, EAL), judge_checksums=False,
          then=lambda vm: [strictness.find(machine, vm, mutant) for mutant in strictness.MUTANTS],
          programs=("apps/strictsend", "tests/vm/conformance_mutant"))


def lose_interface(machine, vm):
    """The driver lets go of the device while a download is under way."""
    since = vm.mark()
    vm.expect("^serving http", since=since)
    with client.SlowDownload(machine.net, 60):
        vm.tell()
        expect(vm.exit_code("unbind") == 1, "serve did not end with exit code 1 after its interface was gone")
    said = vm.output_of("unbind")
    expect("it was removed" in said, f"serve does not say that its interface was removed:\n{said}")
    expect(client.said_number(said, "snapshots left") == 0, "snapshots are left")
    # Pages that the kernel may or may not have taken, and that nobody will ever tell of, stay as they are.
    machine.note(f"unbound while sending: {client.line_of(said, 'strictsend serve:')}; "
                 f"{client.said_number(said, 'frames left pinned')} frames kept as they are")


def run_af_xdp(machine):
    command = "strictsend serve --nic af_xdp:eth0 --tx fragments --root /srv/files --cache 64M"
    said = serve(machine, f"""
ip address add {network.GUEST_ADDRESS}/24 dev eth0
ip link set eth0 up
step zero-copy timeout 20 nic_probe zero-copy eth0
serve_until_told serve {command}
{conformance_script(machine, "af_xdp:eth0")}
echo "@@ begin unbind"
{command} &
pid=$!
read -r _
basename "$(readlink /sys/class/net/eth0/device)" >/sys/bus/virtio/drivers/virtio_net/unbind
wait $pid
echo "@@ exit unbind $?"
""", then=lambda vm: lose_interface(machine, vm), more_files={"/srv/files/long": client.make_long_file()})
    expect("takes pages as they are" in said, "the driver does not take pages as they are")


ENTRIES = {
    "e1000e": Entry(run_dpdk, "e1000e", "DPDK on e1000e: descriptors, lazy frees, checksum offload",
                    cases="fragments,plain,control"),
    # Between closing and opening, the device is given address 0 for its shared memory.
    "vmxnet3": Entry(run_dpdk, "vmxnet3", "DPDK on vmxnet3: prompt frees",
                     expected_faults=r"handling fault status|fault addr 0x0 ", cases="fragments,control"),
    "igb": Entry(run_tso, "igb", "DPDK on igb with segmentation offload", qemu="bookworm-backports",
                 cases="fragments,checksum,control"),
    # Checksum offload, so that what is torn arrives: with sums made in software the receiver refuses it.
    "virtio": Entry(run_strictness, LATE_VIRTIO, "DPDK on virtio-net, which reads 5 ms late: strictness and mutants",
                    kernel="bookworm-backports", vnet_hdr=True, cases="all"),
    "af-xdp": Entry(run_af_xdp, LATE_VIRTIO, "AF_XDP on virtio-net, whose driver takes pages without copying",
                    kernel="bookworm-backports", vnet_hdr=True, modules=("virtio_net",), cases="fragments,control"),
    "negative": Entry(negative.run, "e1000e", "What goes wrong with a device and its IOMMU is told clearly"),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("entry", choices=[*ENTRIES, "fetch"], help="fetch: only download what the others need")
    parser.add_argument("build", type=pathlib.Path, nargs="?")
    arguments = parser.parse_args()
    if arguments.entry == "fetch":
        for entry in ENTRIES.values():
            fetch(entry)
        return 0
    if not arguments.build:
        parser.error("the build folder is missing")
    entry = ENTRIES[arguments.entry]
    # So that a test that is stopped leaves neither guest nor namespace.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    print(entry.about, flush=True)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="strictsend-vm-") as scratch:
        work = pathlib.Path(scratch)
        try:
            machine = Machine(entry, arguments.build, work)
            print(f"  Linux {machine.kernel.release}, QEMU of {entry.qemu}, ready in {time.monotonic() - begin:.1f} s", flush=True)
            with network.Network() as machine.net:
                entry.run(machine)
        except downloads.Unavailable as reason:
            print(reason)
            return 77
        except (client.Wrong, guest.GuestError, subprocess.TimeoutExpired) as error:
            console = work / "console.log"
            print(f"{error}\n")
            if not isinstance(error, guest.GuestError) and console.exists():
                print("\n".join(console.read_text().splitlines()[-60:]))
            return 1
    print(f"  done in {time.monotonic() - begin:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
