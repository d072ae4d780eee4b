# SPDX-License-Identifier: Apache-2.0
"""`strictsend top` in a terminal: a pty whose screen this program keeps, as far as top's sequences go.

    top_session.py STORY PROGRAM SOCKET

Plays one story, prints what it has seen as it goes, and at last "the story ends well". Whatever is not
as it should be is an exception, and exit status 1.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

LIMIT_S = 60


class Screen:
    """The lines of a terminal, and the modes that top changes."""

    sequence = re.compile(rb"\x1b\[(\??)([0-9;]*)([A-Za-z])")

    def __init__(self):
        self.rest = b""
        self.rows = {}
        self.row = self.column = 0
        self.modes = set()
        self.longest = 0

    def feed(self, data):
        data = self.rest + data
        at = 0
        while at < len(data):
            if data[at] == 0x1B:
                found = self.sequence.match(data, at)
                if not found:
                    if len(data) - at > 20:
                        raise ValueError(f"an unknown sequence: {data[at:at + 20]!r}")
                    break
                self.obey(*(part.decode() for part in found.groups()))
                at = found.end()
                continue
            if data[at] == 0x0D:
                self.column = 0
            elif data[at] == 0x0A:
                self.row += 1
            else:
                line = self.rows.get(self.row, "").ljust(self.column)
                self.rows[self.row] = line[:self.column] + chr(data[at]) + line[self.column + 1:]
                self.column += 1
                self.longest = max(self.longest, self.column)
            at += 1
        self.rest = data[at:]

    def obey(self, private, number, letter):
        if private:
            (self.modes.add if letter == "h" else self.modes.discard)(number)
        elif letter == "H":
            self.row = self.column = 0
        elif letter == "K":
            self.rows[self.row] = self.rows.get(self.row, "")[:self.column]
        elif letter == "J":
            below = 0 if number == "2" else self.row + 1
            self.rows = {row: line for row, line in self.rows.items() if row < below}
        else:
            raise ValueError(f"an unknown sequence: {letter}")

    def text(self):
        return "\n".join(self.rows.get(row, "") for row in range(max(self.rows, default=-1) + 1))


class Session:
    """One `strictsend top` as the foreground of a terminal of its own."""

    def __init__(self, program, socket, rows=24, columns=100):
        self.master, slave = pty.openpty()
        self.slave = slave  # kept, so that its settings can be looked at afterwards
        self.resize(rows, columns)
        self.settings = termios.tcgetattr(slave)
        self.screen = Screen()

        def in_terminal():
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen([program, "top", "--socket", socket, "--interval", "200ms"],
                                        stdin=slave, stdout=slave, stderr=slave,
                                        preexec_fn=in_terminal)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self):
        if select.select([self.master], [], [], 0.1)[0]:
            self.screen.feed(os.read(self.master, 65536))

    def until(self, what, holds):
        limit = time.monotonic() + LIMIT_S
        while not holds(self.screen):
            if time.monotonic() > limit or self.process.poll() is not None:
                raise TimeoutError(f"{what} never came; the screen is:\n{self.screen.text()}")
            self.read()
        print(what, flush=True)

    def type(self, keys):
        os.write(self.master, keys)

    def ends(self):
        """It ends by itself, and the terminal is as it was."""
        code = self.process.wait(LIMIT_S)
        while select.select([self.master], [], [], 0)[0]:
            self.screen.feed(os.read(self.master, 65536))
        assert code == 0, f"exit status {code}"
        assert not self.screen.modes & {"1049"}, "the alternate screen is still on"
        assert "25" in self.screen.modes, "the cursor is hidden"
        assert termios.tcgetattr(self.slave) == self.settings, "the settings are others"


def shows_rates(screen):
    return "strictsend" in screen.text() and re.search(r"sending +\d[^-]*/s", screen.text())


def begun(program, socket, **size):
    session = Session(program, socket, **size)
    session.until("the view", shows_rates)
    assert "1049" in session.screen.modes and "25" not in session.screen.modes
    assert not termios.tcgetattr(session.slave)[3] & termios.ECHO, "keys are echoed"
    return session


def endings(program, socket):
    for what in (b"q", b"\x04", b"\x03", b"\x1c", signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        session = begun(program, socket)
        if isinstance(what, bytes):
            session.type(what)
        else:
            session.process.send_signal(what)
        session.ends()


def sizes(program, socket):
    session = begun(program, socket, rows=24, columns=100)
    assert "queue" in session.screen.text()
    session.screen = Screen()
    session.resize(8, 40)
    session.until("a smaller view", lambda screen: "more lines" in screen.text())
    assert session.screen.longest < 40, session.screen.text()
    assert max(session.screen.rows) < 8, session.screen.text()
    session.resize(40, 120)
    session.until("a larger view", lambda screen: "faults" in screen.text().splitlines()[-2])
    # Smaller than anything that makes sense.
    session.resize(1, 1)
    session.resize(24, 100)
    session.until("the first view again", shows_rates)
    session.type(b"q")
    screen, session.screen = session.screen, Screen()
    session.screen.modes = screen.modes
    session.ends()


def stopped(program, socket):
    session = begun(program, socket)
    session.type(b"\x1a")  # Ctrl-Z
    pid, status = os.waitpid(session.process.pid, os.WUNTRACED)
    assert pid == session.process.pid and os.WIFSTOPPED(status)
    session.until("the terminal given back", lambda screen: "1049" not in screen.modes)
    assert termios.tcgetattr(session.slave) == session.settings
    session.process.send_signal(signal.SIGCONT)
    session.until("the view again", lambda screen: "1049" in screen.modes and shows_rates(screen))
    session.type(b"q")
    session.ends()


def hung_up(program, socket):
    session = begun(program, socket)
    os.close(session.slave)
    os.close(session.master)
    assert session.process.wait(LIMIT_S) in (0, 1)


def held(program, socket):
    session = begun(program, socket)
    session.type(b"\x13")  # Ctrl-S: the terminal takes nothing more
    while select.select([session.master], [], [], 1)[0]:
        session.read()
    session.process.send_signal(signal.SIGTERM)
    session.ends()


def waiting(program, socket):
    session = Session(program, socket)
    session.until("no server yet", lambda screen: "Trying again" in screen.text())
    session.until("there it is", lambda screen: shows_rates(screen) and "Trying" not in screen.text())
    session.until("there it goes", lambda screen: "Trying again" in screen.text())
    session.until("and is back", lambda screen: shows_rates(screen) and "Trying" not in screen.text())
    session.type(b"q")
    session.ends()


if __name__ == "__main__":
    stories = {story.__name__: story for story in (endings, sizes, stopped, held, hung_up, waiting)}
    stories[sys.argv[1]](sys.argv[2], sys.argv[3])
    print("the story ends well")
