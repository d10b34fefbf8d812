# SPDX-License-Identifier: Apache-2.0
"""Rounds of start, stop, pause, resume, kill -9, restart and lost publishers at random instants,
each ended by a stop of everything; then catalogue, manifests, API and files must agree.

What a round does is drawn from its seed and number alone, so that it can be had again; when things
really happen depends on the machine."""

import collections
import itertools
import json
import os
import random
import shutil
import threading
import time
import urllib.error

from harness import agreement, daemon, killing, wait
from harness import publisher as sdk
from harness import tapedeck as deck
from harness.livekit import KEY, SECRET

SMALL_SDK = {"width": 320, "height": 180, "fps": 15, "kbps": 250}
SMALL_WHIP = ("--size", "320x180", "--fps", "15", "--bitrate", "250000", "--loop-seconds", "2")
ROOMS = (("livekit", "H264"), ("whip", "H264"), ("livekit", "VP8"), ("whip", "VP8"))
FORMATS = {"H264": ("auto", "ts", "mkv"), "VP8": ("auto", "mkv")}  # of a start; WHIP has none
LIMITS = {"resume_window_s": 3, "departure_timeout_s": 3, "empty_timeout_s": 5}
VERBS = (("pause", 4), ("resume", 4), ("stop", 2), ("start", 2), ("kill", 4), ("restart", 2),
         ("lose publisher", 2), ("bring publisher", 2))
DAEMON_VERBS = ("kill", "restart")
EARLY_S = 3  # a daemon that is killed younger than this may be taken for a victim of its recordings
EARLY_MAX = 3
END_S = 60  # until everything has ended
AFTER_FINISHING = ("finishing", "interrupted", *agreement.FINAL)


# ---- what a round will do ----

def instant(chance):
    """Seconds to the next step: often right after the last one, where two things meet."""
    return chance.choice((0.0, chance.uniform(0, 0.06), chance.uniform(0, 0.4),
                          chance.uniform(0.3, 2.0)))


def step(chance, rooms):
    verb = chance.choices([v for v, _ in VERBS], [weight for _, weight in VERBS])[0]
    made = {"after_s": round(instant(chance), 3), "do": verb}
    if verb not in DAEMON_VERBS:
        made["room"] = chance.choice(rooms)
        return made
    made["down_s"] = round(chance.choice((0.0, chance.uniform(0, 0.5))), 3)
    made["settings"] = chance.choice(("finish", "interrupt"))  # of the daemon that comes next
    # It is killed again while it repairs, if only as it begins.
    made["again_s"] = [round(chance.uniform(0, 0.3), 3)
                       for _ in range(chance.choice((0, 0, 0, 1, 2)))]
    return made


def plan(seed, number):
    chance = random.Random(f"{seed}/{number}")
    rooms = sorted(chance.sample(range(len(ROOMS)), chance.randint(2, len(ROOMS))))
    return {"rooms": rooms,
            "format": {str(room): chance.choice(FORMATS[ROOMS[room][1]]) for room in rooms},
            "media_first": chance.random() < 0.75,  # else it begins beside the starts
            "steps": [step(chance, rooms) for _ in range(chance.randint(3, 7))],
            "kill_at_the_end": chance.random() < 0.4}


# ---- who takes part ----

class Room:
    """A room and its publisher, who may be gone."""

    def __init__(self, world, index):
        self.world, self.index = world, index
        self.kind, self.codec = ROOMS[index]
        self.name = f"torture-{index}"
        self.sender = None
        self.bringing = threading.Lock()

    def _make(self):
        if self.kind == "livekit":
            log = os.path.join(self.world.folder, f"sdk-{self.world.count('sdk')}.log")
            return sdk.Publisher(self.world.livekit, self.name, "alice", log, codec=self.codec,
                                 **SMALL_SDK).__enter__()
        cache = os.path.join(self.world.folder, f"pattern-{self.codec}")
        return daemon.Publish(self.world.deck, "--whip", f"{self.world.url}/whip/{self.name}",
                              "--video", self.codec.lower(), "--pattern-cache", cache, *SMALL_WHIP)

    def bring(self):
        with self.bringing:
            if self.sender is None or self.sender.process.poll() is not None:
                self.sender = self._make()

    def gave_up(self):
        return not self.bringing.locked() and self.sender is not None and \
            self.sender.process.poll() is not None

    def lose(self):
        with self.bringing:
            if self.sender is not None and self.sender.process.poll() is None:
                self.sender.process.kill()
                self.sender.process.wait()
                self.sender = None
                self.world.lost[self.name] += 1

    def leave(self):
        """In order: a WHIP publisher says goodbye. (Those in rooms stay for the next round.)"""
        if self.kind == "whip" and self.sender is not None:
            self.sender.stop()

    def end(self):
        if isinstance(self.sender, sdk.Publisher):
            self.sender.__exit__()
        elif self.sender is not None:
            self.sender.stop()


