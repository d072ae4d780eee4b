#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Downloads one file over a socket with odd settings, and writes its body to standard output.

    odd_reader.py ADDRESS NAME [--buffer BYTES] [--segment BYTES] [--read BYTES] [--pause MILLISECONDS] [--request BYTES]
        [--congestion NAME]

--buffer: SO_RCVBUF, of which the kernel makes twice as much; --segment: TCP_MAXSEG, which the SYN announces;
--read: as many bytes at most at once; --pause: before each read; --request: so much longer a request than need be;
--congestion: TCP_CONGESTION, which it is sent with. Exit status 0: as many bytes came as were announced.
"""

import argparse
import re
import socket
import sys
import time


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("name")
    parser.add_argument("--buffer", type=int)
    parser.add_argument("--segment", type=int)
    parser.add_argument("--read", type=int, default=1 << 16)
    parser.add_argument("--pause", type=float, default=0)
    parser.add_argument("--request", type=int, default=0)
    parser.add_argument("--congestion")
    return parser.parse_args()


def main(given):
    connection = socket.socket()
    connection.settimeout(60)
    if given.buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, given.buffer)
    if given.segment is not None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, given.segment)
    if given.congestion is not None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, given.congestion.encode())
    connection.connect((given.address, 80))
    more = "x" * given.request
    connection.sendall(f"GET /{given.name} HTTP/1.1\r\nHost: test\r\nX: {more}\r\nConnection: close\r\n\r\n".encode())
    head, got = b"", b""
    while b"\r\n\r\n" not in head:
        got = connection.recv(given.read)
        if not got:
            sys.exit(f"only {head!r} came")
        head += got
    head, _, body = head.partition(b"\r\n\r\n")
    expected = int(re.search(rb"Content-Length: (\d+)", head).group(1))
    received = len(body)
    sys.stdout.buffer.write(body)
    while True:
        time.sleep(given.pause / 1000)
        got = connection.recv(given.read)
        if not got:
            break
        received += len(got)
        sys.stdout.buffer.write(got)
    sys.stdout.buffer.flush()
    if received != expected:
        sys.exit(f"{received} bytes came of {expected}")


if __name__ == "__main__":
    main(arguments())
