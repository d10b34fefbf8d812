/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump: the received packets of a recording as a capture file (docs/formats/capture.md).
 * Owner: a capture.
 * Thread: open and close on the control or media loop, the rest on the media loop.
 * Bound: the store's buffers; a packet that finds none is left out and counted.
 * Does not: read captures (source/replay does).
 */
#ifndef TD_RECORDER_DUMP_H
#define TD_RECORDER_DUMP_H

#include "source/source.h"
#include "store/store.h"

struct td_dump;

TD_MUST int td_dump_open(struct td_store *store, const char *path, struct td_dump **ret_dump);
/* Takes NULL, returns NULL; writing goes on without it. */
struct td_dump *td_dump_close(struct td_dump *d);
/* `info` or `binding` may be NULL. */
void td_dump_track(struct td_dump *d, const struct td_track_info *info,
                   const struct td_track_binding *binding, int64_t now_us);
void td_dump_muted(struct td_dump *d, uint32_t handle, bool muted, int64_t now_us);
void td_dump_removed(struct td_dump *d, uint32_t handle, int64_t now_us);
void td_dump_packet(struct td_dump *d, const uint8_t *bytes, size_t len, int64_t now_us);
void td_dump_tick(struct td_dump *d, int64_t now_us);

#endif
