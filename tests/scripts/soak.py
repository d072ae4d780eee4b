#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Minutes of mixed load on `strictsend serve` over a veth pair: every answer is compared, and what the server takes of
the machine must not grow.

    soak.py --program PATH [--minutes N] [--directory DIR]

The server stands in the caller's network namespace, its clients in one of their own, which ends with this script. DIR
(default: the temporary directory) holds the files. Exit status 0: all was well.
"""

import argparse
import ctypes
import hashlib
import os
import pathlib
import random
import resource
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

MIB = 1 << 20
CLONE_NEWNET = 0x40000000
server_address, client_address = "198.19.255.1", "198.19.255.2"  # RFC 2544's range for benchmarks
cache_mib, large_mib = 64, 160
# More than the server keeps open, so that it has as many open at first as ever after.
small_files = 1100
# What may come on top from the first fifth after the warm-up to the last fifth, in medians.
growth_max = {"rss": 8 * MIB, "private": 4 * MIB, "fds": 8, "threads": 2}


def run(*argv):
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"soak: {' '.join(argv)}: {done.stderr.strip()}")


class Network:
    """A veth pair whose far end is in a namespace that lives as long as a process of ours."""

    def __init__(self):
        self.near, far = f"ssoak{os.getpid() % 100000}a", f"ssoak{os.getpid() % 100000}b"
        self.holder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sh", "-c", "echo; exec sleep infinity"],
            stdout=subprocess.PIPE)
        self.holder.stdout.readline()
        self.fd = os.open(f"/proc/{self.holder.pid}/ns/net", os.O_RDONLY)
        inside = ("nsenter", f"--net=/proc/{self.holder.pid}/ns/net")
        run("ip", "link", "add", self.near, "type", "veth", "peer", "name", far, "netns", str(self.holder.pid))
        run("ip", "address", "add", server_address + "/30", "dev", self.near)
        run("ip", "link", "set", self.near, "up")
        run(*inside, "ip", "address", "add", client_address + "/30", "dev", far)
        run(*inside, "ip", "link", "set", far, "up")

    def enter(self):
        """The calling thread, its sockets and its children are in the clients' namespace from here on."""
        if ctypes.CDLL(None, use_errno=True).setns(self.fd, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    def close(self):
        subprocess.run(["ip", "link", "delete", self.near], capture_output=True, check=False)
        self.holder.kill()
        self.holder.wait()


class Files:
    """What is served. Contents are slices of the same random bytes with a stamp in front, so that they need no room."""

    def __init__(self, directory):
        self.directory = directory
        self.small = {f"small-{i}": self.content(i, 1 << (10 + i % 7)) for i in range(small_files)}
        self.middle = {f"middle-{i}": self.content(100 + i, (1 + i) * MIB - i) for i in range(6)}
        for name, content in (self.small | self.middle).items():
            (directory / name).write_bytes(content)
        digest = hashlib.sha256()
        with open(directory / "large", "wb") as file:
            for i in range(large_mib):
                piece = self.content(1000 + i, MIB)
                digest.update(piece)
                file.write(piece)
        self.large_digest = digest.hexdigest()
        os.sync()  # what is written back during the load is not the load's

    noise = random.Random(1).randbytes(8 * MIB)

    @classmethod
    def content(cls, number, length):
        begin = number * 7919 % MIB
        return struct.pack("<Q", number)[:length] + cls.noise[begin:begin + max(length - 8, 0)]


class Load:
    """Clients of every kind, each a thread that goes on until the end."""

    def __init__(self, network, files, end):
        self.network, self.files, self.end = network, files, end
        self.lock = threading.Lock()
        self.counts, self.failures, self.bytes_compared = {}, [], 0
        kinds = [self.small, self.small, self.middle, self.large, self.slow, self.slow, self.ranges, self.gives_up,
                 self.replaces, self.is_bad, self.does_not_read]
        # Daemons, so that an interrupted run ends at once.
        self.threads = [threading.Thread(target=self.go_on, args=(kind, number), daemon=True)
                        for number, kind in enumerate(kinds)]
        for thread in self.threads:
            thread.start()

    def go_on(self, kind, number):
        self.network.enter()
        rng = random.Random(number)
        while time.monotonic() < self.end and len(self.failures) < 10:
            try:
                kind(rng)
            except Exception as error:  # pylint: disable=broad-except
                self.fail(f"{kind.__name__}: {error!r}")
                time.sleep(1)

    def join(self):
        for thread in self.threads:
            thread.join()

    def count(self, what, compared=0):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1
            self.bytes_compared += compared

    def fail(self, what):
        with self.lock:
            self.failures.append(what)

    @staticmethod
    def curl(*arguments):
        # No proxy: the environment's is not meant for these.
        return ["curl", "--silent", "--show-error", "--fail", "--noproxy", "*", "--max-time", "120", *arguments]

    @staticmethod
    def url(name):
        return f"http://{server_address}/{name}"

    def digest(self, *arguments):
        """Of what curl gets, and how much that is."""
        with subprocess.Popen(self.curl(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            digest, length = hashlib.sha256(), 0
            while piece := process.stdout.read(1 << 18):
                digest.update(piece)
                length += len(piece)
            said = process.stderr.read().decode().strip()
        if process.returncode != 0:
            raise RuntimeError(f"curl {' '.join(arguments)}: {said}")
        return digest.hexdigest(), length

    def compare(self, what, expected, *arguments):
        got, length = self.digest(*arguments)
        if got not in expected:
            self.fail(f"{what}: {length} other bytes came than were stored: curl {' '.join(arguments)}")
        self.count(what, length)

    def small(self, rng):
        names = [rng.choice(list(self.files.small)) for _ in range(20)]
        expected = hashlib.sha256(b"".join(self.files.small[name] for name in names)).hexdigest()
        self.compare("20 small files on a connection", {expected}, *map(self.url, names))

    def middle(self, rng):
        name, content = rng.choice(list(self.files.middle.items()))
        self.compare("file of some MiB", {hashlib.sha256(content).hexdigest()}, self.url(name))

    def large(self, _):
        self.compare("file larger than the cache", {self.files.large_digest}, self.url("large"))

    def slow(self, rng):
        name, content = rng.choice(list(self.files.middle.items()))
        rate = len(content) // rng.randint(2, 10)
        self.compare("slow reader", {hashlib.sha256(content).hexdigest()}, "--limit-rate", str(rate), self.url(name))

    def ranges(self, rng):
        name, content = rng.choice(list(self.files.middle.items()))
        begin = rng.randrange(len(content))
        end = rng.randrange(begin, len(content))
        self.compare("range", {hashlib.sha256(content[begin:end + 1]).hexdigest()}, "--range", f"{begin}-{end}",
                     self.url(name))

    def gives_up(self, rng):
        arguments = self.curl("--output", "/dev/null", self.url("large"))
        with subprocess.Popen(arguments, stderr=subprocess.DEVNULL) as process:
            time.sleep(rng.uniform(0.05, 1))
            process.kill()
        self.count("reader that gave up")

    def replaces(self, rng):
        """One version after the other; meanwhile a slow reader must get one of those that were there, whole."""
        before = Files.content(rng.randrange(1 << 30), rng.randrange(1, 2 * MIB))
        after = Files.content(rng.randrange(1 << 30), rng.randrange(1, 2 * MIB))
        name = f"replaced-{rng.randrange(3)}"
        self.put(name, before)
        reader = subprocess.Popen(self.curl("--limit-rate", "2M", self.url(name)), stdout=subprocess.PIPE)
        self.put(name, after)
        got = reader.communicate()[0]
        if reader.returncode != 0 or got not in (before, after):
            self.fail(f"{name}: neither the version before nor that after a PUT came, but {len(got)} bytes")
        self.count("reader beside a PUT", len(got))
        self.compare("file after a PUT", {hashlib.sha256(after).hexdigest()}, self.url(name))

    def put(self, name, content):
        done = subprocess.run(self.curl("--upload-file", "-", self.url(name)), input=content, capture_output=True,
                              check=False)
        if done.returncode != 0:
            raise RuntimeError(f"PUT {name}: {done.stderr.decode().strip()}")
        self.count("PUT")

    def is_bad(self, rng):
        with socket.create_connection((server_address, 80), timeout=20) as connection:
            kind = rng.randrange(4)
            if kind == 0:
                connection.sendall(rng.randbytes(rng.randrange(1, 5000)))
            elif kind == 1:
                connection.sendall(b"GET /small-0 HTTP/1.1\r\nHost: ")  # and no more
            elif kind == 2:
                connection.sendall(b"GET /small-0 HTTP/1.1\r\n" + b"X: y\r\n" * 20_000)
            else:
                connection.sendall(b"PUT /replaced-9 HTTP/1.1\r\nHost: s\r\nContent-Length: 1000000\r\n\r\nshort")
            time.sleep(rng.uniform(0, 0.3))
            if rng.randrange(2) == 0:  # a reset instead of a FIN
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.count("bad client")

    def does_not_read(self, rng):
        """Asks, and reads nothing until the server has had enough, or for some seconds."""
        with socket.create_connection((server_address, 80), timeout=20) as connection:
            connection.sendall(b"GET /middle-5 HTTP/1.1\r\nHost: soak\r\n\r\n")
            time.sleep(min(rng.uniform(1, 15), max(self.end - time.monotonic(), 0)))
        self.count("client that did not read")


class Server:
    def __init__(self, program, network, directory):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < 4096:
            resource.setrlimit(resource.RLIMIT_NOFILE, (4096, max(hard, 4096)))
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", program, "serve", "--nic", f"af_xdp:{network.near}", "--root", directory,
             "--address", server_address, "--cache", f"{cache_mib}M", "--allow-put", "--idle-timeout", "10s",
             "--request-timeout", "3s", "--drain-timeout", "5s"], stdout=self.log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 60
        while "serving http" not in self.said():
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"soak: the server does not start:\n{self.said()}")
            time.sleep(0.1)

    @staticmethod
    def open_all(network, files):
        """The server keeps files open that it was asked for: that is no growth."""
        def fetch():
            network.enter()
            names = [*files.small, *files.middle, "large"]
            done = subprocess.run(Load.curl(*map(Load.url, names)), stdout=subprocess.DEVNULL, check=False)
            fetched.append(done.returncode == 0)
        fetched = []
        thread = threading.Thread(target=fetch)
        thread.start()
        thread.join()
        if fetched != [True]:
            sys.exit("soak: the files cannot be fetched once, without any load (above)")

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def sample(self):
        base = pathlib.Path(f"/proc/{self.process.pid}")

        def field(file, name):
            line = next(line for line in (base / file).read_text().splitlines() if line.startswith(name + ":"))
            return int(line.split()[1])
        return {"rss": field("status", "VmRSS") * 1024, "private": field("smaps_rollup", "Pss_Anon") * 1024,
                "fds": len(os.listdir(base / "fd")), "threads": field("status", "Threads")}

    def stop(self):
        """Its exit status, or None if it does not end."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            return None

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def shown(what, value):
    return f"{value / MIB:.1f} MiB" if what in ("rss", "private") else f"{value:.0f}"


def judge_growth(samples, failures):
    fifth = max(len(samples) // 5, 1)
    names = {"rss": "resident memory", "private": "private memory", "fds": "open descriptors", "threads": "threads"}
    for what, most in growth_max.items():
        begin = statistics.median(sample[what] for sample in samples[:fifth])
        end = statistics.median(sample[what] for sample in samples[-fifth:])
        highest = max(sample[what] for sample in samples)
        print(f"  {names[what]:<18} {shown(what, begin)} at first, {shown(what, end)} in the end, at most "
              f"{shown(what, highest)}; may grow by {shown(what, most)}")
        if end - begin > most:
            failures.append(f"{names[what]}: grew from {shown(what, begin)} to {shown(what, end)}")


def soak(given, network, directory):
    files = Files(directory)
    server = Server(given.program, network, str(directory))
    try:
        server.open_all(network, files)
        begin, seconds = time.monotonic(), given.minutes * 60
        load = Load(network, files, begin + seconds)
        every = min(10, seconds / 60)
        samples = []
        print(f"soak: {given.minutes:g} minutes of load, cache {cache_mib} MiB, largest file {large_mib} MiB, "
              f"{len(files.small)} small ones", flush=True)
        while time.monotonic() < load.end - every and server.process.poll() is None and len(load.failures) < 10:
            time.sleep(every)
            if time.monotonic() > begin + seconds / 10:  # until then it warms up
                samples.append(server.sample())
            if sys.stderr.isatty():
                print(f"{time.monotonic() - begin:.0f} s of {seconds:.0f}", end="\r", file=sys.stderr)
        load.end = min(load.end, time.monotonic() + every)
        load.join()
        status = server.stop()
        summary = server.said()
    finally:
        server.close()
    failures = load.failures
    if status != 0:
        failures.append("the server does not end" if status is None else f"the server ended with status {status}")
    for line in ("frames left pinned      0\n", "snapshots left          0\n"):
        if line not in summary:
            failures.append(f"the server's summary does not say: {line.strip()}")
    for what, count in sorted(load.counts.items()):
        print(f"  {count:>8} x {what}")
    print(f"  {load.bytes_compared / MIB:.0f} MiB compared")
    if samples:
        judge_growth(samples, failures)
    else:
        failures.append("nothing could be sampled")
    print("the server said:\n" + "".join(f"  {line}\n" for line in summary.splitlines()), end="")
    for failure in failures:
        print(f"FAILED: {failure}")
    if not failures:
        print("all answers were right, nothing grew, everything was given back")
    return 1 if failures else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--directory")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    network = Network()
    try:
        with tempfile.TemporaryDirectory(prefix="strictsend-soak-", dir=given.directory) as directory:
            return soak(given, network, pathlib.Path(directory))
    except KeyboardInterrupt:
        return 130
    finally:
        network.close()


if __name__ == "__main__":
    sys.exit(main())
