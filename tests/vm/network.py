# SPDX-License-Identifier: Apache-2.0
"""The host's end of the guest's cable: a tap in a network namespace of the test's own."""

import os
import pathlib
import subprocess

HOST_ADDRESS = "10.77.0.1"
GUEST_ADDRESS = "10.77.0.2"
TAP = "tap0"


class Network:
    """Made on entry, gone on exit with all that is in it."""

    def __init__(self):
        self.namespace = f"strictsend-vm-{os.getpid()}"

    def __enter__(self):
        for left in pathlib.Path("/run/netns").glob("strictsend-vm-*"):  # by a test that was killed
            if not pathlib.Path("/proc", left.name.rpartition("-")[2]).exists():
                self._ip("netns", "delete", left.name)
        self._ip("netns", "add", self.namespace)
        try:
            self._inside("ip", "tuntap", "add", "dev", TAP, "mode", "tap")
            self._inside("ip", "address", "add", f"{HOST_ADDRESS}/24", "dev", TAP)
            # No neighbour discovery of the host's own in what the tests capture.
            self._inside("sysctl", "-qw", f"net.ipv6.conf.{TAP}.disable_ipv6=1")
            self._inside("ip", "link", "set", "lo", "up")
            self._inside("ip", "link", "set", TAP, "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        subprocess.run(["ip", "netns", "delete", self.namespace], check=False, timeout=30)

    def command(self, *command):
        return ["ip", "netns", "exec", self.namespace, *command]

    def _inside(self, *command):
        self._ip("netns", "exec", self.namespace, *command)

    @staticmethod
    def _ip(*arguments):
        subprocess.run(["ip", *arguments], check=True, timeout=30)
