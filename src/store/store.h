/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store: the process's way to disk: crash pool, writer, sync, finisher and scribe thread.
 * Owner: the executable; freed after every spool is closed.
 * Thread: new/free on the control thread.
 * Bound: the crash pool's buffers and the writer's mailbox (one message per buffer).
 * Does not: know containers or recordings.
 */
#ifndef TD_STORE_STORE_H
#define TD_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/fileop.h"
#include "base/fs.h"
#include "base/mailbox.h"
#include "store/crashpool.h"

struct td_store;

struct td_store_config {
    struct td_fs *fs;
    const char *runtime_dir;   /* NULL: as in crashpool.h */
    size_t crashpool_bytes;    /* 0: TD_CRASHPOOL_BYTES */
    size_t flush_bytes;        /* 0: TD_FLUSH_BYTES */
    int64_t flush_interval_us; /* 0: TD_FLUSH_INTERVAL_US */
    int64_t sync_interval_us;  /* 0: each flush; < 0: off; design default TD_SYNC_INTERVAL_US */
};

/* Opens the crash pool (falling back to private memory: `td_store_crash_safe` is then false). */
TD_MUST int td_store_new(const struct td_store_config *config, struct td_store **ret_store);
/* Runs all that was posted first. Answers that do not fit into their mailbox even then are dropped.
 */
struct td_store *td_store_free(struct td_store *s);
bool td_store_crash_safe(const struct td_store *s);
/* Why it is not: -ENODEV (no tmpfs), -ENOSPC (tmpfs full) …; 0 when it is. */
int td_store_pool_error(const struct td_store *s);
const struct td_crashpool *td_store_pool(const struct td_store *s);

/* ---- spool: the media loop's end of one growing part (its media file and its index). ---- */

struct td_spool;

enum td_spool_condition {
    TD_SPOOL_FULL = 1, /* no buffer: nothing was taken; drop video to the next key frame */
};

/* Upper bounds of the buckets of write latency, in microseconds; the last one has none. */
#define TD_SPOOL_LATENCY_BUCKETS 10u
extern const int64_t td_spool_latency_us[TD_SPOOL_LATENCY_BUCKETS - 1];

struct td_spool_stats {      /* readable from any thread, each value by itself */
    uint64_t accepted_bytes; /* taken from the muxer */
    uint64_t written_bytes;  /* handed to the kernel */
    uint64_t synced_bytes;   /* known durable */
    uint64_t flushes;
    int64_t last_write_us;    /* monotonic time of the last finished write */
    int64_t write_latency_us; /* of the last write */
    uint64_t latency_counts[TD_SPOOL_LATENCY_BUCKETS]; /* writes that took so long, not summed up */
    uint64_t latency_sum_us;
    /* First failure of open, write, sync …, negative, sticky. -TD_E_LOST: somebody else removed or
     * cut the media file; looked for before each write and at each sync, unless syncing is off. */
    int error;
};

struct td_spool_config {
    const char *path[TD_FILE_SLOTS]; /* growing names; NULL slot = not written: its ops are taken
                                        and dropped. Created exclusively by the writer thread, mode
                                        0644, locked (OFD) until closed; an open that fails half-way
                                        takes its empty files back */
    /* > 0: the media file is there already, with exactly this many bytes (else -TD_E_DAMAGED), and
     * is appended to. An open that fails leaves it as it was. */
    uint64_t resume_bytes;
    /* Heard once on `notify`'s owner thread when the spool failed (path, code), and once when it
     * was closed. `notify` may be NULL: poll the stats. */
    struct td_mailbox *notify;
    td_message_fn *failed; /* payload: struct td_spool_report */
    td_message_fn *closed; /* payload: struct td_spool_report; the spool is gone after this */
    void *ctx;             /* target of both */
};

struct td_spool_report {
    int error;      /* 0 or negative */
    bool renamed;   /* in `closed`: the file is whole under its final name, whatever `error` was */
    uint64_t bytes; /* of the file as it was left */
    struct td_spool *spool; /* identity only in `closed`: its memory may be gone */
};

