# SPDX-License-Identifier: Apache-2.0
"""Writers in the guest rewrite the file while the host downloads it: `strictsend conformance` at both ends, and the same
on engines with a guard step switched off, which must show on the wire."""

import re
import subprocess

import client
import network

ATTEMPTS = 4
MUTANTS = {
    "no_protect": "protection off",
    "unpin_at_transmit": "released at the doorbell",
    "pin_after_doorbell": "pinned after the doorbell",
}


def _command(program, nic, options, eal):
    return (f"{program} --nic {nic} --address {network.GUEST_ADDRESS}/24 --peer {network.HOST_ADDRESS}"
            f" --directory /tmp --wait 40s {options} {eal}")


def sender(step, nic, options="", eal=""):
    """A line of the guest's script: its end of one run."""
    return f"step {step} {_command('strictsend conformance', nic, f'--size 4M {options}', eal)}\n"


def mutants(nic, eal=""):
    """The guest's end of each mutant's runs, until the host has seen enough."""
    command = _command("conformance_mutant", nic, "--cases fragments --size 8M", eal)
    return "".join(f"""
attempt=1
export STRICTSEND_MUTATION={name}
while true; do
  step {name}-$attempt {command}
  read -r answer
  [ "$answer" = again ] || break
  attempt=$((attempt + 1))
done
""" for name in MUTANTS)


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
        missing = said.get("not run", "")
        if missing and "not asked for" not in missing and "no segmentation offload" not in missing:
            raise client.Wrong(f"the case {case} was not run: {missing}")
        if "not asked for" not in missing:
            machine.note(f"{case}: " + (f"not run: {said['not run']}" if "not run" in said else "; ".join(
                f"{each} {said[each]}" for each in ("downloads", "offloads", "writes", "pages preserved"))))
    machine.note(report.splitlines()[-1])


def find(machine, vm, mutant):
    """Runs of a mutant, one of which must be torn: it does wrong at every chance, but chances are the scheduler's."""
    for attempt in range(1, ATTEMPTS + 1):
        _, _, report = receive(machine, vm, f"{mutant}-{attempt}")
        said = _lines_of(report, "fragments")
        torn = re.search(r"(\d+) torn", said.get("downloads", ""))
        found = torn is not None and int(torn.group(1)) > 0
        vm.tell("next" if found else "again")
        if found:
            machine.note(f"mutant, {MUTANTS[mutant]}: {said['downloads']} in run {attempt}; {said['torn']}")
            return
    raise client.Wrong(f"the mutant {mutant} was not found in {ATTEMPTS} runs:\n{report}")
