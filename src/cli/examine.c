/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/examine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "codec/inspect.h"
#include "media/codec.h"

struct results {
    struct td_inspect_video *video;
    size_t video_count;
    size_t video_capacity;
    struct td_inspect_beep *beeps;
    size_t beep_count;
    size_t beep_capacity;
    unsigned video_track; /* the first of its kind */
    int error;
};

struct examination {
    struct td_examine_report *report;
    struct td_codec_inspect *inspect;
    struct results results;
};

static void *grow(void *items, size_t count, size_t *capacity, size_t item_bytes)
{
    if (count < *capacity)
        return items;
    size_t wanted = *capacity == 0 ? 1024 : *capacity * 2;
    if (wanted > TD_EXAMINE_RESULTS_MAX)
        return NULL;
    void *bigger = realloc(items, wanted * item_bytes);
    if (bigger != NULL)
        *capacity = wanted;
    return bigger;
}

static void on_video(void *ctx, const struct td_inspect_video *video)
{
    struct results *r = ctx;
    if (video->track != r->video_track || r->error < 0)
        return;
    struct td_inspect_video *items =
        grow(r->video, r->video_count, &r->video_capacity, sizeof(*items));
    if (items == NULL) {
        r->error = -TD_E_LIMIT;
        return;
    }
    r->video = items;
    r->video[r->video_count++] = *video;
}

static void on_beep(void *ctx, const struct td_inspect_beep *beep)
{
    struct results *r = ctx;
    struct td_inspect_beep *items =
        grow(r->beeps, r->beep_count, &r->beep_capacity, sizeof(*items));
    if (items == NULL || r->error < 0) {
        r->error = -TD_E_LIMIT;
        return;
    }
    r->beeps = items;
    r->beeps[r->beep_count++] = *beep;
}

static void look_at_time(struct td_examine_track *t, const struct td_frame *frame)
{
    const struct td_codec_info *codec = td_codec_info(frame->codec);
    bool audio = codec != NULL && codec->kind == TD_MEDIA_AUDIO;
    if (t->seen && frame->pts_us < t->last_pts_us)
        t->backwards++;
    int64_t gap_us = 0;
    if (t->seen && audio)
        gap_us = frame->pts_us - t->expected_us;
    else if (t->seen)
        gap_us = frame->pts_us - t->last_pts_us;
    if (gap_us > (audio ? TD_EXAMINE_AUDIO_GAP_US : TD_EXAMINE_VIDEO_GAP_US)) {
        t->gaps++;
        t->gap_us += gap_us;
    }
    t->seen = true;
    t->last_pts_us = frame->pts_us;
    t->expected_us = frame->pts_us + frame->duration_us;
}

static int on_frame(void *ctx, const struct td_frame *frame)
{
    struct examination *e = ctx;
    if (frame->track < TD_MUX_TRACKS_MAX)
        look_at_time(&e->report->tracks[frame->track], frame);
    if (e->inspect == NULL || frame->len == 0)
        return 0;
    return td_codec_inspect_push(e->inspect, frame);
}

/* The worker wants to know the tracks first: a scan without frames tells. */
static int open_inspect(struct examination *e, const struct td_scan *scan, struct td_fail *fail)
{
    struct td_inspect_track tracks[TD_INSPECT_TRACKS_MAX];
    size_t count = 0;
    e->results.video_track = TD_INSPECT_TRACKS_MAX;
    for (unsigned i = 0; i < scan->track_count && i < TD_INSPECT_TRACKS_MAX; i++) {
        const struct td_codec_info *codec = td_codec_info(scan->tracks[i].codec);
        tracks[count++] = (struct td_inspect_track){.codec = scan->tracks[i].codec,
                                                    .channels = (uint8_t)scan->tracks[i].channels};
        if (codec != NULL && codec->kind == TD_MEDIA_VIDEO &&
            e->results.video_track == TD_INSPECT_TRACKS_MAX)
            e->results.video_track = i;
    }
    struct td_inspect_sink sink = {.ctx = &e->results, .video = on_video, .beep = on_beep};
    return td_codec_inspect_open(tracks, count, &sink, fail, &e->inspect);
}