/* How a closed part is finished, run on the finisher thread after everything is written and synced.
 * `seal` may be NULL. It reads the files and emits operations that are executed at once. After a
 * failure the file keeps its growing name, for recovery to finish; after a full disk (ENOSPC,
 * EDQUOT, EFBIG) it is still sealed, so that its torn tail is cut, and renamed if that succeeds. */
struct td_spool_finish {
    int (*seal)(void *ctx, const struct td_read_at *media, const struct td_read_at *index,
                const struct td_op_sink *sink);
    void *seal_ctx;
    char final_path[1024]; /* the media file's name afterwards (empty: it has it already); renamed
                              without replacing unless `replace`; the folder synced; the index
                              unlinked after that */
    bool replace;
};

/* Any thread that is not the writer; does no I/O: the writer creates the files. 0, -ENOMEM,
 * -ENOBUFS (as many spools as the crash pool has file entries: one per buffer, 64 at least),
 * -ENAMETOOLONG. */
TD_MUST int td_spool_open(struct td_store *s, const struct td_spool_config *config,
                          struct td_spool **ret_spool);
/* Media loop. 0, TD_SPOOL_FULL, or the sticky error. An append larger than a buffer spans several;
 * it is taken whole or not at all. Published in the crash pool before the call returns. A patch
 * larger than a buffer is refused with -TD_E_LIMIT, an offset beyond 2^63 with -EFBIG. */
TD_MUST int td_spool_emit(struct td_spool *spool, const struct td_file_op *op);
/* Media loop: hands the current buffer to the writer when it is due by bytes or age. */
void td_spool_tick(struct td_spool *spool, int64_t now_us);
/* Media loop: hands it over now (the first key frame). */
void td_spool_flush(struct td_spool *spool);
/* Media loop, last call: everything to disk, sync, seal, rename, sync folder; then `closed`.
 * `finish` is copied; NULL = close as it lies under the growing name. Without `notify` nothing
 * tells when the spool is gone: do not touch it after this. */
void td_spool_close(struct td_spool *spool, const struct td_spool_finish *finish);
void td_spool_stats(const struct td_spool *spool, struct td_spool_stats *ret_stats);

/* ---- scribe: small files, off every loop. ---- */

/* Any thread. Takes a copy. Replaces `path` atomically (td_fs_replace) in order of calls. -ENOBUFS
 * when the scribe is behind (scribe.h), which is counted as an error of it. */
TD_MUST int td_store_replace(struct td_store *s, const char *path, const void *bytes, size_t len);
/* Any thread. Takes a copy. Appends to `path`, created when missing, in order of calls. */
TD_MUST int td_store_append(struct td_store *s, const char *path, const void *bytes, size_t len);

/* Something that may block: a call to the catalogue, a look into a folder. */
struct td_store_job {
    int (*job)(void *arg);
    void *arg;
    struct td_mailbox *reply; /* hears done(target, &result); it outlives the store */
    td_message_fn *done;      /* payload: int; NULL: nobody wants to know */
    void *target;
};
/* Any thread. Runs the job on the scribe's thread, in order of calls with the two above: what they
 * wrote is there. Answers into one mailbox keep their order; one that is full is tried again until
 * it takes them. `arg` is the job's, unless this fails: -ENOBUFS, -ENOMEM. */
TD_MUST int td_store_run(struct td_store *s, const struct td_store_job *job);

/* From here on the file at `path` (reserve.h) is cut shorter by a slice whenever a small file finds
 * no space, and the write is done again. -ENOMEM, -ENOBUFS. */
TD_MUST int td_store_use_reserve(struct td_store *s, const char *path, uint64_t slice_bytes);

/* Failures of the scribe so far, and the first (0 when none). */
uint64_t td_store_scribe_errors(const struct td_store *s, int *ret_first);

#endif
