# SPDX-License-Identifier: Apache-2.0
"""Do the catalogue, the manifests, the API, the timelines and the files on disk tell the same? Each
function returns the sentences in which they do not. For a daemon that lives and records nothing."""

import contextlib
import glob
import json
import os
import sqlite3

FINAL = ("complete", "failed", "aborted")
SET_ASIDE = "crashed_recovery"
MEDIA = (".ts", ".mkv")
COLUMNS = ("id", "room", "state", "reason", "folder", "started_us", "ended_us", "bytes", "final",
           "doc")
SHARED = ("id", "room", "state", "reason", "outputs", "interruptions", "ended_at", "bytes")
PART = (("bytes", "bytes"), ("duration_ms", "duration_ms"), ("state", "state"))


def rows(data):
    """What the catalogue holds, oldest first, read beside the daemon."""
    # Closed at once: a copy of the files made in this process would drop the locks of a connection.
    with contextlib.closing(sqlite3.connect(f"file:{data}/catalog.db?mode=ro", uri=True,
                                            timeout=20)) as db:
        found = db.execute(f"SELECT {', '.join(COLUMNS)} FROM recordings ORDER BY started_us, id")
        return [dict(zip(COLUMNS, row)) for row in found]


def folder_of(data, row):
    return os.path.join(data, "recordings", row["folder"])


