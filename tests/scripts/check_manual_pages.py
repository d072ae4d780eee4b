#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check_manual_pages.py PROGRAM PAGE…: each page is what mandoc and man take without a complaint, and explains what
--help explains, no less and no more."""

import os
import pathlib
import re
import subprocess
import sys

option = re.compile(r"^ +(-h, )?(--[a-z][a-z0-9-]*)", re.MULTILINE)


def said(*command):
    environment = {**os.environ, "MANWIDTH": "100", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return done.returncode, done.stdout, done.stderr


def words(text):
    return re.sub(r"\s+", " ", text)


def complaints(program, page):
    lint_status, lint, _ = said("mandoc", "-T", "lint", "-W", "warning", str(page))
    if lint_status or lint:
        yield f"mandoc: {lint}"
    _, _, warnings = said("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(page))
    if warnings:
        yield f"man --warnings: {warnings}"
    command = page.stem.split("-", 1)[1:]
    help_status, help_text, _ = said(program, *command, "--help")
    if help_status:
        yield f"{program} {command} --help ended with {help_status}"
    _, shown, _ = said("mandoc", "-T", "ascii", "-O", "width=1000", str(page))
    shown = re.sub(".\b", "", shown)
    in_help = [match[1] for match in option.findall(help_text)]
    in_page = [match[1] for match in option.findall(shown)]
    if in_help != in_page or (command and not in_help):
        yield f"options of --help: {in_help}\noptions of the page: {in_page}"
    # Every sentence of the help, however it is filled.
    plain = words(shown)
    for paragraph in re.split(r"\n\s*\n", help_text.partition("\n\nSYNOPSIS")[2]):
        for line in paragraph.splitlines():
            if words(line.strip()) not in plain and not re.match(r"^    \S.*?  +\S", line):
                yield f"not in the page: {line.strip()}"


def main(program, *pages):
    found = [f"{page}: {complaint}" for page in pages for complaint in complaints(program, pathlib.Path(page))]
    print("\n".join(found) if found else f"{len(pages)} pages explain what --help explains")
    return 1 if found or not pages else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
