#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tests that docs/writes.md names exist, and each test of a way of writing is named there."""

import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parents[2]
page = root / "docs" / "writes.md"
named = re.compile(r"`([A-Z]\w*\.[a-z]\w*)`")
defined = re.compile(r"^TEST(?:_[FP])?\((\w+),\s*(\w+)\)", re.MULTILINE)
# All of what these hold is of ways of writing.
whole = [root / "tests" / "kernel" / name for name in ("write_paths_test.cpp", "disk_writers_test.cpp")]
# Which reads the header, and is of no way.
apart = {"WritePathsText.the_public_header_names_every_path"}


def tests_in(text):
    return {f"{suite}.{name}" for suite, name in defined.findall(text)}


def self_test():
    assert tests_in("TEST_F(A, b_c) {\nTEST(D,\n     e) {\n") == {"A.b_c", "D.e"}
    assert named.findall("`A.b_c`, `File::map`, `x.y`, `AB.c`") == ["A.b_c", "AB.c"]


def main():
    self_test()
    mentioned = set(named.findall(page.read_text()))
    exist = set()
    for path in (root / "tests").rglob("*.cpp"):
        exist |= tests_in(path.read_text())
    complaints = [f"docs/writes.md names {test}, which there is not" for test in sorted(mentioned - exist)]
    for path in whole:
        lacking = tests_in(path.read_text()) - mentioned - apart
        complaints += [f"docs/writes.md lacks {test} of {path.name}" for test in sorted(lacking)]
    print("\n".join(complaints) if complaints else f"{len(mentioned)} tests that docs/writes.md names exist")
    return 1 if complaints or not mentioned else 0


if __name__ == "__main__":
    sys.exit(main())
