/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/part.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/layout.h"

static int emit(void *ctx, const struct td_file_op *op)
{
    struct td_part *part = ctx;
    /* TD_SPOOL_FULL is passed up by the muxer: the output drops or keeps the frame. */
    return td_spool_emit(part->spool, op);
}

static int seal(void *ctx, const struct td_read_at *media, const struct td_read_at *index,
                const struct td_op_sink *sink)
{
    struct td_part *part = ctx;
    return td_mux_seal(part->format, media, index, sink, &part->scan);
}

static void on_started(void *target, const void *payload)
{
    (void)payload;
    struct td_part *part = target;
    part->events.started(part->events.ctx, part);
}

static void on_failed(void *target, const void *payload)
{
    struct td_part *part = target;
    const struct td_spool_report *report = payload;
    if (!part->orphan)
        part->events.failed(part->events.ctx, part, report->error);
}

static void on_closed(void *target, const void *payload)
{
    struct td_part *part = target;
    const struct td_spool_report *report = payload;
    int error = report->error < 0 ? report->error : part->mux_error;
    part->renamed = report->renamed;
    if (!part->orphan)
        part->events.closed(part->events.ctx, part, error, report->bytes);
    free(part);
}

static int name_files(struct td_part *part, const char *base)
{
    const char *extension = part->format->extension;
    int r = td_layout_growing(base, part->number, extension, part->growing);
    if (r < 0)
        return r;
    r = td_layout_final(base, part->number, extension, part->final);
    if (r < 0 || !part->format->has_index)
        return r;
    return td_layout_path(part->index, "%s.idx", part->growing);
}

static int open_files(struct td_part *part, const struct td_part_config *config)
{
    const struct td_recorder *recorder = config->recorder;
    struct td_spool_config spool = {
        .path = {[TD_FILE_MEDIA] = part->growing,
                 [TD_FILE_INDEX] = part->format->has_index ? part->index : NULL},
        .resume_bytes = config->tail != NULL ? config->tail->bytes : 0,
        .notify = recorder->control,
        .failed = on_failed,
        .closed = on_closed,
        .ctx = part,
    };
    return td_spool_open(recorder->store, &spool, &part->spool);
}

int td_part_new(const struct td_part_config *config, struct td_part **ret_part)
{
    struct td_part *part = calloc(1, sizeof(*part));
    if (part == NULL)
        return -ENOMEM;
    part->output = config->output;
    part->number = config->number;
    part->format = config->format;
    part->first_pts_us = config->first_pts_us;
    part->zero_us = config->zero_us;
    part->events = config->events;
    part->replace = config->replace;
    int r = name_files(part, config->base);
    if (r < 0)
        goto fail;
    struct td_op_sink sink = {.emit = emit, .ctx = part};
    r = config->tail != NULL ? td_mux_resume(part->format, sink, config->tail, &part->mux)
                             : td_mux_new(part->format, sink, &part->mux);
    if (r < 0)
        goto fail;
    r = open_files(part, config);
    if (r < 0)
        goto fail;
    r = td_mailbox_post(config->recorder->control, on_started, part, NULL, 0);
    if (r < 0) {
        part->orphan = true;
        td_part_close(part, config->tail != NULL);
        return r;
    }
    *ret_part = part;
    return 0;
fail:
    td_mux_free(part->mux);
    free(part);
    return r;
}

void td_part_close(struct td_part *part, bool keep)
{
    /* Whatever the muxer cannot emit any more, seal completes; a full disk leaves a valid file. */
    int r = keep ? 0 : td_mux_close(part->mux);
    part->mux_error = r < 0 ? r : 0;
    part->mux = td_mux_free(part->mux);
    struct td_spool *spool = part->spool;
    part->spool = NULL;
    part->kept = keep;
    if (keep) {
        td_spool_close(spool, NULL);
        return;
    }
    struct td_spool_finish finish = {.seal = seal, .seal_ctx = part, .replace = part->replace};
    memcpy(finish.final_path, part->final, sizeof(part->final));
    td_spool_close(spool, &finish);
}
