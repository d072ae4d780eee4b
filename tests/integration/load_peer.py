#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Idle connections and downloads at the same time, every byte compared.

    load_peer.py ADDRESS DIRECTORY IDLE ACTIVE

IDLE connections get one small file each and stay open. With them open, ACTIVE others download one large file each,
all at once. Then each idle connection gets another small file. DIRECTORY has the originals: small-0, …, large-0, ….
Prints a line for each of the three steps; any difference or early end of a connection is an exception.
"""

import asyncio
import pathlib
import resource
import sys

piece_bytes = 1 << 16


class Connection:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, address):
        return cls(*await asyncio.open_connection(address, 80))

    async def ask(self, name):
        self.writer.write(f"GET /{name} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        if not head.startswith("HTTP/1.1 200 "):
            raise ValueError(f"{name}: {head}")

    async def compare(self, name, expected):
        for at in range(0, len(expected), piece_bytes):
            piece = expected[at:at + piece_bytes]
            if await self.reader.readexactly(len(piece)) != piece:
                raise ValueError(f"{name}: another byte than in the file, at or after {at}")

    def close(self):
        self.writer.close()


async def main(address, directory, idle_count, active_count):
    def originals(kind):
        return [(path.name, path.read_bytes()) for path in sorted(pathlib.Path(directory).glob(f"{kind}-*"))]

    small, large = originals("small"), originals("large")
    idle = []

    async def begin(number):
        connection = await Connection.open(address)
        idle.append(connection)
        await go_on(connection, number)

    async def go_on(connection, number):
        name, expected = small[number % len(small)]
        await connection.ask(name)
        await connection.compare(name, expected)

    waiting = active_count
    all_under_way = asyncio.Event()

    async def download(number):
        nonlocal waiting
        name, expected = large[number % len(large)]
        connection = await Connection.open(address)
        await connection.ask(name)
        # So that nobody is done before the last one has begun.
        waiting -= 1
        if waiting == 0:
            print(f"{active_count} downloads are under way", flush=True)
            all_under_way.set()
        await all_under_way.wait()
        await connection.compare(name, expected)
        connection.close()

    await asyncio.gather(*map(begin, range(idle_count)))
    print(f"{len(idle)} connections are idle", flush=True)
    await asyncio.gather(*map(download, range(active_count)))
    print(f"{active_count} downloads are right", flush=True)
    await asyncio.gather(*(go_on(connection, number + 1) for number, connection in enumerate(idle)))
    print(f"{len(idle)} idle connections were served again", flush=True)
    for connection in idle:
        connection.close()


def allow_open_files(wanted):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Root may raise the hard limit too.
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard if hard == resource.RLIM_INFINITY else max(hard, wanted)))


if __name__ == "__main__":
    idle_wanted, active_wanted = int(sys.argv[3]), int(sys.argv[4])
    allow_open_files(idle_wanted + active_wanted + 100)
    asyncio.run(main(sys.argv[1], sys.argv[2], idle_wanted, active_wanted))