def _load(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def timeline(folder):
    """The events; ValueError for a line that is not whole."""
    path = os.path.join(folder, "timeline.jsonl")
    if not os.path.exists(path):
        return []
    with open(path, "rb") as f:
        text = f.read()
    if text and not text.endswith(b"\n"):
        raise ValueError(f"the last line is torn: {text[-80:]!r}")
    return [json.loads(line) for line in text.splitlines()]


# ---- one recording ----

def _row_and_api(row, shown):
    doc = json.loads(row["doc"])
    found = [f"catalogue's {name} is {row[name]}, its document's {doc[name]}"
             for name in ("id", "room", "state", "reason", "folder") if row[name] != doc[name]]
    found += [f"API's {name} is {shown.get(name)!r}, the catalogue's {doc.get(name)!r}"
              for name in SHARED if shown.get(name) != doc.get(name)]
    if row["state"] not in FINAL or row["final"] != 1:
        found.append(f"not final: state {row['state']}, final {row['final']}")
    if row["final"] and not row["started_us"] <= row["ended_us"]:
        found.append(f"ended {row['ended_us']} before it started {row['started_us']}")
    if row["bytes"] != sum(output["bytes"] for output in shown["outputs"]):
        found.append(f"{row['bytes']} bytes are not the sum of its outputs'")
    return found


def _manifest_and_api(manifest, shown):
    found = [f"manifest's {name} is {manifest[name]!r}, API's {shown[name]!r}"
             for name in ("id", "room", "state", "reason") if manifest[name] != shown[name]]
    if manifest.get("ended") != shown["ended_at"]:
        found.append(f"manifest ended {manifest.get('ended')}, API {shown['ended_at']}")
    parts = {part["file"]: part for output in manifest["outputs"] for part in output["parts"]}
    outputs = {output["name"]: output for output in shown["outputs"]}
    if parts.keys() != outputs.keys() or len(shown["outputs"]) != len(outputs):
        found.append(f"manifest's parts {sorted(parts)}, API's outputs {sorted(outputs)}")
    for name in parts.keys() & outputs.keys():
        found += [f"{name}: manifest's {mine} {parts[name].get(mine)}, API's {outputs[name][its]}"
                  for mine, its in PART if parts[name].get(mine) != outputs[name][its]]
    holes = [None if "resumed_us" not in b else (b["resumed_us"] - b["pts_us"]) // 1000
             for b in manifest.get("interruptions", [])]
    if holes != [hole["hole_ms"] for hole in shown["interruptions"]]:
        found.append(f"manifest's holes {holes}, API's {shown['interruptions']}")
    return found


def _files(folder, shown):
    found = []
    there = {os.path.basename(p) for p in glob.glob(os.path.join(folder, "*"))}
    media = {name for name in there if name.endswith((*MEDIA, ".idx"))}
    named = {output["name"]: output for output in shown["outputs"]}
    for name, output in named.items():
        if name not in media:
            if output["state"] != "failed" or output["bytes"]:
                found.append(f"{name} ({output['state']}, {output['bytes']} bytes) is not there")
            continue
        size = os.path.getsize(os.path.join(folder, name))
        if size != output["bytes"]:
            found.append(f"{name} has {size} bytes, not {output['bytes']}")
    found += [f"{name} belongs to nothing" for name in sorted(media - named.keys())]
    found += [f"{name} seems to grow" for name in sorted(there) if ".recording." in name]
    return found


def _state(shown):
    stored = any(output["state"] != "failed" for output in shown["outputs"])
    found = []
    if not shown["reason"]:
        found.append(f"{shown['state']} without a reason")
    if (shown["state"] == "complete") > stored or (shown["state"] == "aborted" and stored):
        found.append(f"{shown['state']} with outputs "
                     f"{[(o['name'], o['state'], o['bytes']) for o in shown['outputs']]}")
    return found


def _told(folder, shown):
    """The timeline has each interruption once."""
    try:
        events = [line["event"] for line in timeline(folder)]
    except ValueError as error:
        return [f"timeline: {error}"]
    breaks = shown["interruptions"]
    found = []
    if events.count("interrupted") != len(breaks):
        found.append(f"{events.count('interrupted')} times interrupted on the timeline, "
                     f"{len(breaks)} interruptions")
    # Killed right after it had gone on, it goes on again: that is told twice. Killed while it was
    # being finished, it is repaired without an interruption.
    told = [event for event in events if event in ("interrupted", "recovered")]
    recovered = [a for a, b in zip(told, [None, *told]) if a == "recovered" and b != a]
    if len(recovered) > len(breaks) + 1:
        found.append(f"recovered {len(recovered)} times of {len(breaks)}")
    return found


def _set_aside(folder, shown):
    """It killed the daemon at its starts: its manifest and files are as that found them."""
    manifest = _load(os.path.join(folder, "manifest.json"))
    found = [f"set aside, but its manifest's state is {manifest['state']}"] \
        if manifest["state"] in FINAL else []
    return found + [f"{output['name']} is not there any more" for output in shown["outputs"]
                    if not os.path.exists(os.path.join(folder, output["name"]))]


def one(data, row, shown):
    """A recording that has ended: its row, and what the API shows of it."""
    folder = folder_of(data, row)
    found = _row_and_api(row, shown)
    if row["reason"] == SET_ASIDE:
        return found + _set_aside(folder, shown)
    found += _state(shown)
    path = os.path.join(folder, "manifest.json")
    if not os.path.exists(path):  # killed before its first manifest was there
        if row["state"] != "aborted" or shown["outputs"]:
            found.append(f"{row['state']} without a manifest")
        return found
    found += _manifest_and_api(_load(path), shown)
    return found + _files(folder, shown) + _told(folder, shown)


# ---- the whole ----

def whole(data, catalogue, listed):
    """The folder as a whole: `listed` are the API's recordings, by id."""
    found = []
    if {row["id"] for row in catalogue} != listed.keys():
        found.append(f"the API lists {len(listed)} recordings, the catalogue {len(catalogue)}")
    known = {row["folder"] for row in catalogue}
    if len(known) != len(catalogue):
        found.append("two recordings share a folder")
    folders = set(os.listdir(os.path.join(data, "recordings")))
    found += [f"no recording has the folder {name}" for name in sorted(folders - known)]
    found += [f"live/{name} -> {os.readlink(os.path.join(data, 'live', name))} is left over"
              for name in sorted(os.listdir(os.path.join(data, "live")))]
    return found
