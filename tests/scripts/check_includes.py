#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Includes point one way: apps -> engine -> {nic, pagecache} -> base. This finds those that do not."""

import pathlib
import re
import sys

# For each folder, the beginnings of what its files may include of ours. The public vocabulary
# (Error, IpAddress, FileAttributes, what probes find, the handles) has its one definition in installed headers, so three folders
# reach up to exactly those files.
allowed = {
    "base": ["base/", "strictsend/result.hpp", "strictsend/address.hpp"],
    "nic": ["nic/", "base/", "strictsend/result.hpp", "strictsend/address.hpp", "strictsend/probe.hpp"],
    "pagecache": ["pagecache/", "base/", "strictsend/result.hpp", "strictsend/file.hpp"],
    "engine": ["engine/", "nic/", "pagecache/", "base/", "strictsend/"],
    "engine/include": ["strictsend/"],
    "apps": ["apps/", "strictsend/"],
    "examples": ["strictsend/"],
    "tests": ["tests/", "apps/", "engine/", "nic/", "pagecache/", "base/", "strictsend/"],
}
ours = re.compile(r"^(base|nic|pagecache|engine|apps|tests|strictsend)/")
# The engine knows ports, not backends: what it includes of nic/ stands in nic/ itself.
backend = re.compile(r"^nic/(af_xdp|dpdk|sim)/")
include = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def complaints(name, text):
    """What is wrong with the includes of one file; `name` is its path from the root."""
    layer = "engine/include" if name.startswith("engine/include/") else name.partition("/")[0]
    for bracket, target in include.findall(text):
        if not ours.match(target):
            # bpftool's output has no folder, and who builds examples elsewhere has no root.
            if bracket == '"' and not target.endswith(".skel.h") and layer != "examples":
                yield f'{name}: "{target}" must be included by its path from the root'
            continue
        if not any(target.startswith(beginning) for beginning in allowed[layer]):
            yield f"{name}: {layer}/ may not include {target}"
        elif layer == "engine" and backend.match(target):
            yield f"{name}: engine/ names no backend, so it may not include {target}"
        if target.startswith("strictsend/") != (bracket == "<"):
            yield f"{name}: installed headers are included as <strictsend/…>, all others in quotes: {target}"


def self_test():
    assert not list(complaints("engine/a.cpp", '#include "nic/port.hpp"\n#include <strictsend/file.hpp>\n#include <vector>\n'))
    for name, text in [
            ("base/a.hpp", '#include "nic/port.hpp"'), ("nic/a.cpp", '#include "pagecache/page_cache.hpp"'),
            ("pagecache/a.cpp", "#include <strictsend/engine.hpp>"), ("engine/a.cpp", '#include "nic/sim/sim_port.hpp"'),
            ("apps/serve/a.cpp", '#include "base/clock.hpp"'), ("nic/a.cpp", '#include "port.hpp"'),
            ("engine/include/strictsend/a.hpp", '#include "base/page.hpp"'), ("nic/a.cpp", "#include <nic/port.hpp>")]:
        assert list(complaints(name, text)), (name, text)


def main(root):
    self_test()
    found = []
    for folder in ("base", "nic", "pagecache", "engine", "apps", "examples", "tests"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in {".cpp", ".hpp", ".c", ".h"}:
                found += complaints(str(path.relative_to(root)), path.read_text())
    print("\n".join(found) if found else "all includes point one way")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(__file__).resolve().parents[2]))
