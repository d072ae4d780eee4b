#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A kernel socket that takes datagrams of datagrams_test.cpp in: | sequence 4 | offset 8 | slice |.

    datagram_peer.py ADDRESS PORT COUNT FILE    puts the slices at their offsets into FILE

Says "ready" once it listens, then, in one line, how many came, how many of them out of order, how
many bytes a second, and how many the kernel found with a wrong checksum in this namespace."""

import pathlib
import socket
import sys
import time


def wrong_checksums():
    counters = 0
    lines = pathlib.Path("/proc/self/net/snmp").read_text().splitlines()
    names, values = [line.split() for line in lines if line.startswith("Udp:")]
    counters += int(values[names.index("InCsumErrors")])
    for line in pathlib.Path("/proc/self/net/snmp6").read_text().splitlines():
        name, value = line.split()
        if name == "Udp6InCsumErrors":
            counters += int(value)
    return counters


def main(address, port, count, path):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    receiver = socket.socket(family, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE, which Python does not name
    receiver.bind((address, port))
    receiver.settimeout(10)
    print("ready", flush=True)
    came = unordered = size = 0
    begin = end = 0.0
    with open(path, "wb") as file:
        while came < count:
            try:
                datagram = receiver.recv(65536)
            except TimeoutError:
                break
            end = time.monotonic()
            begin = begin or end
            unordered += int.from_bytes(datagram[:4], "big") != came
            came += 1
            size += len(datagram)
            file.seek(int.from_bytes(datagram[4:12], "big"))
            file.write(datagram[12:])
    rate = int(size / (end - begin)) if end > begin else 0
    print(f"came {came} unordered {unordered} rate {rate} wrong {wrong_checksums()}", flush=True)


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
