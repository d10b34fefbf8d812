# SPDX-License-Identifier: Apache-2.0
"""What the benches share: a temporary folder, the executable, a livekit-server if wanted, and what
/proc says of a process."""

import glob
import os
import shutil
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/e2e"))

from harness import tapedeck as recorder  # noqa: E402 (needs the path above)

CACHE = os.path.join(os.environ.get("TAPEDECK_CACHE", os.path.join(ROOT, ".cache")), "e2e")
BUILD = os.environ.get("TAPEDECK_BUILD", os.path.join(ROOT, "build"))
BINARY = os.environ.get("TAPEDECK", os.path.join(BUILD, "src/cli/tapedeck"))
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Stage:
    def __init__(self, livekit=False):
        self.wants_livekit = livekit
        self.folder = self.server = self.deck = None

    def __enter__(self):
        if not os.path.exists(BINARY):
            sys.exit(f"{BINARY} is not built: make")
        self.folder = tempfile.mkdtemp(prefix="tapedeck-bench-")
        if self.wants_livekit:
            self.server = self._start_server()
        self.deck = recorder.Tapedeck(BINARY, os.path.join(self.folder, "logs"), self.server)
        return self

    def __exit__(self, *_):
        self.deck.close()
        if self.server is not None:
            self.server.stop()
        shutil.rmtree(self.deck.runtime, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start_server(self):
        binaries = sorted(glob.glob(os.path.join(CACHE, "livekit-server-*")))
        if not binaries:
            sys.exit("no livekit-server: tests/e2e/setup builds it")
        try:
            from harness import livekit
        except ImportError as error:
            sys.exit(f"{error}: use {CACHE}/venv/bin/python")
        folder = os.path.join(self.folder, "livekit")
        os.makedirs(folder)
        return livekit.LiveKit(binaries[-1], folder).start()


def _read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def cpu_ms(pid):
    """(by clock ticks, by the scheduler): CPU time of all threads, finished ones only in the first."""
    fields = _read(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()
    ticks = (int(fields[11]) + int(fields[12])) * 1000 / TICKS_PER_S
    exact = sum(int(_read(path).split()[0]) for path in glob.glob(f"/proc/{pid}/task/*/schedstat"))
    return ticks, exact / 1e6


def cpu_ms_by_thread(pid):
    """CPU time of the threads that live now, by their names."""
    total = {}
    for path in glob.glob(f"/proc/{pid}/task/*"):
        name = _read(path + "/comm").strip()
        total[name] = total.get(name, 0) + int(_read(path + "/schedstat").split()[0]) / 1e6
    return total


def memory_kb(pid):
    """VmRSS, VmHWM, RssAnon, RssFile, RssShmem, and the number of threads."""
    rows = dict(line.split(":", 1) for line in _read(f"/proc/{pid}/status").splitlines())
    names = ("VmRSS", "VmHWM", "RssAnon", "RssFile", "RssShmem")
    return {**{name: int(rows[name].split()[0]) for name in names},
            "Threads": int(rows["Threads"])}


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def switches(pid):
    """Voluntary and involuntary context switches of all threads."""
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/status"):
        total += sum(int(line.split()[1]) for line in _read(path).splitlines()
                     if "ctxt_switches" in line)
    return total
