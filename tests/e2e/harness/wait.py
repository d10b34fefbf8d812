# SPDX-License-Identifier: Apache-2.0
"""Waiting by condition, never by time: the limit only ends a test that would hang."""

import socket
import time


def until(condition, what, seconds=30.0, every=0.02):
    """The first true answer of condition(); AssertionError naming `what` after the limit."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            described = what() if callable(what) else what
            raise AssertionError(f"waited {seconds:.0f} s for {described}")
        time.sleep(every)


def free_ports(count, kind=socket.SOCK_STREAM):
    """Ports nobody listens on now, all different."""
    held = []
    try:
        for _ in range(count):
            sock = socket.socket(socket.AF_INET, kind)
            sock.bind(("127.0.0.1", 0))
            held.append(sock)
        return [sock.getsockname()[1] for sock in held]
    finally:
        for sock in held:
            sock.close()


def listening(port):
    with socket.socket() as sock:
        sock.settimeout(1)
        return sock.connect_ex(("127.0.0.1", port)) == 0
