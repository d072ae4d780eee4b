#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds every configuration and runs its tests. The last line of the output is the sum over all cases."""

import argparse
import dataclasses
import functools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time

import gtest_results
import schedule

root = pathlib.Path(__file__).resolve().parents[2]

# These suites are not GoogleTest programs; one run is one case.
script_suites = {"checks", "fuzz", "vm"}
# What these write is worth reading when all is well, too.
telling_suites = {"vm"}
# These look at the whole machine, or race threads on purpose: nothing else runs meanwhile.
lonely_suites = {"kernel"}
# These have peers, timers and disks to wait for. A program of another suite says so with the label `waits`.
waiting_suites = {"integration", "waits"}
# Labels that are no suites.
labels = {"no-asan", "no-tsan", "waits"}


@dataclasses.dataclass
class Configuration:
    name: str
    directory: str
    options: list
    suites: set  # empty: all but `fuzz`, and everything is built; else only what these need
    products: bool = False  # the installed library and the programs too
    compiler: str = ""
    environment: dict = dataclasses.field(default_factory=dict)
    timeout_factor: int = 1


# What compiles faster: several sources at once, and lines without variables, which is all that a sanitizer reports.
# `build` has each source by itself, so that none leans on what another includes.
quickly = ["-Dunity=on", "-Dunity_size=8", "-Ddebug=false"]

# A test that makes no sense under a sanitizer says so with the suite label no-asan or no-tsan.
configurations = [
    Configuration("build", "build", [], set()),
    # Clang's: it also sees that the other compiler likes the product, and brings the fuzzer.
    Configuration(
        "asan", "build-asan",
        [*quickly, "-Dcpp_args=-g1", "-Db_sanitize=address,undefined", "-Doptimization=1", "-Dfuzz=true"],
        {"unit", "sim", "kernel", "fuzz"}, compiler="clang++-14", products=True,
        environment={
            "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1",
            "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"},
        timeout_factor=4),
    Configuration(
        # gcc takes an unnamed namespace for a header's when several sources are one.
        "tsan", "build-tsan",
        [*quickly, "-Dcpp_args=-g1 -Wno-subobject-linkage", "-Db_sanitize=thread", "-Doptimization=1",
         # EAL is not made for TSan; and so the build without DPDK is tried too.
         "-Ddpdk=disabled"],
        {"unit", "sim", "kernel"},
        environment={"TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1"}, timeout_factor=6),
]


live_groups = set()  # the processes that an interruption has to end


