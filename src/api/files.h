/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files: GET and HEAD of one file of a recording: ranges, validators, and following one that grows.
 * Owner: the serve command.
 * Thread: control loop; everything that touches the disk runs in the I/O pool.
 * Bound: TD_FILES_STREAMS_MAX answers at a time (503 beyond), each with at most one chunk of
 *        TD_FILES_CHUNK_BYTES in memory: the next is read once the last was handed to the socket.
 * Does not: know recordings, or who may see them. Nothing but plain names reaches the disk.
 *
 * What is read after the headers are out and is not there (a file that was cut short, EIO) ends the
 * connection: the client sees that the answer is not whole.
 */
#ifndef TD_API_FILES_H
#define TD_API_FILES_H

#include "api/http.h"
#include "base/fs.h"

#define TD_FILES_STREAMS_MAX 256u
#define TD_FILES_THREADS_MAX 4u
#define TD_FILES_CHUNK_BYTES (256u << 10)
#define TD_FILES_POLL_MS 100u /* a followed file is looked at this often */

struct td_files;

struct td_files_config {
    struct td_fs *fs;
    const struct td_log *log;
    /* Whether this file is still being written. Control loop; must not call back. */
    bool (*growing)(void *ctx, const char *recording_id, const char *name);
    void *ctx;
};

struct td_files_request {
    const char *folder; /* absolute: that of the recording */
    const char *name;   /* from the URL */
    const char *recording_id;
};

struct td_files_counts {
    uint64_t streams; /* now */
    uint64_t bytes;   /* read to be sent since the start, as all that follow */
    uint64_t refused; /* above TD_FILES_STREAMS_MAX */
    uint64_t broken;  /* connections ended in the middle, by the disk */
};

TD_MUST int td_files_new(const struct td_files_config *config, struct td_files **ret_files);
/* Ends all answers; waits for the I/O pool. Takes NULL, returns NULL. */
struct td_files *td_files_free(struct td_files *f);
struct td_files_counts td_files_counts(const struct td_files *f);

/* Answers, now or later; all of `request` is copied. A growing name NAME.recording.EXT is found
 * under its final name too. With ?follow=1 a growing file is sent until it ends. */
void td_files_serve(struct td_files *f, SoupServerMessage *message,
                    const struct td_files_request *request);

#endif
