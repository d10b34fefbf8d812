/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/dump.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "source/replay/capture_file.h"

struct td_dump {
    struct td_spool *spool;
    uint64_t offset;
    int64_t start_us; /* monotonic: time 0 of the capture */
    uint64_t refused; /* records that found no buffer */
    uint8_t record[TD_CAPTURE_RECORD_MAX];
};

static void append(struct td_dump *d, int len)
{
    if (len <= 0) {
        d->refused++;
        return;
    }
    struct td_file_op op = {
        .kind = TD_OP_APPEND,
        .file = TD_FILE_MEDIA,
        .offset = d->offset,
        .bytes = d->record,
        .len = (size_t)len,
    };
    if (td_spool_emit(d->spool, &op) == 0)
        d->offset += (uint64_t)len;
    else
        d->refused++;
}

static uint64_t since_start(const struct td_dump *d, int64_t now_us)
{
    return now_us > d->start_us ? (uint64_t)(now_us - d->start_us) : 0;
}

int td_dump_open(struct td_store *store, const char *path, struct td_dump **ret_dump)
{
    struct td_dump *d = calloc(1, sizeof(*d));
    if (d == NULL)
        return -ENOMEM;
    d->start_us = td_clock_now_us();
    struct td_spool_config config = {.path = {[TD_FILE_MEDIA] = path}};
    int r = td_spool_open(store, &config, &d->spool);
    if (r < 0) {
        free(d);
        return r;
    }
    append(d, td_capture_put_header(d->record, sizeof(d->record)));
    *ret_dump = d;
    return 0;
}

struct td_dump *td_dump_close(struct td_dump *d)
{
    if (d == NULL)
        return NULL;
    td_spool_close(d->spool, NULL);
    free(d);
    return NULL;
}

void td_dump_track(struct td_dump *d, const struct td_track_info *info,
                   const struct td_track_binding *binding, int64_t now_us)
{
    append(d, td_capture_put_track(info, binding, since_start(d, now_us), d->record,
                                   sizeof(d->record)));
}

void td_dump_muted(struct td_dump *d, uint32_t handle, bool muted, int64_t now_us)
{
    append(d, td_capture_put_muted(handle, muted, since_start(d, now_us), d->record,
                                   sizeof(d->record)));
}

void td_dump_removed(struct td_dump *d, uint32_t handle, int64_t now_us)
{
    append(d, td_capture_put_removed(handle, since_start(d, now_us), d->record, sizeof(d->record)));
}

void td_dump_packet(struct td_dump *d, const uint8_t *bytes, size_t len, int64_t now_us)
{
    append(d,
           td_capture_put_packet(bytes, len, since_start(d, now_us), d->record, sizeof(d->record)));
}

void td_dump_tick(struct td_dump *d, int64_t now_us)
{
    td_spool_tick(d->spool, now_us);
}
