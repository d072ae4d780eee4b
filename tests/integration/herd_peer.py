#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A herd of connections that hold on to the server for nothing, until it is killed.

    herd_peer.py ADDRESS NAME CONNECTIONS

A third of them says nothing, a third asks for NAME and reads none of it, and a third sends its request one byte a second.
Prints a line when all are connected, have asked and have sent their first byte.
"""

import socket
import sys
import time

from load_peer import allow_open_files


def main(address, name, count):
    request = f"GET /{name} HTTP/1.1\r\nHost: test\r\n\r\n".encode()
    herd = [socket.create_connection((address, 80)) for _ in range(count)]
    for deaf in herd[1::3]:
        deaf.sendall(request)
    slow = herd[2::3]
    for number, byte in enumerate(request):
        for connection in slow:
            connection.sendall(bytes([byte]))
        if number == 0:
            print(f"{count} connections are here", flush=True)
        time.sleep(1)
    time.sleep(3600)


if __name__ == "__main__":
    allow_open_files(int(sys.argv[3]) + 100)
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
