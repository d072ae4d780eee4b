# SPDX-License-Identifier: Apache-2.0
"""What the guest has for a disk: a cpio archive of files, programs with their libraries, and modules."""

import pathlib
import re
import stat
import subprocess
import tempfile

PMD_FOLDER = "/usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0"
LIBRARY_FOLDER = pathlib.Path("/usr/lib/x86_64-linux-gnu")
DPDK_DRIVERS = ("bus_pci", "bus_vdev", "mempool_ring", "net_e1000", "net_virtio", "net_vmxnet3")


class Archive:
    """A cpio archive in the "newc" format (the kernel's Documentation/driver-api/early-userspace)."""

    def __init__(self):
        self._entries = []
        self._known = set()

    def _add(self, path, mode, content=b""):
        path = str(path).strip("/")
        if path in self._known:
            return
        parent = str(pathlib.PurePath(path).parent)
        if parent != ".":
            self._add(parent, stat.S_IFDIR | 0o755)
        self._known.add(path)
        self._entries.append((path, mode, content))

    def folder(self, path):
        self._add(path, stat.S_IFDIR | 0o755)

    def file(self, path, content, executable=False):
        self._add(path, stat.S_IFREG | (0o755 if executable else 0o644), content)

    def link(self, path, target):
        self._add(path, stat.S_IFLNK | 0o777, target.encode())

    def has(self, path):
        return str(path).strip("/") in self._known

    def program(self, path, source):
        """A dynamic program without its debug information, and the libraries that it needs."""
        with tempfile.NamedTemporaryFile() as stripped:
            subprocess.run(["strip", "-o", stripped.name, str(source)], check=True, timeout=60)
            self.file(path, pathlib.Path(stripped.name).read_bytes(), executable=True)
        self.libraries_of(source)

    def libraries_of(self, source):
        listed = subprocess.run(["ldd", str(source)], capture_output=True, text=True, check=True, timeout=60).stdout
        for name, found in re.findall(r"^\s*(?:(\S+) => )?(/\S+) \(0x", listed, re.MULTILINE):
            # The loader stands where programs name it; all else where the loader looks first.
            where = f"/lib/x86_64-linux-gnu/{pathlib.Path(name).name}" if name else found
            if not self.has(where):
                if "/build" in found:  # ours, with debug information
                    self.program(where, pathlib.Path(found).resolve())
                else:
                    self.file(where, pathlib.Path(found).read_bytes(), executable=True)

    def dpdk_drivers(self):
        """EAL loads what ends in .so there, and nothing that ends in .so.23."""
        for driver in DPDK_DRIVERS:
            library = LIBRARY_FOLDER / f"librte_{driver}.so.23"
            self.libraries_of(library)
            self.file(f"/lib/x86_64-linux-gnu/{library.name}", library.read_bytes())
            self.link(f"{PMD_FOLDER}/librte_{driver}.so", f"/lib/x86_64-linux-gnu/{library.name}")

    def write(self, path):
        with open(path, "wb") as out:
            for number, (name, mode, content) in enumerate([*self._entries, ("TRAILER!!!", 0, b"")], start=1):
                fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
                head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
                out.write(head + b"\0" * (-len(head) % 4) + content + b"\0" * (-len(content) % 4))


def make(path, kernel, modules, programs, files):
    """Writes the archive. `programs`: path in the guest to path here; `files`: path in the guest to bytes."""
    archive = Archive()
    for folder in ("/dev", "/proc", "/sys", "/tmp", "/root", "/run", "/bin", "/etc", "/var/tmp"):
        archive.folder(folder)
    archive.file("/bin/busybox", pathlib.Path("/bin/busybox").read_bytes(), executable=True)
    archive.link("/bin/sh", "busybox")
    here = pathlib.Path(__file__).parent
    archive.file("/init", (here / "init.sh").read_bytes(), executable=True)
    archive.link("/lib64", "/lib/x86_64-linux-gnu")
    archive.file("/etc/passwd", b"root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n")
    archive.file("/etc/group", b"root:x:0:\nuser:x:1000:\n")
    for where, source in programs.items():
        archive.program(where, source)
    archive.dpdk_drivers()
    for program in (LIBRARY_FOLDER / "bpf").glob("xdp*.o"):  # libxdp's dispatcher
        archive.file(program, program.read_bytes())
    order = []
    for module in kernel.module_files(modules):
        name = module.name.split(".")[0] + ".ko"
        archive.file(f"/modules/{name}", kernel.module_bytes(module))
        order.append(name)
    archive.file("/modules/order", "".join(f"{name}\n" for name in order).encode())
    for where, content in files.items():
        archive.file(where, content, executable=where.endswith(".sh"))
    archive.write(path)
