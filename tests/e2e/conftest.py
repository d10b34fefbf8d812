# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the end-to-end tests. They need what tests/e2e/setup fetches, and a built tapedeck:
`tests/run --only build,e2e`, or `make check`. Everything stays on 127.0.0.1."""

import glob
import os
import shutil
import uuid

import pytest

from harness import livekit as livekit_server
from harness import publisher as sdk
from harness import tapedeck as recorder

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CACHE = os.path.join(os.environ.get("TAPEDECK_CACHE", os.path.join(ROOT, ".cache")), "e2e")
BUILD = os.environ.get("TAPEDECK_BUILD", os.path.join(ROOT, "build"))
BINARY = os.environ.get("TAPEDECK", os.path.join(BUILD, "src/cli/tapedeck"))


@pytest.fixture(scope="session")
def livekit(tmp_path_factory):
    """A livekit-server for the session (one for each worker process)."""
    binaries = sorted(glob.glob(os.path.join(CACHE, "livekit-server-*")))
    if not binaries:
        pytest.skip("no livekit-server here: tests/e2e/setup could not build it")
    server = livekit_server.LiveKit(binaries[-1], str(tmp_path_factory.mktemp("livekit"))).start()
    yield server
    server.stop()


@pytest.fixture
def own_livekit(tmp_path):
    """Makes servers for one test, which may stop them: own_livekit(**configuration)."""
    binaries = sorted(glob.glob(os.path.join(CACHE, "livekit-server-*")))
    if not binaries:
        pytest.skip("no livekit-server here: tests/e2e/setup could not build it")
    started = []

    def make(**overrides):
        folder = tmp_path / f"livekit-{len(started)}"
        folder.mkdir()
        started.append(livekit_server.LiveKit(binaries[-1], str(folder), **overrides).start())
        return started[-1]

    yield make
    for server in started:
        server.stop()


@pytest.fixture
def room():
    """The name of a room that nobody else uses."""
    return "room-" + uuid.uuid4().hex[:8]


@pytest.fixture
def publish(livekit, tmp_path):
    """publish(room, identity="alice", codec="H264", ...): a started publisher, ended by the test."""
    started = []

    def make(room, identity="alice", server=None, **options):
        log = tmp_path / f"publisher-{len(started)}.log"
        started.append(sdk.Publisher(server or livekit, room, identity, log, **options).__enter__())
        return started[-1]

    yield make
    for one in started:
        one.__exit__()


@pytest.fixture
def tapedeck(livekit, tmp_path):
    """The recorder's executable; what still runs at the end of the test is killed."""
    if not os.path.exists(BINARY):
        pytest.skip(f"{os.path.relpath(BINARY, ROOT)} is not built")
    deck = recorder.Tapedeck(BINARY, str(tmp_path / "tapedeck"), livekit)
    yield deck
    deck.close()
    shutil.rmtree(deck.runtime, ignore_errors=True)


@pytest.fixture
def out(tmp_path):
    """A folder for recordings."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder
