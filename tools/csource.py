# SPDX-License-Identifier: Apache-2.0
"""csource: C sources as the gates in tools/ see them: files of the tree, code without comments and
strings, and functions with their lines. It relies on the tree's clang-format style (a function's
braces stand alone in column 0), which check-style enforces; it is not a parser."""

import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def files(*suffixes, under=("",)):
    """Paths, relative to the root, of tracked and of new unignored files."""
    out = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", ROOT, "ls-files", "-co", "--exclude-standard", "-z"],
        check=True, capture_output=True).stdout.decode()
    found = []
    for path in sorted(set(out.split("\0"))):
        if path.endswith(suffixes or "") and path.startswith(tuple(under)):
            if os.path.isfile(os.path.join(ROOT, path)):
                found.append(path)
    return found


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as f:
        return f.read()


TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def blank(text, comments=True, strings=True):
    """The text with comments and the insides of literals turned to spaces; lines stay lines."""

    def swap(match):
        token = match.group(0)
        is_comment = token.startswith(("/*", "//"))
        if is_comment and not comments or not is_comment and not strings:
            return token
        if is_comment:
            return re.sub(r"[^\n]", " ", token)
        return token[0] + " " * (len(token) - 2) + token[-1]

    return TOKEN.sub(swap, text)


def comments(text):
    """(line, text) of each comment."""
    for match in TOKEN.finditer(text):
        if match.group(0).startswith(("/*", "//")):
            yield text.count("\n", 0, match.start()) + 1, match.group(0)


def functions(text):
    """(name, first line, lines) of each function definition, signature included."""
    lines = blank(text).split("\n")
    for at, line in enumerate(lines):
        if line.rstrip() != "{":
            continue
        first = at
        while first > 0 and lines[first - 1].strip() and lines[first - 1][0] not in "#}":
            first -= 1
            if lines[first + 1:first + 2] and lines[first].rstrip().endswith(";"):
                first += 1
                break
        last = at
        while last < len(lines) and not lines[last].startswith("}"):
            last += 1
        head = " ".join(lines[first:at])
        name = re.search(r"(\w+)\s*\(", head)
        if name:
            yield name.group(1), first + 1, last - first + 1


class Findings:
    """Collects findings as FILE:LINE: text, prints them, and makes the exit status."""

    def __init__(self):
        self.errors = 0
        self.warnings = 0

    def error(self, path, line, text):
        self.errors += 1
        print(f"{path}:{line}: {text}")

    def warn(self, text):
        self.warnings += 1
        print(text)

    def exit(self):
        sys.exit(1 if self.errors else 0)
