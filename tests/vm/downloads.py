# SPDX-License-Identifier: Apache-2.0
"""Debian packages of this release and of its backports, unpacked and kept by version, installed nowhere.

Nothing is asked but the registry from which this machine has its packages, with package lists of our own, so that the
machine's choice of suites stays what it is."""

import contextlib
import fcntl
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

RELEASE = "bookworm"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
APT_TIMEOUT_S = 300
LISTS_FRESH_S = 6 * 3600


class Unavailable(Exception):
    """Something that a test needs cannot be had here; the text says why."""


def cache_directory():
    if given := os.environ.get("STRICTSEND_VM_CACHE"):
        return pathlib.Path(given)
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(home) / "strictsend" / "vm"


@contextlib.contextmanager
def exclusive():
    """Tests run beside each other and share what is kept: the first one fetches it, the others find it."""
    cache = cache_directory()
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel lets go of it, even for who was killed
        yield


def _run(*command, **options):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=APT_TIMEOUT_S,
                          check=False, **options)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise Unavailable(f"{' '.join(command[:1])} failed: {said[-1] if said else done.returncode}")
    return done.stdout


def _mirror():
    """Where this machine gets its packages from."""
    listed = _run("apt-get", "indextargets", "--format", "$(CODENAME) $(COMPONENT) $(REPO_URI)", "Created-By: Packages")
    for line in listed.splitlines():
        codename, component, uri = line.split(" ", 2)
        if (codename, component) == (RELEASE, "main"):
            return uri
    raise Unavailable(f"apt knows no source of {RELEASE}/main")


class Suite:
    """`bookworm` or `bookworm-backports`, by the machine's mirror."""

    def __init__(self, name, cache=None):
        self.name = name
        self._cache = cache or cache_directory()
        self._options = None
        self._answers = self._cache / "apt" / name / "answers.json"

    def _apt(self):
        """apt's options for lists of our own, which are renewed when they are some hours old."""
        if self._options:
            return self._options
        state = self._cache / "apt" / self.name
        for folder in ("lists/partial", "archives/partial"):
            (state / folder).mkdir(parents=True, exist_ok=True)
        mirror = _mirror()
        suites = [RELEASE] if self.name == RELEASE else [RELEASE, self.name]
        (state / "sources.list").write_text("".join(
            f"deb [signed-by={KEYRING}] {mirror} {suite} main\n" for suite in suites))
        options = []
        for setting in (f"Dir::Etc::sourcelist={state}/sources.list", "Dir::Etc::sourceparts=/dev/null",
                        f"Dir::State::lists={state}/lists", f"Dir::Cache={state}", "APT::Sandbox::User=root",
                        "Acquire::Languages=none", "APT::Update::Error-Mode=any",
                        f"APT::Default-Release={self.name}", "Acquire::Retries=2"):
            options += ["-o", setting]
        stamp = state / "updated"
        if not stamp.exists() or time.time() - stamp.stat().st_mtime > LISTS_FRESH_S:
            _run("apt-get", *options, "-qq", "update")
            self._answers.unlink(missing_ok=True)
            stamp.touch()
        self._options = options
        return options

    def _field(self, package, field):
        """The first word of a field of its description. Remembered, since apt takes a second for it."""
        options = self._apt()
        known = json.loads(self._answers.read_text()) if self._answers.exists() else {}
        question = f"{package} {field}"
        if question not in known:
            shown = _run("apt-cache", *options, "show", "--no-all-versions", package)
            found = re.search(rf"^{field}: ([^ ,\n]+)", shown, re.MULTILINE)
            if not found:
                raise Unavailable(f"{package} of {self.name} has no {field}")
            known[question] = found.group(1)
            self._answers.write_text(json.dumps(known))
        return known[question]

    def dependency(self, package):
        """The first package that `package` depends on: what a metapackage stands for."""
        return self._field(package, "Depends")

    def with_dependencies(self, package):
        """It and the packages that its installation from this suite would bring here."""
        planned = _run("apt-get", *self._apt(), "--simulate", "--no-install-recommends", "install", package)
        return sorted({package, *re.findall(r"^Inst (\S+)", planned, re.MULTILINE)})

    def unpacked(self, package, title, dependencies=False):
        """A folder with the package's files, and on demand those of its dependencies, made once for each version."""
        try:
            version = self._field(package, "Version")
        except (Unavailable, subprocess.TimeoutExpired) as error:
            raise Unavailable(f"{title} of {self.name} cannot be had: {error}") from error
        folder = self._cache / f"{title}_{version.replace(':', '.')}"
        if folder.is_dir():
            return folder
        with tempfile.TemporaryDirectory(dir=self._cache) as scratch:
            work = pathlib.Path(scratch)
            (work / "files").mkdir()
            (work / "debs").mkdir()
            packages = self.with_dependencies(package) if dependencies else [package]
            _run("apt-get", *self._apt(), "-qq", "download", *packages, cwd=work / "debs")
            for deb in (work / "debs").glob("*.deb"):
                _run("dpkg-deb", "-x", str(deb), str(work / "files"))
            # Only what is complete gets the name.
            shutil.move(work / "files", folder)
        for older in self._cache.glob(f"{title}_*"):
            if older != folder:
                shutil.rmtree(older, ignore_errors=True)
        return folder
