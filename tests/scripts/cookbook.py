#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keeps docs/cookbook.md what the examples are. A block of code there stands behind a line

    <!-- examples/cookbook/NAME.cpp REGION -->

and holds what stands in that file between `// cookbook: REGION` and `// cookbook: end`, moved to the left.

    cookbook.py            complains of blocks that are not, of programs that the page does not show or the test
                           does not run, and of headings that the list at its top lacks
    cookbook.py --update   writes the blocks anew
    cookbook.py --anchored PAGE
                           prints a page with its headings' names as Doxygen takes them, which has none of its own
"""

import pathlib
import re
import sys
import textwrap

root = pathlib.Path(__file__).resolve().parents[2]
page = root / "docs" / "cookbook.md"
runs = root / "tests" / "integration" / "cookbook_test.cpp"
block = re.compile(r"^<!-- (?P<path>examples/\S+) (?P<region>\S+) -->\n```cpp\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
reference = re.compile(r"^<!-- examples/", re.MULTILINE)


def region_of(text, name):
    """The lines of a region, or None if it is not there exactly once, or nested in another."""
    begin = re.findall(rf"^ *// cookbook: {re.escape(name)}$", text, re.MULTILINE)
    if len(begin) != 1:
        return None
    found = re.search(rf"^ *// cookbook: {re.escape(name)}\n(.*?)^ *// cookbook: end$", text, re.MULTILINE | re.DOTALL)
    if found is None or "// cookbook:" in found.group(1):
        return None
    return textwrap.dedent(found.group(1))


def anchor_of(heading):
    """The fragment that renderers of Markdown give a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def update(text, read):
    """The page with its blocks written anew, and what cannot be."""
    complaints = []

    def written(found):
        code = region_of(read(found["path"]), found["region"])
        if code is None:
            complaints.append(f"{found['path']} has no region {found['region']}, or not one whole one")
            return found.group(0)
        return f"<!-- {found['path']} {found['region']} -->\n```cpp\n{code}```"

    result = block.sub(written, text)
    if len(block.findall(text)) != len(reference.findall(text)):
        complaints.append("a line <!-- examples/… --> has no block of code behind it")
    if text.count("```cpp\n") != len(block.findall(text)):
        complaints.append("a block of C++ does not say which example it is from")
    return result, complaints


def anchored(text):
    return re.sub(r"^(##+) (.*)$", lambda found: f"{found[0]} {{#{anchor_of(found[2])}}}", text, flags=re.MULTILINE)


def self_test():
    source = "a\n  // cookbook: x\n  one\n    two\n  // cookbook: end\n"
    assert region_of(source, "x") == "one\n  two\n"
    assert region_of(source, "y") is None and region_of(source + source, "x") is None
    assert region_of("// cookbook: x\n// cookbook: y\n// cookbook: end\n", "x") is None
    old = "<!-- examples/a.cpp x -->\n```cpp\nold\n```\n"
    new, complaints = update(old, lambda _: source)
    assert new == "<!-- examples/a.cpp x -->\n```cpp\none\n  two\n```\n" and not complaints
    assert update(new, lambda _: source) == (new, [])
    assert update(old.replace(" x ", " z "), lambda _: source)[1]
    assert update("```cpp\nfree\n```\n", lambda _: source)[1]
    assert update("<!-- examples/a.cpp x -->\n", lambda _: source)[1]
    assert anchored("# A\n## B c\ntext\n") == "# A\n## B c {#b-c}\ntext\n"
    assert anchor_of("Sizes, limits: ESTALE") == "sizes-limits-estale"


def main(arguments):
    self_test()
    if arguments[:1] == ["--anchored"]:
        sys.stdout.write(anchored(pathlib.Path(arguments[1]).read_text()))
        return 0
    text = page.read_text()
    fresh, complaints = update(text, lambda path: (root / path).read_text())
    if arguments == ["--update"]:
        page.write_text(fresh)
    elif fresh != text:
        complaints.append("docs/cookbook.md is not what the examples are: run tests/scripts/cookbook.py --update")
    tests = runs.read_text()
    for path in sorted((root / "examples" / "cookbook").glob("*.cpp")):
        if f"<!-- examples/cookbook/{path.name} " not in text:
            complaints.append(f"docs/cookbook.md does not show {path.name}")
        if f'"{path.stem}"' not in tests:
            complaints.append(f"cookbook_test.cpp does not run {path.name}")
    for heading in re.findall(r"^## (.*)$", text, re.MULTILINE):
        if f"(#{anchor_of(heading)})" not in text:
            complaints.append(f"the list at the top lacks \"{heading}\"")
    print("\n".join(complaints) if complaints else f"{len(block.findall(text))} blocks are what the examples are")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
