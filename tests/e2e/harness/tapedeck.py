# SPDX-License-Identifier: Apache-2.0
"""Runs the tapedeck executable: to its end, or as a recording that goes on beside the test."""

import json
import os
import signal
import subprocess
import time

from harness import wait

DONE, FAILED, USAGE, REFUSED, STORAGE, DAMAGED = range(6)


class Result:
    def __init__(self, args, code, out, err):
        self.args, self.code, self.out, self.err = args, code, out, err

    def __str__(self):
        return f"{' '.join(map(str, self.args))}\nexit {self.code}\n{self.out}{self.err}"

    __repr__ = __str__

    def json_lines(self):
        return [json.loads(line) for line in self.out.splitlines() if line.strip()]

    def sentence(self):
        """What a person is told on stderr: at least one line, of words."""
        lines = [line for line in self.err.splitlines() if len(line.split()) >= 3]
        assert lines, f"no sentence was said\n{self}"
        return "\n".join(lines)


class Running:
    """A tapedeck process in the background; its output lies in files, so that it never blocks."""

    def __init__(self, args, folder, env):
        os.makedirs(folder, exist_ok=True)
        number = len(os.listdir(folder))
        self.args = args
        self.out_path = os.path.join(folder, f"{number:03}-out.log")
        self.err_path = os.path.join(folder, f"{number:03}-err.log")
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self.process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                            env=env)

    def _text(self, path):
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def result(self):
        return Result(self.args, self.process.poll(), self._text(self.out_path),
                      self._text(self.err_path))

    def alive(self):
        return self.process.poll() is None

    def wait_for(self, condition, what, seconds=30.0):
        """Until condition() holds; fails at once when the process ends before."""

        def check():
            answer = condition()
            assert answer or self.alive(), f"ended before {what}\n{self.result()}"
            return answer

        return wait.until(check, lambda: f"{what}\n{self.result()}", seconds)

    def wait_growth(self, path, more=1, seconds=30.0):
        """Until `path` has `more` bytes than now; returns the new size."""
        before = size_of(path)
        self.wait_for(lambda: size_of(path) >= before + more, f"{path} to grow by {more}", seconds)
        return size_of(path)

    def send(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=60.0):
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"did not end within {seconds:.0f} s\n{self.result()}") from None
        return self.result()

    def interrupt(self, seconds=20.0):
        self.send(signal.SIGINT)
        return self.wait(seconds)

    def kill(self):
        """SIGKILL; the moment of it on the monotonic clock."""
        at = time.monotonic()
        self.process.kill()
        self.process.wait()
        return at


class Tapedeck:
    def __init__(self, binary, folder, livekit=None):
        self.binary, self.folder, self.livekit = binary, folder, livekit
        self.running = []
        runtime = os.path.join("/dev/shm", f"tapedeck-e2e-{os.getpid()}")
        os.makedirs(runtime, mode=0o700, exist_ok=True)
        self.runtime = runtime
        self.env = {k: v for k, v in os.environ.items()
                    if not k.startswith(("LIVEKIT_", "XDG_", "TAPEDECK_"))}
        self.env["RUNTIME_DIRECTORY"] = runtime

    def spawn(self, *args, prefix=()):
        process = Running([*prefix, self.binary, *map(str, args)], self.folder, self.env)
        self.running.append(process)
        return process

    def run(self, *args, prefix=(), seconds=60.0):
        return self.spawn(*args, prefix=prefix).wait(seconds)

    def record_args(self, room, out, *more, key=None, secret=None, url=None):
        from harness.livekit import KEY, SECRET
        return ["record", "--url", url or self.livekit.url, "--api-key", key or KEY,
                "--api-secret", secret or SECRET, "--room", room, "-o", out, *more]

    def record(self, room, out, *more, prefix=(), **over):
        return self.spawn(*self.record_args(room, out, *more, **over), prefix=prefix)

    def close(self):
        for process in self.running:
            if process.alive():
                process.kill()


def size_of(path):
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def growing(path):
    """The name under which a file grows (design: BASE.recording.EXT)."""
    base, extension = os.path.splitext(str(path))
    return base + ".recording" + extension


def whole_or_growing(path):
    return str(path) if os.path.exists(path) else growing(path)