class World:
    """A daemon, a livekit-server, rooms with publishers; goes on from round to round."""

    def __init__(self, tapedeck, folder):
        self.deck, self.folder, self.livekit = tapedeck, folder, tapedeck.livekit
        self.counts = collections.Counter()
        self.lost = collections.Counter()  # publishers and daemons that were killed in this round
        self.early = []  # whether each daemon of this round died early
        self.born_s = 0.0
        self.seen = {}  # id: the last state that the API announced
        self.faults = []
        self.ended = {}  # rows of earlier rounds, which never change again
        self.settings = {how: self._write_settings(how) for how in ("finish", "interrupt")}
        self.errands = []
        self.serve = daemon.Serve(tapedeck, os.path.join(folder, "data"), "-c",
                                  self.settings["finish"])
        self.rooms = [Room(self, index) for index in range(len(ROOMS))]

    def _write_settings(self, how):
        path = os.path.join(self.folder, how + ".yaml")
        with open(path, "w", encoding="utf-8") as f:  # JSON is YAML
            json.dump({"ws_url": self.livekit.url, "api_key": KEY, "api_secret": SECRET,
                       "limits": LIMITS, "on_shutdown": how}, f)
        return path

    @property
    def url(self):
        return self.serve.url

    @property
    def data(self):
        return self.serve.data

    def count(self, what):
        self.counts[what] += 1
        return self.counts[what]

    # ---- calls, while the daemon may die ----

    def call(self, method, path, body=None):
        """Its answer, or None when nobody answered."""
        headers = {"Content-Type": "application/json"} if body else {}
        try:
            return daemon.call(method, self.url + path, body, headers)
        except (OSError, urllib.error.URLError, ValueError):
            return None
        except Exception as error:  # of http.client: an answer that was cut off
            return None if type(error).__module__ == "http.client" else self.fault(repr(error))

    def fault(self, text):
        self.faults.append(text)

    def errand(self, what, *args):
        """Done beside everything else."""
        def run():
            try:
                what(*args)
            except Exception as error:
                self.fault(f"{what.__name__}{args}: {error!r}")

        self.errands.append(threading.Thread(target=run, daemon=True))
        self.errands[-1].start()

    def listed(self):
        """All recordings of the API by id; None when nobody answered."""
        found, cursor = {}, ""
        while True:
            answer = self.call("GET", "/api/recordings?limit=100" + cursor)
            if answer is None or answer.status != 200:
                return None
            page = answer.json()
            found.update({shown["id"]: shown for shown in page["recordings"]})
            if page["next_cursor"] is None:
                return found
            cursor = "&cursor=" + page["next_cursor"]

    # ---- what was announced holds ----

    def heard(self, shown):
        was = self.seen.get(shown["id"])
        now = (shown["state"], shown["reason"])
        self.seen[shown["id"]] = now
        if was is None or was == now:
            return
        if was[0] in agreement.FINAL or (was[0] == "finishing" and now[0] not in AFTER_FINISHING):
            self.fault(f"{shown['id']} was {was}, and is {now}")

    def listen(self):
        """The newest ones, which are those of this round; None when nobody answered."""
        answer = self.call("GET", "/api/recordings?limit=50")
        if answer is None or answer.status != 200:
            return None
        for shown in answer.json()["recordings"]:
            self.heard(shown)
        return answer.json()["recordings"]

    # ---- steps ----

    def begin(self, room, wanted):
        body = {"room": room.name}
        if wanted != "auto":
            body["format"] = wanted
        if room.kind == "livekit":
            answer = self.call("POST", "/api/recordings", json.dumps(body).encode())
            if answer is not None and answer.status in (200, 201):
                self.count("started")
                self.seen.setdefault(answer.json()["id"], ("starting", ""))
            elif answer is not None:
                self.count("start refused: " + answer.json().get("code", str(answer.status)))

    def order(self, room, verb):
        answer = self.call("GET", "/api/recording/status/" + room.name)
        if answer is None or answer.status != 200:
            return
        recording = answer.json()["id"]
        answer = self.call("POST", f"/api/recordings/{recording}/{verb}")
        if answer is not None and answer.status not in (200, 404, 409, 503):
            self.fault(f"{verb} of {recording}: {answer}")
        self.count(verb)

    def died(self):
        self.early.append(time.monotonic() - self.born_s < EARLY_S)

    def go_down(self, how):
        self.died()
        process = self.serve.process
        if not process.alive():
            self.fault(f"the daemon ended by itself\n{process.result().err[-3000:]}")
            return
        if how == "kill":
            process.kill()
            return
        process.process.terminate()
        try:
            process.wait(30)
        except AssertionError as error:
            self.fault(f"SIGTERM: {str(error)[-3000:]}")
        else:
            if process.process.returncode != deck.DONE:
                self.fault(f"SIGTERM: exit {process.process.returncode}\n"
                           f"{process.result().err[-3000:]}")

    def come_back(self, settings, again_s):
        options = ("-c", self.settings[settings])
        for delay_s in again_s:
            self.serve.process = self.deck.spawn(
                "serve", "--listen", f"127.0.0.1:{self.serve.port}", "--data-dir", self.data,
                "--loopback", *options)
            self.born_s = time.monotonic()
            pass_time(delay_s)
            self.serve.process.kill()
            self.died()
            self.count("killed again")
        self.born_s = time.monotonic()
        self.serve.start(*options)

    def down_and_up(self, how, down_s, settings, again_s):
        for room in self.rooms:
            self.lost[room.name] += 1 + len(again_s)
        self.go_down(how)
        pass_time(down_s)
        self.come_back(settings, again_s)
        self.count(how)

    def carry_out(self, one, wanted):
        pass_time(one["after_s"], self.listen)
        room = self.rooms[one["room"]] if "room" in one else None
        verb = one["do"]
        if verb in DAEMON_VERBS:
            self.down_and_up(verb, one["down_s"], one["settings"], one["again_s"])
        elif verb == "lose publisher":
            room.lose()
        elif verb == "bring publisher":
            self.errand(room.bring)
        elif verb == "start":
            self.errand(self.begin, room, wanted[str(room.index)])
        else:
            self.errand(self.order, room, verb)

    # ---- the end of a round ----

    def errands_done(self):
        for errand in self.errands:
            errand.join(60)
            if errand.is_alive():
                self.fault("a call takes more than a minute")
        self.errands.clear()

    def everything_ended(self):
        newest = self.listen()
        running = [shown["id"] for shown in newest or []
                   if shown["state"] not in agreement.FINAL]
        for recording in running:
            self.call("POST", f"/api/recordings/{recording}/stop")
        return newest is not None and not running

    def bring_to_an_end(self):
        self.errands_done()
        for room in self.rooms:
            room.leave()
        try:
            self.serve.process.wait_for(self.everything_ended, "everything to end", END_S)
            self.serve.process.wait_for(
                lambda: not os.listdir(os.path.join(self.data, "live")), "no live link", 2)
        except AssertionError as error:
            listed = self.listed() or {}
            left = [(shown["id"], shown["state"], shown["reason"]) for shown in listed.values()
                    if shown["state"] not in agreement.FINAL]
            self.fault(f"{str(error)[:60]}: {left} {os.listdir(os.path.join(self.data, 'live'))}")

    def check(self):
        """Problems of the recordings of this round, and of the whole; the new rows."""
        listed = self.listed() or {}
        catalogue = agreement.rows(self.data)
        found = agreement.whole(self.data, catalogue, listed)
        new = [row for row in catalogue if row["id"] not in self.ended]
        for row in new:
            shown = listed.get(row["id"])
            if shown is None:
                continue
            self.heard(shown)
            found += [f"{row['id']}: {text}" for text in agreement.one(self.data, row, shown)]
            found += self.plausible(row, shown)
        found += [f"{row['id']} has changed: {self.ended[row['id']]} {row}" for row in catalogue
                  if row["id"] in self.ended and self.ended[row["id"]] != row]
        missing = self.seen.keys() - {row["id"] for row in catalogue}
        found += [f"{recording} was announced and is nowhere" for recording in sorted(missing)]
        return found, new

    def plausible(self, row, shown):
        most = self.lost[row["room"]]
        count = len(shown["interruptions"])
        early = max((len(list(group)) for is_early, group in itertools.groupby(self.early)
                     if is_early), default=0)
        found = [f"{row['id']}: {count} interruptions, {most} things were killed"] \
            if count > most else []
        if row["reason"] == agreement.SET_ASIDE and early < EARLY_MAX:
            found.append(f"{row['id']} was set aside after {early} early ends of the daemon")
        return found

    def verify(self, row):
        found = []
        folder = agreement.folder_of(self.data, row)
        for output in json.loads(row["doc"])["outputs"]:
            if output["state"] == "failed":
                continue
            path = os.path.join(folder, output["name"])
            seen, code = killing.verify(self.deck, path)
            self.count("files verified")
            if code != deck.DONE or seen["damaged"] or seen["decode_errors"]:
                found.append(f"{path}: verify {code}, damaged {seen['damaged']}, "
                             f"decode errors {seen['decode_errors']}")
        return found

    def wait_media(self, rooms):
        def stored():
            found = {shown["room"] for shown in self.listen() or []
                     if shown["state"] == "recording" and shown["bytes"] > 0}
            for index in rooms:
                if self.rooms[index].gave_up():
                    self.count("publisher gave up")
                    self.errand(self.rooms[index].bring)
            return all(self.rooms[index].name in found for index in rooms)

        try:
            self.serve.process.wait_for(stored, "media in each room", 40)
        except AssertionError as error:
            self.fault(str(error)[:2000])

    def round(self, number, drawn):
        """What happened, with the problems that were found."""
        began = time.monotonic()
        self.lost.clear()
        self.early.clear()
        self.faults.clear()
        for index in drawn["rooms"]:
            self.errand(self.rooms[index].bring)
            self.errand(self.begin, self.rooms[index], drawn["format"][str(index)])
        if drawn["media_first"]:
            self.wait_media(drawn["rooms"])
        for one in drawn["steps"]:
            self.carry_out(one, drawn["format"])
        self.bring_to_an_end()
        if drawn["kill_at_the_end"]:
            self.down_and_up("kill", 0, "finish", [])
            self.serve.process.wait_for(lambda: ready(self), "the daemon to be ready")
        found, new = self.check()
        for row in new:
            found += self.verify(row)
        self.ended.update({row["id"]: row for row in new})
        return {"round": number, "seconds": round(time.monotonic() - began, 1),
                "recordings": {row["id"]: (row["state"], row["reason"]) for row in new},
                "interruptions": sum(len(json.loads(row["doc"])["interruptions"]) for row in new),
                "problems": [*self.faults, *found]}

    def keep(self, folder, number):
        """The data and all logs as they are, for a look afterwards."""
        to = os.path.join(folder, f"round-{number}")
        shutil.copytree(self.data, os.path.join(to, "data"), symlinks=True)
        shutil.copytree(self.deck.folder, os.path.join(to, "logs"))

    def end(self):
        for room in self.rooms:
            room.end()
        if self.serve.process.alive():
            self.serve.process.interrupt()


def ready(world):
    answer = world.call("GET", "/readyz")
    return answer is not None and answer.status == 200


def pass_time(seconds, meanwhile=lambda: None):
    end = time.monotonic() + seconds

    def over():
        meanwhile()
        return time.monotonic() >= end

    wait.until(over, "the next step", seconds + 30, 0.005)


def torture(tapedeck, folder, rounds, seed, first=0, each=lambda world, drawn, run: None):
    """A list of what happened in rounds first … first + rounds - 1, and how often what was done."""
    world = World(tapedeck, folder)
    runs = []
    try:
        for number in range(first, first + rounds):
            drawn = plan(seed, number)
            runs.append(world.round(number, drawn))
            each(world, drawn, runs[-1])
    finally:
        world.end()
    return runs, dict(world.counts)
