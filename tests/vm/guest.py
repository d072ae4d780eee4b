# SPDX-License-Identifier: Apache-2.0
"""One virtual machine: started, talked to over its serial console, and gone in the end."""

import ctypes
import mmap
import re
import subprocess
import threading
import time

import network

BOOT_OPTIONS = ("console=ttyS0 quiet panic=-1 intel_iommu=on iommu=pt tsc=reliable no_timer_check mitigations=off "
                "nokaslr rdinit=/init")


def tsc_khz():
    """How fast this machine's time-stamp counter runs. A guest under TCG sees that very counter, and on a busy machine may
    measure it so badly that its time runs several times too fast; so it is told."""
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\x0f\x31\x48\xc1\xe2\x20\x48\x09\xd0\xc3")  # rdtsc; shl rdx, 32; or rax, rdx; ret
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    rdtsc = ctypes.CFUNCTYPE(ctypes.c_uint64)(address)

    def instant():
        """The clock and the counter at one time: of several tries the one that took least."""
        tries = []
        for _ in range(200):
            begin, ticks, end = time.monotonic_ns(), rdtsc(), time.monotonic_ns()
            tries.append((end - begin, (begin + end) / 2, ticks))
        return min(tries)[1:]

    begin_ns, begin_ticks = instant()
    time.sleep(0.1)
    end_ns, end_ticks = instant()
    return round((end_ticks - begin_ticks) * 1e6 / (end_ns - begin_ns))


# A guest boots in 4 s on a machine with nothing else to do, and in ten times that on a busy one.
PATIENCE_S = 120
BOOT_ATTEMPTS = 4


class GuestError(Exception):
    """What the guest said or did not say, with the end of its console."""


class Guest:
    """`qemu`: the command's beginning; `nic`: QEMU's device and its properties, without netdev. KVM is never tried:
    where it is only nested, Debian's kernels may not start."""

    MEMORY_MIB = 1024

    def __init__(self, qemu, kernel, initrd, nic, net, vnet_hdr=False, log=None):
        self._command = net.command(
            *qemu, "-nodefaults", "-display", "none", "-no-reboot", "-machine", "q35",
            "-accel", "tcg,thread=multi", "-cpu", "max,la57=off", "-m", str(self.MEMORY_MIB), "-smp", "2",
            "-device", "intel-iommu,intremap=on,caching-mode=on,aw-bits=48",
            "-netdev", f"tap,id=n0,ifname={network.TAP},script=no,downscript=no,vhost=off,"
                       f"vnet_hdr={'on' if vnet_hdr else 'off'}",
            "-device", f"{nic},netdev=n0,rombar=0",
            "-kernel", str(kernel.vmlinux), "-initrd", str(initrd), "-serial", "stdio", "-monitor", "none",
            "-append", f"{BOOT_OPTIONS} tsc_early_khz={tsc_khz()}")
        self._log = log
        self.lines = []
        self._changed = threading.Condition()
        self._ended = False
        self._process = None
        self._reader = None

    def __enter__(self):
        """Boots it. QEMU's translation may run into a kernel that patches its own code while its other processor runs
        it ("Oops: int3"), so a kernel that dies on its way to our first word gets further chances."""
        for attempt in range(BOOT_ATTEMPTS):
            self._start()
            try:
                self.expect("^@@ up$|Kernel panic")
                if "@@ up" in self.lines or attempt + 1 == BOOT_ATTEMPTS:
                    return self
            except GuestError:
                if attempt + 1 == BOOT_ATTEMPTS:
                    self.__exit__()
                    raise
            except BaseException:
                self.__exit__()
                raise
            self.__exit__()
        return self

    def _start(self):
        self.lines = []
        self._ended = False
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __exit__(self, *_):
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join()
        if self._log:
            self._log.write_text("\n".join(self.lines) + "\n")

    def _read(self):
        for line in iter(self._process.stdout.readline, b""):
            text = line.decode(errors="replace").rstrip("\r\n")
            with self._changed:
                self.lines.append(text)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def tell(self, line=""):
        self._process.stdin.write(line.encode() + b"\n")

    def expect(self, pattern, timeout_s=PATIENCE_S, since=0):
        """The match of the first line from `since` on; GuestError if the guest ends or time does before."""
        limit = time.monotonic() + timeout_s
        looked = since
        with self._changed:
            while True:
                for looked in range(looked, len(self.lines)):
                    if found := re.search(pattern, self.lines[looked]):
                        return found
                looked = len(self.lines)
                if self._ended:
                    raise self.trouble(f"the guest ended without saying \"{pattern}\"")
                if not self._changed.wait(limit - time.monotonic()):
                    raise self.trouble(f"the guest did not say \"{pattern}\" within {timeout_s} s")

    def mark(self):
        """Where its words have come to, for `since`: the beginning of the step that runs now, or comes next."""
        with self._changed:
            begins = [i for i, line in enumerate(self.lines) if line.startswith("@@ begin ")]
            ends = [i for i, line in enumerate(self.lines) if line.startswith("@@ exit ")]
            return max(ends[-1] if ends else 0, begins[-1] if begins else 0)

    def exit_code(self, step, timeout_s=PATIENCE_S):
        return int(self.expect(rf"@@ exit {re.escape(step)} (\d+)", timeout_s).group(1))

    def output_of(self, step):
        """What stands between a step's beginning and its end."""
        begin = next(i for i, line in enumerate(self.lines) if line == f"@@ begin {step}")
        end = next(i for i, line in enumerate(self.lines) if line.startswith(f"@@ exit {step} "))
        return "\n".join(self.lines[begin + 1:end])

    def require_silent_kernel(self, expected=""):
        """After `finish`: nothing but what matches `expected` was complained of."""
        complaints = [line.removeprefix("@@ kernel ") for line in self.lines if line.startswith("@@ kernel ")]
        if unexpected := [each for each in complaints if not expected or not re.search(expected, each)]:
            raise GuestError("the guest's kernel complains: " + "; ".join(unexpected))

    def finish(self, timeout_s=PATIENCE_S):
        """Until the guest has run its test to the end and is off."""
        self.expect("^@@ end$", timeout_s)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise self.trouble("the guest does not switch itself off") from None
        if troubles := [line for line in self.lines if line.startswith("@@ trouble")]:
            raise self.trouble("; ".join(troubles))

    def trouble(self, what):
        tail = "\n".join(self.lines[-60:])
        return GuestError(f"{what}; its console:\n{tail}")
