/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay: a capture file as a source (docs/formats/capture.md): what `record --dump` wrote.
 * Owner: a session.
 * Thread: control loop; `packet` and `send_rtcp` on the media loop.
 * Bound: TD_REPLAY_BYTES_MAX of file, held in memory; TD_TRACKS_MAX tracks.
 * Does not: answer RTCP (it is discarded), or loop over the file.
 *
 * Announcements, bindings and mutes come at their place among the packets: the media loop stops at
 * each until the control loop has told it. The source ends with TD_END_ROOM_CLOSED at the end of
 * the file, a torn last record included, and with TD_END_FAILED and a sentence where it is damaged.
 */
#ifndef TD_SOURCE_REPLAY_REPLAY_H
#define TD_SOURCE_REPLAY_REPLAY_H

#include <stdbool.h>

#include "base/fs.h"
#include "base/loop.h"
#include "base/mailbox.h"
#include "source/source.h"

#define TD_REPLAY_BYTES_MAX (256u << 20)

struct td_replay_config {
    const char *path;
    struct td_fs *fs;
    struct td_loop *loop;       /* media */
    struct td_mailbox *control; /* of the calling thread */
    bool fast;                  /* as quickly as the loop can; else at the recorded pace */
};

/* Reads the file (blocking). 0, -TD_E_PARSE for no capture, -TD_E_UNSUPPORTED for another version,
 * -TD_E_LIMIT for a larger file, -errno. In both paces `now_us` of a packet is the time of the
 * start plus the recorded time. */
TD_MUST int td_replay_new(const struct td_replay_config *config,
                          const struct td_source_events *events, const struct td_media_sink *sink,
                          struct td_source **ret_source);

#endif
