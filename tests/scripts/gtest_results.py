# SPDX-License-Identifier: Apache-2.0
"""What came of one test program: its cases as GoogleTest reported them, or the reason why that is unknown."""

import dataclasses
import json
import pathlib
import re


@dataclasses.dataclass
class Outcome:
    passed: int = 0
    skips: list = dataclasses.field(default_factory=list)  # (case, reason)
    failures: list = dataclasses.field(default_factory=list)  # (case, what it said)


def how_it_ended(returncode, timed_out):
    if timed_out:
        return "did not end in time"
    if returncode < 0:
        return f"was killed by signal {-returncode}"
    return f"ended with exit code {returncode}"


def of_script(name, output, returncode, timed_out):
    """A script, or a fuzz target, is one case: 0 passes, 77 skips with its last line as the reason."""
    last_line = output.rstrip().rpartition("\n")[2]
    if returncode == 77 and not timed_out:
        return Outcome(skips=[(name, last_line or "no reason given")])
    if returncode == 0 and not timed_out:
        return Outcome(passed=1)
    return Outcome(failures=[(name, f"{how_it_ended(returncode, timed_out)}\n{output}")])


def output_of(case, output):
    """What a case printed between its [ RUN ] line and its verdict."""
    # The verdict need not stand at the beginning of a line: a case may print without a newline.
    match = re.search(
        rf"^\[ RUN      \] {re.escape(case)}\n(.*?)(?:\[       OK \]|\[  SKIPPED \]|\[  FAILED  \]) {re.escape(case)}\b",
        output, re.DOTALL | re.MULTILINE)
    return match.group(1).strip() if match else ""


def skip_reason(case, output):
    said = output_of(case, output)
    # "file:line: Skipped" and then the streamed message, after whatever else the case printed.
    match = re.search(r"^\S+:\d+: Skipped\n(.*)", said, re.DOTALL | re.MULTILINE)
    return " ".join((match.group(1) if match else said).split()) or "no reason given"


def without_report(name, output, returncode, timed_out):
    """The program ended before it could report: the case that was running takes the blame."""
    started = re.findall(r"^\[ RUN      \] (\S+)", output, re.MULTILINE)
    ended = set(re.findall(r"\[  (?:     OK|SKIPPED|FAILED ) \] (\S+)", output))
    running = next((case for case in reversed(started) if case not in ended), name)
    outcome = Outcome(passed=len(re.findall(r"\[       OK \] \S+ \(", output)))
    for case in dict.fromkeys(re.findall(r"\[  SKIPPED \] (\S+) \(", output)):
        outcome.skips.append((case, skip_reason(case, output)))
    for case in dict.fromkeys(re.findall(r"\[  FAILED  \] (\S+) \(", output)):
        outcome.failures.append((case, output_of(case, output)))
    tail = "\n".join(output.splitlines()[-80:])
    outcome.failures.append((running, f"the program {how_it_ended(returncode, timed_out)} and gave no results\n{tail}"))
    return outcome


def of_gtest(name, report: pathlib.Path, output, returncode, timed_out):
    try:
        suites = json.loads(report.read_text())["testsuites"]
    except (OSError, ValueError, KeyError):
        return without_report(name, output, returncode, timed_out)
    outcome = Outcome()
    for suite in suites:
        for case in suite["testsuite"]:
            full_name = f"{suite['name']}.{case['name']}"
            if "failures" in case:
                said = output_of(full_name, output)
                outcome.failures.append((full_name, said or "\n".join(f["failure"] for f in case["failures"])))
            elif case["result"] == "SKIPPED":
                outcome.skips.append((full_name, skip_reason(full_name, output)))
            elif case["result"] == "SUPPRESSED":
                outcome.skips.append((full_name, "switched off in the source (DISABLED_)"))
            elif case["result"] == "COMPLETED":
                outcome.passed += 1
    if not outcome.passed and not outcome.skips and not outcome.failures:
        outcome.failures.append((name, f"no case ran\n{output}"))
    elif (returncode != 0 or timed_out) and not outcome.failures:
        # Every case is well and the program is not: a leak found at exit, a failed tear-down.
        outcome.failures.append((name, f"the program {how_it_ended(returncode, timed_out)} after its last case\n{output}"))
    return outcome
