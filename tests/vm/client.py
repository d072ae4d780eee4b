# SPDX-License-Identifier: Apache-2.0
"""The host as a client: real TCP, real curl, and tshark on the tap."""

import concurrent.futures
import contextlib
import hashlib
import random
import re
import signal
import subprocess
import threading
import time

import network


class Wrong(Exception):
    """Something arrived that should not have, or did not."""


def make_files():
    """Sizes around pages and segments, and one of many pages; the same bytes every time."""
    source = random.Random(1)
    sizes = {"empty": 0, "one": 1, "below-page": 4095, "page": 4096, "above-page": 4097, "odd": 65537, "large": 4_000_001}
    return {name: source.randbytes(size) for name, size in sizes.items()}


def make_long_file():
    """More than the host's receive buffer takes."""
    return random.Random(2).randbytes(10_000_000)


def _curl(net, *arguments):
    return subprocess.run(net.command("curl", "--silent", "--show-error", "--max-time", "30", *arguments),
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=40, check=False)


def _download(net, name, content):
    done = _curl(net, "--fail", f"http://{network.GUEST_ADDRESS}/{name}")
    if done.returncode != 0:
        raise Wrong(f"curl of {name}: {done.stderr.decode().strip()}")
    if done.stdout != content:
        raise Wrong(f"{name} arrived as {len(done.stdout)} bytes with digest {hashlib.sha256(done.stdout).hexdigest()}"
                    f" instead of {len(content)} with {hashlib.sha256(content).hexdigest()}")
    return len(content)


def download_all(net, files, parallel_of_large=4):
    """Every file once, and the largest several times at once; returns the bytes."""
    total = sum(_download(net, name, content) for name, content in files.items())
    largest = max(files, key=lambda name: len(files[name]))
    with concurrent.futures.ThreadPoolExecutor(parallel_of_large) as pool:
        total += sum(pool.map(lambda _: _download(net, largest, files[largest]), range(parallel_of_large)))
    status = _curl(net, "--output", "/dev/null", "--write-out", "%{http_code}", f"http://{network.GUEST_ADDRESS}/none")
    if status.stdout != b"404":
        raise Wrong(f"a file that is not there was answered with {status.stdout.decode()}")
    return total


def ping(net):
    done = subprocess.run(net.command("ping", "-c", "2", "-i", "0.2", "-W", "5", network.GUEST_ADDRESS),
                          capture_output=True, text=True, timeout=20, check=False)
    if done.returncode != 0:
        raise Wrong(f"no answer to ping: {done.stdout.strip()}")


class Capture:
    """What passes the tap, for tshark to judge."""

    def __init__(self, net, path):
        self._net = net
        self._path = path
        self._process = None

    def __enter__(self):
        self._process = subprocess.Popen(
            self._net.command("dumpcap", "-q", "-i", network.TAP, "-B", "64", "-w", str(self._path)),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        # It says so when it listens.
        limit = time.monotonic() + 20
        for line in self._process.stderr:
            if "File:" in line:
                break
            if time.monotonic() > limit:
                raise Wrong("dumpcap does not begin")
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)
        self._said = self._process.communicate(timeout=20)[1]

    def count(self, display_filter):
        """Packets that it takes, in tshark's words."""
        done = subprocess.run(["tshark", "-r", str(self._path), "-Y", display_filter, "-T", "fields", "-e", "frame.number"],
                              capture_output=True, text=True, timeout=120, check=True)
        return len(done.stdout.split())

    def judge(self):
        """Packets from the guest, all with right checksums. Call it after the capture."""
        # Frames that dumpcap missed say nothing about the guest.
        listed = subprocess.run(
            ["tshark", "-r", str(self._path), "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE",
             "-Y", f"tcp && ip.src == {network.GUEST_ADDRESS}", "-T", "fields", "-e", "tcp.checksum.status",
             "-e", "ip.checksum.status", "-e", "ip.len", "-e", "frame.number", "-e", "tcp.checksum"],
            capture_output=True, text=True, timeout=120, check=True).stdout.splitlines()
        fields = [line.split("\t") for line in listed]
        # QEMU's NICs write a sum of 0 as 0xffff, which is the same number, and tshark calls it bad.
        bad = [field[3] for field in fields if field[1] != "1" or (field[0] != "1" and field[4] != "0xffff")]
        if not fields:
            raise Wrong("the capture has no packet from the guest")
        if bad:
            raise Wrong(f"{len(bad)} of {len(fields)} packets have a bad checksum, first frame {bad[0]}")
        return len(fields), max(int(field[2]) for field in fields)


def said_number(text, what):
    """A line "what   12" of the program's summary."""
    if found := re.search(rf"^\s*{re.escape(what)}\s+(\d+)", text, re.MULTILINE):
        return int(found.group(1))
    raise Wrong(f"the summary does not tell \"{what}\":\n{text}")


def line_of(text, what):
    """The first line with these words."""
    for line in text.splitlines():
        if what in line:
            return line
    raise Wrong(f"not said: \"{what}\"; said:\n{text}")


class SlowDownload:
    """A download that lasts for ten seconds, of which little waits in the host's buffers. It is slow because curl's
    output is read so: curl's own limit lets megabytes through at once on a busy machine."""

    PIECE = 65536
    PIECES_PER_S = 16

    def __init__(self, net, seconds_max):
        subprocess.run(net.command("sysctl", "-qw", "net.ipv4.tcp_rmem=4096 131072 262144"), check=True, timeout=30)
        self._process = subprocess.Popen(
            net.command("curl", "--silent", "--show-error", "--fail", "--max-time", str(seconds_max),
                        f"http://{network.GUEST_ADDRESS}/long"),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._content = self._process.stdout.read(self.PIECE)  # it is under way
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while piece := self._process.stdout.read(self.PIECE):
            self._content += piece
            time.sleep(1 / self.PIECES_PER_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._reader.join()
        self._process.wait()
        self._process.stdout.close()
        self._process.stderr.close()

    def wait(self, timeout_s):
        self._reader.join(timeout_s)
        return self._process.wait(timeout_s), self._content, self._process.stderr.read().decode()


def balanced(said, what):
    for count in ("frames left pinned", "snapshots left"):
        number = said_number(said, count)
        if number != 0:
            raise Wrong(f"{what}: {count} {number}")
