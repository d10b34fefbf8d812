# SPDX-License-Identifier: Apache-2.0
"""helptext: the commands of a built tapedeck as its --help prints them (src/cli/options.c), read back
for the manual and the shell completion, so that those come from the same tables."""

import os
import re
import subprocess

OPTION = re.compile(r"^  (?:-(\w), |    )--([\w-]+)(?: (\S+))?\s+(.*)$")
COMMAND = re.compile(r"^  ([a-z]+)\s+(\S.*)$")


class Option:
    def __init__(self, letter, name, argument, text):
        self.letter, self.name, self.argument, self.text = letter, name, argument, text


class Command:
    """One command; `arguments` is what follows the options in its usage line."""

    def __init__(self, name, summary, text):
        lines = text.splitlines()
        self.name, self.summary = name, summary
        self.usage = next(line for line in lines if line.startswith("Usage: "))[len("Usage: "):]
        self.arguments = self.usage.split(" [options]", 1)[1].strip()
        at = lines.index("Options:") + 1
        after = at
        while after < len(lines) and lines[after].strip():
            after += 1
        found = [OPTION.match(line) for line in lines[at:after]]
        self.options = [Option(*match.groups()) for match in found if match]
        self.details = "\n".join(lines[after:]).strip()


def help_of(tapedeck, *words):
    return subprocess.run([tapedeck, *words, "--help"], capture_output=True, text=True, timeout=20,
                          check=True).stdout


def executable(build):
    return os.path.join(build, "src/cli/tapedeck")


def read(build):
    """(summary of the program, its commands in their order)."""
    tapedeck = executable(build)
    text = help_of(tapedeck)
    summary = text.splitlines()[0].split(": ", 1)[1].rstrip(".")
    found = [COMMAND.match(line) for line in text.splitlines()]
    return summary, [Command(*match.groups(), help_of(tapedeck, match.group(1)))
                     for match in found if match]
