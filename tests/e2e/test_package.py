# SPDX-License-Identifier: Apache-2.0
"""The Debian package: what is in it, and the service it brings, installed, used, upgraded and removed
in a machine that is thrown away afterwards."""

import glob
import gzip
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess

import pytest

from conftest import BUILD, ROOT
from harness import daemon, media, wait
from harness.machine import Machine
from harness.tapedeck import Tapedeck

URL = "http://127.0.0.1:8000"
CONFIG = "/etc/tapedeck/tapedeck.yaml"
DATA = "/var/lib/tapedeck"
EXPOSURE_MAX = 2.0  # of 10; services without any sandbox have 9.6
HOLE_MS_MAX = 3000


def build_deb():
    missing = [t for t in ("dpkg-deb", "dpkg-shlibdeps", "dpkg-buildflags") if not shutil.which(t)]
    if missing:
        pytest.skip("no Debian package can be built here: no " + ", ".join(missing))
    done = subprocess.run([os.path.join(ROOT, "packaging/build-deb"), BUILD], capture_output=True,
                          text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split()[-1]


@pytest.fixture(scope="module")
def deb():
    return build_deb()


@pytest.fixture(scope="module")
def unpacked(deb, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpacked")
    subprocess.run(["dpkg-deb", "-R", deb, str(folder)], check=True)
    return folder


def field(deb, name):
    return subprocess.run(["dpkg-deb", "-f", deb, name], capture_output=True, text=True,
                          check=True).stdout.strip()


def text_of(*parts):
    with open(os.path.join(*map(str, parts)), encoding="utf-8") as f:
        return f.read()


# ---- the file ----


def test_it_has_what_it_promises(deb, unpacked):
    version = re.search(r"^ *version: '(.*)',$", text_of(ROOT, "meson.build"), re.M).group(1)
    assert field(deb, "Version") == version
    assert os.path.basename(deb) == f"tapedeck_{version}_{field(deb, 'Architecture')}.deb"
    depends = field(deb, "Depends")
    for package in ("libsoup-3.0-0", "libnice10", "glib-networking", "ca-certificates"):
        assert package in depends
    share = unpacked / "usr/share"
    for path in ("usr/bin/tapedeck", "usr/libexec/tapedeck/tapedeck-codec",
                 "usr/lib/systemd/system/tapedeck.service", "usr/lib/sysusers.d/tapedeck.conf",
                 "usr/share/bash-completion/completions/tapedeck",
                 "usr/share/doc/tapedeck/copyright", "usr/share/doc/tapedeck/changelog.gz"):
        assert (unpacked / path).is_file(), path
    for page in glob.glob(os.path.join(ROOT, "docs/man/*.1")):
        packed = share / "man/man1" / (os.path.basename(page) + ".gz")
        assert gzip.decompress(packed.read_bytes()).decode() == text_of(page)
    for name in ("prometheus/alerts.yml", "grafana/tapedeck.json"):
        assert text_of(share, "tapedeck", name) == text_of(ROOT, "packaging", name)
    assert json.loads(text_of(share, "tapedeck/openapi.json"))["info"]["version"] == version


def test_what_it_installs_is_owned_hardened_and_bare(deb, unpacked):
    listing = subprocess.run(["dpkg-deb", "-c", deb], capture_output=True, text=True,
                             check=True).stdout
    assert all(line.split()[1] == "root/root" for line in listing.splitlines())
    assert re.search(r"^-rw-r----- .*/etc/tapedeck/tapedeck\.yaml$", listing, re.M)
    assert text_of(unpacked, "DEBIAN/conffiles") == CONFIG + "\n"
    for path in ("usr/bin/tapedeck", "usr/libexec/tapedeck/tapedeck-codec"):
        elf = subprocess.run(["readelf", "-hlSd", "--wide", str(unpacked / path)],
                             capture_output=True, text=True, check=True).stdout
        assert re.search(r"Type:\s+DYN \(Position-Independent Executable", elf), path
        assert "GNU_RELRO" in elf and "BIND_NOW" in elf, path
        assert ".debug_info" not in elf and ".symtab" not in elf, path
        binary = (unpacked / path).read_bytes()
        assert ROOT.encode() not in binary and b"../src/" not in binary, path


def test_the_same_tree_gives_the_same_bytes(deb, tmp_path, monkeypatch):
    before = hashlib.sha256(open(deb, "rb").read()).hexdigest()
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    mask = os.umask(0o077)
    try:
        again = build_deb()
    finally:
        os.umask(mask)
    assert hashlib.sha256(open(again, "rb").read()).hexdigest() == before


def test_lintian_finds_no_error(deb):
    if not shutil.which("lintian"):
        pytest.skip("no lintian here")
    done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error", deb],
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# ---- what it says to a service manager ----


class Manager:
    """The socket of a service manager; sd_notify(3)."""

    def __init__(self, path):
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(20)

    def hears(self):
        return self.socket.recv(4096).decode().split("\n")

    def wait(self, word, but=("WATCHDOG=1", "STATUS=running")):
        """Until `word` is said; nothing else but `but` may be said before."""
        for _ in range(1000):
            said = self.hears()
            if word in said:
                return said
            assert all(w in but for w in said), f"{said} before {word}"
        raise AssertionError(f"a thousand messages and no {word}")


def test_it_tells_the_service_manager(unpacked, tmp_path):
    deck = Tapedeck(str(unpacked / "usr/bin/tapedeck"), str(tmp_path / "logs"))
    manager = Manager(tmp_path / "notify")
    deck.env.update(NOTIFY_SOCKET=manager.path, WATCHDOG_USEC="200000")
    try:
        server = daemon.Serve(deck, tmp_path / "data", "-c",
                              str(unpacked / "etc/tapedeck/tapedeck.yaml"))
        manager.wait("READY=1", but=())
        manager.wait("WATCHDOG=1")
        manager.wait("WATCHDOG=1")
        assert server.get("/healthz").json()["status"] == "ok"
        server.process.send(signal.SIGHUP)
        manager.wait("RELOADING=1")
        manager.wait("READY=1")
        server.process.send(signal.SIGTERM)
        manager.wait("STOPPING=1")
        assert server.process.wait().code == 0
    finally:
        deck.close()
        shutil.rmtree(deck.runtime, ignore_errors=True)


# ---- installed ----


def install(machine, deb):
    with open(deb, "rb") as f:
        machine.put("/tmp/tapedeck.deb", f.read())
    # The man-db trigger reads every page of the system.
    return machine.must("dpkg", "--no-triggers", "--force-unsafe-io", "-i", "/tmp/tapedeck.deb")


def test_installed_and_purged_where_no_systemd_runs(deb, tmp_path, record_property):
    with Machine(tmp_path / "machine", systemd=False) as machine:
        install(machine, deb)
        assert machine.must("stat", "-c", "%U %G %a", CONFIG, DATA).splitlines() == \
            ["root tapedeck 640", "tapedeck tapedeck 750"]
        assert not machine.run("pgrep", "-x", "tapedeck").out, "nobody starts it"
        assert machine.must("systemd-analyze", "verify", "tapedeck.service") == ""
        rating = machine.must("systemd-analyze", "security", "--offline=yes", "tapedeck.service")
        exposure = float(re.search(r"exposure level for tapedeck.service: ([\d.]+)", rating).group(1))
        record_property("systemd-analyze security, exposure of 10", str(exposure))
        assert exposure <= EXPOSURE_MAX, rating
        as_service = ("setpriv", "--reuid=tapedeck", "--regid=tapedeck", "--clear-groups")
        printed = machine.must(*as_service, "tapedeck", "config", "print", "-c", CONFIG)
        assert re.search(rf'^data_dir: "?{DATA}"?$', printed, re.M), printed
        # The worker is found where it was installed.
        assert "tapedeck-codec" in machine.must(
            "sh", "-c", "/usr/libexec/tapedeck/tapedeck-codec --version")
        machine.must("dpkg", "--no-triggers", "--purge", "tapedeck")
        for path in ("/usr/bin/tapedeck", "/usr/share/tapedeck", "/etc/tapedeck", DATA,
                     "/etc/systemd/system/multi-user.target.wants/tapedeck.service"):
            assert not machine.exists(path), path


class Service:
    """The installed unit in a machine with systemd."""

    def __init__(self, machine):
        self.machine = machine

    def show(self, name):
        return self.machine.must("systemctl", "show", "--value", "-p", name, "tapedeck").strip()

    @property
    def pid(self):
        return int(self.show("MainPID"))

    def systemctl(self, *words):
        return self.machine.must("systemctl", *words)

    def journal(self):
        return self.machine.must("journalctl", "-u", "tapedeck", "-o", "cat")

    def __str__(self):
        return f"{self.machine.run('systemctl', 'status', '-n', '0', 'tapedeck').out}\n{self.journal()}"

    def wait(self, condition, what, seconds=20):
        return wait.until(condition, lambda: f"{what}\n{self}", seconds)

    def wait_healthy(self, not_pid=0):
        """Until a process other than `not_pid` answers."""
        self.wait(lambda: self.show("ActiveState") == "active" and self.pid not in (0, not_pid)
                  and '"ok"' in self.machine.call(URL + "/healthz"), "the service to be healthy")

    def configure(self, text):
        self.machine.put(CONFIG, text.encode())


@pytest.fixture(scope="module")
def service(deb, tmp_path_factory):
    with Machine(tmp_path_factory.mktemp("service") / "machine", systemd=True) as machine:
        install(machine, deb)
        yield Service(machine)


def test_it_runs_as_its_own_user_in_a_sandbox(service):
    service.wait_healthy()
    assert service.machine.must("systemctl", "is-enabled", "tapedeck").strip() == "enabled"
    status = service.machine.must("cat", f"/proc/{service.pid}/status")
    assert re.search(r"^CapBnd:\s0+$", status, re.M) and re.search(r"^NoNewPrivs:\s1$", status, re.M)
    assert re.search(r"^Seccomp:\s2$", status, re.M)
    uid = service.machine.must("id", "-u", "tapedeck").strip()
    assert re.search(rf"^Uid:\s{uid}\s{uid}\s{uid}\s{uid}$", status, re.M)
    # Where it is, not even root writes but in these places.
    inside = ("nsenter", "--target", service.pid, "--mount", "touch")
    for folder in ("/etc/tapedeck", "/usr", "/var/lib"):
        assert "Read-only" in service.machine.run(*inside, folder + "/written").out, folder
    for folder in (DATA, "/run/tapedeck", "/tmp"):
        service.machine.must(*inside, folder + "/written")
    assert not service.machine.exists("/tmp/written"), "its /tmp is its own"
    service.machine.must("rm", DATA + "/written", "/run/tapedeck/written")
    assert "event=listening" in service.journal()


def test_a_reload_with_a_mistake_fails_and_changes_nothing(service):
    pid = service.pid
    good = service.machine.must("cat", CONFIG)
    service.systemctl("reload", "tapedeck")
    service.wait(lambda: "event=reloaded" in service.journal(), "the reload")
    service.configure(good + "log_level: loud\n")
    assert service.machine.run("systemctl", "reload", "tapedeck").code != 0
    assert service.pid == pid and "log_level" in service.journal()
    service.configure(good)
    service.systemctl("reload", "tapedeck")
    assert service.pid == pid
    service.wait_healthy()


def test_a_wrong_configuration_is_not_started_again_and_again(service):
    good = service.machine.must("cat", CONFIG)
    service.configure(good + "log_level: loud\n")
    assert service.machine.run("systemctl", "restart", "tapedeck").code != 0
    service.wait(lambda: service.show("ActiveState") == "failed", "it to have failed")
    assert service.show("ExecMainStatus") == "2" and service.show("NRestarts") == "0"
    service.configure(good)
    service.systemctl("start", "tapedeck")
    service.wait_healthy()


def recordings(service):
    return json.loads(service.machine.call(URL + "/api/recordings"))["recordings"]


def wait_recording(service, known=()):
    """The id of a recording that has bytes and is not among `known`."""
    def found():
        return next((r["id"] for r in recordings(service) if r["state"] == "recording"
                     and r.get("bytes", 0) > 0 and r["id"] not in known), None)

    return service.wait(found, "a recording")


@pytest.fixture
def publisher(service):
    """Somebody who publishes by WHIP to the installed daemon, and comes back when it was away."""
    service.wait_healthy()
    process = service.machine.spawn("tapedeck", "publish", "--whip", URL + "/whip/stage", "--size",
                                    "320x240", "--loop-seconds", "2s")
    yield process
    process.terminate()
    process.wait(20)
    service.wait(lambda: service.machine.run("pgrep", "-fx", "tapedeck publish .*").code == 1,
                 "the publisher to leave")


def fetch(service, path, folder):
    """A file of the machine, copied."""
    copy = folder / os.path.basename(path)
    with open(copy, "wb") as out:
        subprocess.run(service.machine.command("cat", path), stdout=out, check=True)
    return copy


def test_a_recording_outlives_the_daemon_and_an_upgrade_ends_it_whole(service, publisher, deb,
                                                                      tmp_path):
    recording = wait_recording(service)
    # The crash pool is used up by the next start; this stays if the folder does.
    service.machine.put("/run/tapedeck/kept", b"")
    pid = service.pid
    service.systemctl("kill", "-s", "KILL", "tapedeck")
    service.wait_healthy(not_pid=pid)
    assert service.show("NRestarts") == "1"
    assert service.machine.exists("/run/tapedeck/kept")

    def resumed():
        one, = [r for r in recordings(service) if r["id"] == recording]
        return one["state"] == "recording" and one["interruptions"]

    hole, = service.wait(resumed, "the recording to go on")
    assert 0 < hole["hole_ms"] < HOLE_MS_MAX
    pid = service.pid
    install(service.machine, deb)
    assert service.pid != pid
    wait_recording(service, known=(recording,))
    one, = [r for r in recordings(service) if r["id"] == recording]
    assert (one["state"], one["reason"]) == ("complete", "shutdown")
    for output in one["outputs"]:
        path = f"{DATA}/recordings/{one['folder']}/{output['name']}"
        media.assert_decodes(fetch(service, path, tmp_path))


def test_a_daemon_that_hangs_is_replaced(service):
    service.machine.must("mkdir", "-p", "/run/systemd/system/tapedeck.service.d")
    service.machine.put("/run/systemd/system/tapedeck.service.d/test.conf",
                        b"[Service]\nWatchdogSec=1s\nTimeoutAbortSec=1s\n")
    service.systemctl("daemon-reload")
    service.systemctl("restart", "tapedeck")
    service.wait_healthy()
    pid = service.pid
    service.machine.must("kill", "-STOP", pid)
    service.wait(lambda: service.pid not in (0, pid), "another process", 30)
    service.wait_healthy(not_pid=pid)
    assert "atchdog timeout" in service.machine.must("journalctl", "-u", "tapedeck", "_PID=1")


def test_removed_it_leaves_configuration_and_recordings(service, publisher, tmp_path):
    """The last one: nothing is there after it."""
    machine = service.machine
    wait_recording(service)
    pid = service.pid
    machine.must("dpkg", "--no-triggers", "-r", "tapedeck")
    assert not machine.exists(f"/proc/{pid}") and not machine.exists("/usr/bin/tapedeck")
    assert "tapedeck.service" not in machine.must("systemctl", "list-units", "--all")
    assert machine.exists(CONFIG) and machine.exists(DATA + "/catalog.db")
    found = machine.must("find", DATA + "/recordings", "-name", "*.ts").split()
    assert found and not any(".recording." in path for path in found), "it was given time to finish"
    for path in found:
        media.assert_decodes(fetch(service, path, tmp_path))
    said = machine.must("dpkg", "--no-triggers", "--purge", "tapedeck")
    assert f"the recordings stay in {DATA}" in said
    assert not machine.exists("/etc/tapedeck")
    assert machine.must("find", DATA + "/recordings", "-name", "*.ts").split() == found
    assert machine.exists(DATA + "/catalog.db")
