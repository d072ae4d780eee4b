# SPDX-License-Identifier: Apache-2.0
"""Writers in the guest rewrite the file while the host downloads it: `strictsend conformance` at both ends, and the same
on engines with a guard step switched off, which must show on the wire."""

import re
import subprocess

import client
import network

SIZE = "8M"
MUTANTS = {
    "no_protect": "protection off",
    "unpin_at_transmit": "released at the doorbell",
    "pin_after_doorbell": "pinned after the doorbell",
}


def sender(step, nic, options="", eal="", program="strictsend conformance"):
    """A line of the guest's script: its end of one run."""
    return (f"step {step} {program} --nic {nic} --address {network.GUEST_ADDRESS}/24 --peer {network.HOST_ADDRESS}"
            f" --directory /tmp --wait 40s --size {SIZE} {options} {eal}\n")


def mutants(nic, eal=""):
    return "".join(
        f"export STRICTSEND_MUTATION={name}\n"
        + sender(name, nic, "--cases fragments", eal, program="conformance_mutant")
        for name in MUTANTS)


def receive(machine, vm, step):
    """The host's end of one run; returns both exit codes and the report."""
    vm.expect(f"^@@ begin {step}$")
    done = subprocess.run(
        machine.net.command(str(machine.build / "apps" / "strictsend"), "conformance", "--peer", network.GUEST_ADDRESS,
                            "--directory", str(machine.work), "--wait", "40s"),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=150, check=False)
    return done.returncode, vm.exit_code(step, 60), done.stdout + done.stderr


def _lines_of(report, case):
    found = re.search(rf"^Case {case}\n(?:  .*\n)+", report.partition("Strict splice on a NIC")[2], re.MULTILINE)
    return dict(re.findall(r"^  (\S[^\n]*?)  +(\S.*)$", found.group(0), re.MULTILINE)) if found else {}


def prove(machine, vm, step):
    """One run that must prove every case; notes what each showed."""
    ours, theirs, report = receive(machine, vm, step)
    if (ours, theirs) != (0, 0):
        raise client.Wrong(f"{step}: receiver {ours}, sender {theirs}:\n{report}\n{vm.output_of(step)}")
    for case in ("fragments", "checksum", "plain", "linear", "control"):
        said = _lines_of(report, case)
        if "not asked for" not in said.get("not run", ""):
            machine.note(f"{case}: " + (f"not run: {said['not run']}" if "not run" in said else "; ".join(
                f"{each} {said[each]}" for each in ("downloads", "offloads", "writes", "pages preserved"))))
    machine.note(report.splitlines()[-1])


def find(machine, vm, mutant):
    """One run of a mutant, which must be torn."""
    _, _, report = receive(machine, vm, mutant)
    said = _lines_of(report, "fragments")
    torn = re.search(r"(\d+) torn", said.get("downloads", ""))
    if not torn or int(torn.group(1)) == 0:
        raise client.Wrong(f"the mutant {mutant} was not found:\n{report}")
    machine.note(f"mutant, {MUTANTS[mutant]}: {said['downloads']}; {said['torn']}")
