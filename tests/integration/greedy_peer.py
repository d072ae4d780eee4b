#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Connections that ask for as much as they may and take nothing.

    greedy_peer.py ADDRESS NAME CONNECTIONS REQUESTS

Each connection asks REQUESTS times for NAME at once, in heads of almost the longest kind, and reads no more than the
beginning of the first response. Prints a line when all have heard that, and stays.
"""

import asyncio
import sys

from load_peer import allow_open_files


async def main(address, name, connection_count, request_count):
    query = "q" * 7_900
    request = f"GET /{name}?{query} HTTP/1.1\r\nHost: test\r\n\r\n".encode()
    open_ones = []

    # It is what they hold that counts. If all came at once, most of it would be losses and waiting for time-outs.
    turnstile = asyncio.Semaphore(50)

    async def ask():
        async with turnstile:
            reader, writer = await asyncio.open_connection(address, 80, limit=1024)
            open_ones.append(writer)
            writer.write(request * request_count)
            await reader.readexactly(1)

    await asyncio.gather(*(ask() for _ in range(connection_count)))
    print(f"{len(open_ones)} connections ask and do not listen", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    allow_open_files(int(sys.argv[3]) + 100)
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