/* The ends of what can be read: what a test compares with what was sent. */
static void find_ends(const struct results *results, struct td_examine_report *report)
{
    report->counter_first = TD_INSPECT_UNREADABLE;
    report->counter_last = TD_INSPECT_UNREADABLE;
    for (size_t i = 0; i < results->video_count; i++) {
        const struct td_inspect_video *v = &results->video[i];
        if (v->counter == TD_INSPECT_UNREADABLE)
            continue;
        if (report->counter_first == TD_INSPECT_UNREADABLE)
            report->counter_first = v->counter;
        report->counter_last = v->counter;
        report->counter_last_pts_us = v->pts_us;
    }
}

static int finish_inspect(struct examination *e)
{
    struct td_inspect_done done;
    int r = td_codec_inspect_finish(e->inspect, &done);
    if (r < 0)
        return r;
    if (e->results.error < 0)
        return e->results.error;
    e->report->decoded = true;
    e->report->decode_errors = done.video_errors + done.audio_errors;
    find_ends(&e->results, e->report);
    struct td_skew_config config = {.loop_frames = 0};
    return td_skew_compute(&config, e->results.video, e->results.video_count, e->results.beeps,
                           e->results.beep_count, &e->report->skew);
}

static int look(struct examination *e, const struct td_read_at *input, bool decode,
                struct td_fail *fail)
{
    const struct td_mux_ops *ops = td_mux_by_content(input);
    if (ops == NULL)
        return td_fail_set(fail, -TD_E_UNSUPPORTED,
                           "not a container that tapedeck writes (TS, Matroska).");
    e->report->format = ops->name;
    struct td_scan scan;
    int r = decode ? td_mux_scan(ops, input, NULL, NULL, &scan) : 0;
    if (r == 0 && decode)
        r = open_inspect(e, &scan, fail);
    if (r < 0)
        return r;
    r = td_mux_scan(ops, input, on_frame, e, &e->report->scan);
    if (r == 0 && e->inspect != NULL)
        r = finish_inspect(e);
    return r;
}

static bool is_damaged(const struct td_examine_report *report)
{
    const struct td_scan *scan = &report->scan;
    bool damaged = scan->damaged_units > 0 || scan->valid_bytes < scan->bytes ||
                   report->decode_errors > 0;
    for (unsigned i = 0; i < scan->track_count; i++)
        damaged = damaged || report->tracks[i].backwards > 0;
    return damaged;
}

int td_examine(const char *path, bool decode, struct td_fail *fail,
               struct td_examine_report *ret_report)
{
    struct td_fs *fs = td_fs_posix();
    *ret_report = (struct td_examine_report){.format = NULL};
    struct examination e = {.report = ret_report};
    struct td_fs_file file = {.fs = fs, .handle = td_fs_open(fs, path, TD_FS_READ, 0)};
    if (file.handle < 0)
        return td_fail_set(fail, file.handle, "cannot be read: %s.", td_err_text(file.handle));
    struct td_read_at input;
    int r = td_fs_input(&file, &input);
    if (r == 0)
        r = look(&e, &input, decode, fail);
    if (r < 0 && e.inspect != NULL && td_codec_inspect_fail(e.inspect)->code != 0)
        (void)td_fail_set(fail, r, "%s", td_codec_inspect_fail(e.inspect)->text);
    if (r < 0)
        (void)td_fail_set(fail, r, "cannot be examined: %s.", td_err_text(r));
    ret_report->damaged = r == 0 && is_damaged(ret_report);
    td_codec_inspect_free(e.inspect);
    free(e.results.video);
    free(e.results.beeps);
    int closed = td_fs_close(fs, file.handle);
    return r < 0 ? r : closed;
}
