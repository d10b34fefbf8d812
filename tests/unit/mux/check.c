/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mux/mkv_head.h"

struct check {
    const struct td_mux_ops *ops;
    const struct reel *reel;
    size_t count;
    size_t next;
    char *text;
};

static char check_text[256];

static int64_t expected_pts(const struct check *c, int64_t pts_us)
{
    return strcmp(c->ops->name, "mkv") == 0 ? pts_us / TD_MKV_TICK_US * TD_MKV_TICK_US : pts_us;
}

static int on_frame(void *ctx, const struct td_frame *got)
{
    struct check *c = ctx;
    const uint8_t *bytes = got->bytes;
    size_t len = got->len;
    struct td_frame want;
    int64_t pts;

    if (c->next >= c->count) {
        snprintf(c->text, sizeof(check_text), "frame %zu of %zu bytes is one too many", c->next,
                 len);
        return 77;
    }
    want = reel_frame(c->reel, c->next);
    pts = expected_pts(c, want.pts_us);
    /* TS adds a unit delimiter where there is none. */
    if (want.codec == TD_CODEC_H264 && len > 6 && (bytes[4] & 31) == 9 &&
        (want.bytes[4] & 31) != 9) {
        bytes += 6;
        len -= 6;
    }
    if (got->track != want.track || got->codec != want.codec || got->key != want.key ||
        got->discontinuity != want.discontinuity || llabs(got->pts_us - pts) > 6 ||
        len != want.len || memcmp(bytes, want.bytes, len) != 0) {
        snprintf(c->text, sizeof(check_text),
                 "frame %zu: track %u/%u key %d/%d hole %d/%d pts %lld/%lld len %zu/%zu (got/want)",
                 c->next, got->track, want.track, got->key, want.key, got->discontinuity,
                 want.discontinuity, (long long)got->pts_us, (long long)pts, len, want.len);
        return 78;
    }
    c->next++;
    return 0;
}

const char *check_frames(const struct td_mux_ops *ops, struct part *part, const struct reel *reel,
                         size_t count, struct td_scan *ret_scan)
{
    struct check c = {.ops = ops, .reel = reel, .count = count, .text = check_text};
    struct td_read_at media = part_input(part, TD_FILE_MEDIA);
    struct td_scan scan = {.bytes = 0};
    int r;

    check_text[0] = '\0';
    r = td_mux_scan(ops, &media, on_frame, &c, &scan);
    if (r == -TD_E_PARSE && count == 0)
        r = 0;
    if (r != 0 && !check_text[0])
        snprintf(check_text, sizeof(check_text), "scan answered %d", r);
    else if (r == 0 && c.next != count)
        snprintf(check_text, sizeof(check_text), "%zu frames, expected %zu", c.next, count);
    if (ret_scan)
        *ret_scan = scan;
    return check_text;
}