class Summary:
    """Prints as results come in, from any thread, and adds them up."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self._lock = threading.Lock()

    def add(self, configuration, name, outcome, seconds, notes=""):
        with self._lock:
            self.passed += outcome.passed
            self.failed += len(outcome.failures)
            self.skipped += len(outcome.skips)
            print(f"{configuration:6} {name:40} {outcome.passed:5} passed {len(outcome.failures):3} failed "
                  f"{len(outcome.skips):3} skipped {seconds:7.1f} s")
            for case, reason in outcome.skips:
                print(f"       SKIPPED {case}: {reason}")
            for case, said in outcome.failures:
                print(f"       FAILED {case}\n{indent(said)}")
            if notes:
                print(indent(notes))
            sys.stdout.flush()

    def fail(self, configuration, what, said):
        self.add(configuration, what, gtest_results.Outcome(failures=[(what, said)]), 0)


def indent(text):
    return "\n".join("       | " + line for line in text.rstrip().splitlines())


def introspect(configuration, what):
    listed = subprocess.run(["meson", "introspect", f"--{what}", str(root / configuration.directory)],
                            capture_output=True, text=True, check=True)
    return json.loads(listed.stdout)


def ninja_targets(configuration, wanted):
    """What the chosen tests need; compiling everything under every sanitizer takes too long. Nothing: everything."""
    if not configuration.suites and not any(wanted):
        return []
    directory = root / configuration.directory
    targets = introspect(configuration, "targets")
    files = {target["id"]: target["filename"] for target in targets}
    names = {name: target["id"] for target in targets for name in target["filename"]}
    needed = set()
    for _, _, test in tests_of(configuration, *wanted):
        needed.update(names[part] for part in test["cmd"] if part in names)
        needed.update(test["depends"])
    if configuration.products and not any(wanted):
        needed.update(target["id"] for target in targets if target["installed"])
    return sorted(os.path.relpath(name, directory) for each in needed for name in files[each])


def build(configuration, wanted, prefix=()):
    """Returns what went wrong, or nothing. `wanted`: suites and names; all tests if both are empty."""
    directory = root / configuration.directory
    environment = dict(os.environ)
    if configuration.compiler:
        environment["CXX"] = f"ccache {configuration.compiler}" if shutil.which("ccache") else configuration.compiler

    def step(*command):
        process = subprocess.Popen([*prefix, *command], env=environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                                   start_new_session=True)
        live_groups.add(process.pid)
        output = process.communicate()[0]
        live_groups.discard(process.pid)
        if process.returncode == 0:
            return ""
        said = [line for line in output.splitlines() if not line.startswith("[")]
        return "\n".join([" ".join(command), *said[-100:]])

    if not (directory / "build.ninja").exists():
        if trouble := step("meson", "setup", str(directory), str(root), *configuration.options):
            shutil.rmtree(directory, ignore_errors=True)  # a half-configured folder would be taken for a good one
            return trouble
    # Brings the list of tests up to date before it is asked for.
    if trouble := step("ninja", "-C", str(directory), "build.ninja"):
        return trouble
    targets = ninja_targets(configuration, wanted)
    if (configuration.suites or any(wanted)) and not targets:
        return ""
    return step("ninja", "-C", str(directory), *targets)


def tests_of(configuration, wanted_suites, wanted_names):
    chosen = []
    for test in introspect(configuration, "tests"):
        suites = {suite.partition(":")[2] or suite for suite in test["suite"]}
        if f"no-{configuration.name}" in suites:
            continue
        if configuration.suites and not suites & configuration.suites:
            continue
        if not configuration.suites and "fuzz" in suites:
            continue
        if wanted_suites and not suites & wanted_suites:
            continue
        label = f"{(sorted(suites - labels) or ['none'])[0]}/{test['name']}"
        if wanted_names and not any(name in label for name in wanted_names):
            continue
        chosen.append((label, suites, test))
    return chosen


def fixed_addresses():
    """Sanitizers map their shadow at fixed places; with more than 28 random bits other things get there first."""
    bits = pathlib.Path("/proc/sys/vm/mmap_rnd_bits")
    if not bits.exists() or int(bits.read_text()) <= 28:
        return []
    prefix = ["setarch", "-R"]
    return prefix if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0 else []


def signal_group(group, number):
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass


def interrupted(number, _frame):
    """Ctrl-C reaches no test, since each has a session of its own; ask them to clean up, then go."""
    for group in list(live_groups):
        signal_group(group, signal.SIGTERM)
    time.sleep(1)
    for group in list(live_groups):
        signal_group(group, signal.SIGKILL)
    os._exit(128 + number)


def run(test, directory, prefix, environment, timeout_s, log):
    """Returns output, exit code, whether it was stopped for taking too long."""
    with open(log, "wb") as out:
        process = subprocess.Popen(prefix + test["cmd"], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                   env=environment, cwd=test["workdir"] or directory, start_new_session=True)
        live_groups.add(process.pid)
        timed_out = False
        try:
            process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            timed_out = True
            signal_group(process.pid, signal.SIGTERM)  # so that a script can remove its namespaces
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                pass
        signal_group(process.pid, signal.SIGKILL)  # it, and whatever it left behind
        process.wait()
        live_groups.discard(process.pid)
    return log.read_text(errors="replace"), process.returncode, timed_out


def run_one(configuration, label, suites, test, prefix, summary):
    results = root / configuration.directory / "test-results"
    stem = label.replace("/", "-").replace(" ", "-")
    report = results / f"{stem}.json"
    environment = {**os.environ, **configuration.environment, **test["env"], "GTEST_OUTPUT": f"json:{report}"}
    begin = time.monotonic()
    timeout_s = test["timeout"] * configuration.timeout_factor or None
    said = run(test, root / configuration.directory, prefix, environment, timeout_s, results / f"{stem}.log")
    if suites & script_suites:
        outcome = gtest_results.of_script(label, *said)
    else:
        outcome = gtest_results.of_gtest(label, report, *said)
    notes = said[0] if suites & telling_suites and outcome.passed else ""
    summary.add(configuration.name, label, outcome, time.monotonic() - begin, notes)


def weight_of(suites, test):
    """VM tests say that they are not parallel for the sake of `meson test`, which knows yes or no only."""
    if "vm" in suites:
        return schedule.COMPUTES
    if suites & lonely_suites or not test["is_parallel"]:
        return schedule.ALONE
    return schedule.WAITS if suites & waiting_suites else schedule.COMPUTES


def jobs_of(configuration, wanted, summary, prefix):
    """Builds a configuration; returns its tests as jobs."""
    begin = time.monotonic()
    try:
        trouble = build(configuration, wanted, prefix)
    except Exception as error:  # pylint: disable=broad-except
        trouble = f"{type(error).__name__}: {error}"
    print(f"{configuration.name:6} built in {time.monotonic() - begin:.0f} s", flush=True)
    if trouble:
        summary.fail(configuration.name, "build", trouble)
        return []
    results = root / configuration.directory / "test-results"
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir()
    before = fixed_addresses() if configuration.environment else []
    return [schedule.Job(functools.partial(run_one, configuration, label, suites, test, before, summary),
                         weight_of(suites, test), test["priority"])
            for label, suites, test in tests_of(configuration, *wanted)]


def fetch_for_guests():
    """Starts the download of what the VM tests need, which takes its time on a fresh machine, while the compiler has
    the processors. The tests tell what became of it: they wait for it, and fetch what is not there."""
    process = subprocess.Popen([sys.executable, str(root / "tests" / "vm" / "vm_test.py"), "fetch"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               start_new_session=True)
    live_groups.add(process.pid)

    def end():
        process.wait()
        live_groups.discard(process.pid)
    threading.Thread(target=end, daemon=True).start()


def main():
    names = [configuration.name for configuration in configurations]
    parser = argparse.ArgumentParser(prog="./dev test")
    parser.add_argument("--config", action="append", choices=names)
    parser.add_argument("--suite", action="append", default=[])
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupted)
    summary = Summary()
    chosen = [each for each in configurations if not arguments.config or each.name in arguments.config]
    wanted = (set(arguments.suite), arguments.names)
    if chosen[0].name == "build" and (not any(wanted) or "vm" in wanted[0]):
        fetch_for_guests()
    # All but the first compile on what the tests leave of the processors: many of these wait.
    sources = [functools.partial(jobs_of, configuration, wanted, summary, ("chrt", "--idle", "0") if index else ())
               for index, configuration in enumerate(chosen)]
    schedule.Schedule(os.cpu_count()).run(sources)
    if summary.passed + summary.failed + summary.skipped == 0:
        summary.fail("-", "selection", "no test matches")
    print(f"{summary.passed} passed, {summary.failed} failed, {summary.skipped} skipped")
    return 1 if summary.failed else 0


if __name__ == "__main__":
    sys.exit(main())
