/* SPDX-License-Identifier: Apache-2.0 */
#include "mux/null.h"

static int null_write(struct td_mux *m, const struct td_frame *frame)
{
    (void)m;
    (void)frame;
    return 0;
}

const struct td_mux_ops td_null_mux_ops = {
    .name = "null",
    .extension = "null",
    .codecs = 1u << TD_CODEC_OPUS | 1u << TD_CODEC_H264 | 1u << TD_CODEC_VP8,
    .write = null_write,
};
