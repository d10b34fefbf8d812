/* SPDX-License-Identifier: Apache-2.0 */
#include "mux/hash.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/bytes.h"

#define HASH_LINE_MAX 160

struct hash_track {
    uint64_t frames;
    uint64_t keys;
    uint64_t bytes;
    int64_t last_us;
    uint32_t crc;
};

struct hash {
    struct hash_track tracks[TD_MUX_TRACKS_MAX];
};

static int hash_write(struct td_mux *m, const struct td_frame *frame)
{
    struct hash *h = td_mux_state(m);
    struct hash_track *t = &h->tracks[frame->track];

    t->frames++;
    t->keys += frame->key;
    t->bytes += frame->len;
    t->last_us = frame->pts_us;
    t->crc = td_crc32(t->crc, frame->bytes, frame->len);
    return 0;
}

static int hash_close(struct td_mux *m)
{
    struct hash *h = td_mux_state(m);
    char text[HASH_LINE_MAX * TD_MUX_TRACKS_MAX];
    size_t len = 0;

    for (unsigned i = 0; i < m->track_count; i++) {
        const struct hash_track *t = &h->tracks[i];
        int n = snprintf(text + len, sizeof(text) - len,
                         "track=%u codec=%d frames=%" PRIu64 " keys=%" PRIu64 " bytes=%" PRIu64
                         " last_us=%" PRId64 " crc32=%08" PRIx32 "\n",
                         i, (int)m->tracks[i].codec, t->frames, t->keys, t->bytes, t->last_us,
                         t->crc);
        if (n < 0 || (size_t)n >= sizeof(text) - len)
            return -TD_E_LIMIT;
        len += (size_t)n;
    }
    return len > 0 ? td_mux_append(m, TD_FILE_MEDIA, text, len) : 0;
}

const struct td_mux_ops td_hash_mux_ops = {
    .name = "hash",
    .extension = "hash",
    .codecs = 1u << TD_CODEC_OPUS | 1u << TD_CODEC_H264 | 1u << TD_CODEC_VP8,
    .state_size = sizeof(struct hash),
    .write = hash_write,
    .close = hash_close,
};
