#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""manual_page.py PROGRAM VERSION [COMMAND]: makes of `PROGRAM [COMMAND] --help` a page for man(1), on standard output.

The help texts have a page's shape already: headings at the margin, text at 4 blanks, what belongs to an entry at 8 or
more. So they are the one source, and the pages cannot drift."""

import datetime
import os
import re
import subprocess
import sys
import time

pages = ["strictsend", "strictsend-serve", "strictsend-top", "strictsend-doctor", "strictsend-conformance",
         "strictsend-demo"]
# Where text is laid out by hand, lines are kept.
literal_sections = {"SYNOPSIS", "EXAMPLES"}
entry = re.compile(r"^    (-|[0-9]\S* {2}|[0-9]+ \+ \S+ {2}|[a-z]+ {2,}\S)")
described = re.compile(r"^    (\S.*?) {2,}(\S.*)$")


def escaped(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("^", "\\(ha").replace("~", "\\(ti")
    text = text.replace("`", "\\(ga").replace("'", "\\(aq").replace('"', "\\(dq")
    return "\\&" + text if text[:1] == "." else text


def paragraphs(lines):
    """Runs of lines without an empty one between them."""
    run = []
    for line in [*lines, ""]:
        if line:
            run.append(line)
        elif run:
            yield run
            run = []


def indent_of(line):
    return len(line) - len(line.lstrip(" "))


def filled(lines, margin):
    """Text to be filled; what is indented deeper than `margin` stays as it is laid out."""
    out, inside = [], False
    for line in lines:
        deep = indent_of(line) > margin
        if deep != inside:
            out.append(".EX" if deep else ".EE")
            inside = deep
        out.append(escaped(line[margin:] if deep else line.strip()))
    return out + ([".EE"] if inside else [])


def literal(lines):
    return [".nf", *(escaped(line[4:]) for line in lines), ".fi"]


def entries(lines):
    """Headings at 4 blanks, each with its description: deeper, or behind two blanks on the same line."""
    out, headings = [], 0
    text = []

    def flush():
        if text:
            out.extend(filled(text, min(indent_of(line) for line in text)))
            text.clear()
    for line in lines:
        if indent_of(line) > 4:
            text.append(line)
            headings = 0
            continue
        flush()
        out.append(".TQ" if headings else ".TP")
        headings += 1
        same_line = None if line.startswith("    -") else described.match(line)
        out.append(".B " + escaped(same_line[1] if same_line else line.strip()))
        if same_line:
            text.append(" " * 8 + same_line[2])
            headings = 0
    flush()
    return out


def has_entries(lines):
    """A heading and what belongs to it, or a table."""
    return bool(entry.match(lines[0])) or (len(lines) > 1 and indent_of(lines[0]) == 4 and indent_of(lines[1]) == 8
                                           and len(lines[0].split()) == 1)


def section(name, lines):
    out = [".SH " + escaped(name)]
    for number, run in enumerate(paragraphs(lines)):
        if name == "NAME":
            title, dash, summary = " ".join(line.strip() for line in run).partition(" - ")
            out.append(escaped(title.replace(" ", "-") + dash + summary).replace(" \\- ", " \\- ", 1))
            continue
        same_shape = [line if indent_of(line) <= 4 or not described.match(run[0]) or run[0].startswith("    -")
                      else " " * 8 + line.strip() for line in run]
        if name in literal_sections:
            out += ([".PP"] if number else []) + literal(run)
        elif has_entries(run):
            out += entries(same_shape)
        elif indent_of(run[0]) > 4:
            out += ([".PP"] if number else []) + [".EX", *(escaped(line[4:]) for line in run), ".EE"]
        else:
            out += ([".PP"] if number else []) + filled(run, 4)
    return out


def date():
    """Of the build; who wants the same page from the same source sets SOURCE_DATE_EPOCH, as Debian does."""
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%d")


def page(title, version, text):
    out = ['.\\" Made by manual_page.py of what --help prints; change that.',
           f'.TH {escaped(title.upper())} 1 "{date()}" "strictsend {version}" "User Commands"']
    name, lines = None, []
    for line in [*text.splitlines(), "SEE ALSO"]:
        if line and not line.startswith(" "):
            if name:
                out += section(name, lines)
            name, lines = line, []
        else:
            lines.append(line)
    others = [f".BR {escaped(other)} (1)" for other in pages if other != title]
    out += [".SH SEE ALSO", *(other + ("," if other != others[-1] else "") for other in others)]
    return "\n".join(out) + "\n"


def main(program, version, *command):
    said = subprocess.run([program, *command, "--help"], capture_output=True, text=True, check=True).stdout
    sys.stdout.write(page("-".join(["strictsend", *command]), version, said))


if __name__ == "__main__":
    main(*sys.argv[1:])
