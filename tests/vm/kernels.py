# SPDX-License-Identifier: Apache-2.0
"""Debian's kernels as QEMU boots them fastest: the ELF file inside the package's bzImage, by the PVH entry point."""

import lzma
import pathlib
import struct
import subprocess
import zlib

import downloads

ELF = b"\x7fELF"


def _inflate(packed):
    if packed.startswith(b"\xfd7zXZ"):
        return lzma.LZMADecompressor().decompress(packed)
    if packed.startswith(b"\x1f\x8b"):
        return zlib.decompressobj(wbits=31).decompress(packed)
    if packed.startswith(b"\x28\xb5\x2f\xfd"):
        # The payload's last four bytes are its length, which zstd takes for the beginning of another frame.
        done = subprocess.run(["zstd", "-dc", "--quiet"], input=packed, capture_output=True, check=False, timeout=60)
        return done.stdout
    raise downloads.Unavailable(f"the kernel is packed in a way not known here ({packed[:4].hex()})")


def _vmlinux_of(image):
    """Linux' Documentation/arch/x86/boot.rst: setup_sects at 0x1f1, payload_offset and payload_length at 0x248."""
    sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    begin = (sectors + 1) * 512 + offset
    vmlinux = _inflate(image[begin:begin + length])
    if not vmlinux.startswith(ELF):
        raise downloads.Unavailable("no ELF file in the kernel's payload")
    return vmlinux


class Kernel:
    """`vmlinux` and the modules of a suite's linux-image-amd64."""

    def __init__(self, suite):
        package = suite.dependency("linux-image-amd64")
        self.root = suite.unpacked(package, f"linux-{suite.name}")
        self.release = next((self.root / "lib" / "modules").iterdir()).name
        self.modules = self.root / "lib" / "modules" / self.release
        self.vmlinux = self.root / "vmlinux"
        if not self.vmlinux.exists():
            image = (self.root / "boot" / f"vmlinuz-{self.release}").read_bytes()
            part = self.root / "vmlinux.part"
            part.write_bytes(_vmlinux_of(image))
            subprocess.run(["depmod", "-b", str(self.root), self.release], check=True, timeout=120)
            part.rename(self.vmlinux)

    @property
    def version(self):
        return tuple(int(part) for part in self.release.split("+")[0].split("-")[0].split(".")[:2])

    def module_files(self, names):
        """Those modules and what they need, in the order of loading. Built-in ones are left out."""
        needs = {}
        for line in (self.modules / "modules.dep").read_text().splitlines():
            path, _, others = line.partition(":")
            needs[path] = others.split()
        by_name = {pathlib.Path(path).name.split(".")[0].replace("-", "_"): path for path in needs}
        order = []

        def add(path):
            # modules.dep lists what a module needs with the most basic one last.
            for other in reversed(needs[path]):
                if other not in order:
                    add(other)
            if path not in order:
                order.append(path)

        for name in names:
            if path := by_name.get(name.replace("-", "_")):
                add(path)
        return [self.modules / path for path in order]

    @staticmethod
    def module_bytes(path):
        packed = path.read_bytes()
        return packed if packed.startswith(ELF) else _inflate(packed)
