# SPDX-License-Identifier: Apache-2.0
"""A throw-away machine: this one's files under a layer in memory, in namespaces of its own, with a
systemd of its own as its first process or none at all. What is installed there is gone with it."""

import os
import subprocess

import pytest

from harness import wait

BOOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "boot-machine")
NAMESPACES = ["--mount", "--pid", "--uts", "--ipc", "--net", "--fork", "--kill-child=KILL"]
SYSTEMD = "/lib/systemd/systemd"
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "TERM": "dumb",
               "DEBIAN_FRONTEND": "noninteractive", "SYSTEMD_PAGER": ""}
FETCH = """
import sys, urllib.error, urllib.request
request = urllib.request.Request(sys.argv[2], method=sys.argv[1])
try:
    print(urllib.request.urlopen(request, timeout=20).read().decode())
except urllib.error.HTTPError as error:
    print(error.read().decode())
"""


class Ended:
    def __init__(self, args, code, out):
        self.args, self.code, self.out = args, code, out

    def __str__(self):
        return f"{' '.join(self.args)}\nexit {self.code}\n{self.out}"

    __repr__ = __str__


def cgroup_folder():
    """This process's folder in the unified hierarchy, wherever that is mounted; None without one."""
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        mounts = [line.split()[4] for line in f if " - cgroup2 " in line]
    with open("/proc/self/cgroup", encoding="utf-8") as f:
        mine = [line.strip()[len("0::/"):] for line in f if line.startswith("0::/")]
    return os.path.join(mounts[0], mine[0]) if mounts and mine else None


class Machine:
    """`with Machine(folder) as machine`; skips the test where such a machine cannot be."""

    def __init__(self, folder, systemd):
        self.folder, self.systemd = str(folder), systemd
        self.log = self.folder + ".log"
        self.cgroup = self.process = self.pid = None

    def __enter__(self):
        if os.geteuid() != 0:
            pytest.skip("a throw-away machine takes root")
        probe = subprocess.run(["unshare", *NAMESPACES, "true"], capture_output=True, text=True,
                               check=False)
        if probe.returncode:
            pytest.skip("no namespaces here: " + probe.stderr.strip())
        os.makedirs(self.folder)
        prefix, init = [], ["sleep", "infinity"]
        if self.systemd:
            prefix = self._make_cgroup()
            init = [SYSTEMD, "--unit=sysinit.target", "--log-target=journal"]
        command = [*prefix, "setpriv", "--pdeathsig", "KILL", "unshare", *NAMESPACES,
                   *(["--cgroup"] if prefix else []), BOOT, self.folder, *init]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT)
        try:
            self._wait_booted()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _make_cgroup(self):
        """A folder of its own, whose only process is the machine: systemd takes it for the root."""
        if not os.path.exists(SYSTEMD):
            pytest.skip("no systemd is installed here")
        above = cgroup_folder()
        if above is None:
            pytest.skip("no unified cgroup hierarchy here")
        folder = os.path.join(above, f"tapedeck-test-{os.getpid()}")
        try:
            os.mkdir(folder)
        except OSError as error:
            pytest.skip(f"no cgroup of its own here: {error}")
        self.cgroup = folder
        return ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', folder]

    def _said(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def _wait_booted(self):
        def in_its_root():
            if self.process.poll() is not None:
                pytest.skip("no throw-away machine here: " + self._said().strip()[-300:])
            found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)],
                                   capture_output=True, text=True, check=False).stdout.split()
            self.pid = found[0] if found else None
            return self.pid and self.run("test", "-e", "/run/throw-away").code == 0

        # Before the mark is there a command would run on this machine's own files.
        wait.until(in_its_root, lambda: "the machine\n" + self._said())
        if self.systemd:
            wait.until(self._systemd_runs,
                       lambda: f"systemd\n{self.run('systemctl', '--failed')}\n{self._said()}")

    def _systemd_runs(self):
        if self.process.poll() is not None:
            pytest.skip("no systemd of its own here: " + self._said().strip()[-300:])
        return self.run("systemctl", "is-system-running").out.strip() == "running"

    def command(self, *args):
        return ["nsenter", "--target", str(self.pid), "--all", *map(str, args)]

    def run(self, *args, feed=None, seconds=60):
        done = subprocess.run(self.command(*args), input=feed, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=seconds, check=False,
                              env=ENVIRONMENT,
                              **({} if feed is not None else {"stdin": subprocess.DEVNULL}))
        return Ended(list(map(str, args)), done.returncode,
                     done.stdout.decode("utf-8", errors="replace"))

    def must(self, *args, **more):
        """What it said; a failure is the test's."""
        ended = self.run(*args, **more)
        assert ended.code == 0, ended
        return ended.out

    def spawn(self, *args):
        """In the background. nsenter forks, so that its end has to be told to the command."""
        return subprocess.Popen(self.command("setpriv", "--pdeathsig", "TERM", *args),
                                stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                env=ENVIRONMENT)

    def put(self, path, content):
        self.must("sh", "-c", 'cat >"$0"', path, feed=content)

    def exists(self, path):
        return self.run("test", "-e", path).code == 0

    def call(self, url, method="GET"):
        return self.run("python3", "-c", FETCH, method, url).out.strip()

    def __exit__(self, *_):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        if self.cgroup is not None:
            wait.until(self._remove_cgroup, "the machine's processes to end", 10)

    def _remove_cgroup(self):
        try:
            for folder, _, _ in os.walk(self.cgroup, topdown=False):
                os.rmdir(folder)
        except OSError:
            return False
        return True
