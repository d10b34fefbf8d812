/* SPDX-License-Identifier: Apache-2.0 */
#include "codecd/averror.h"

#include <errno.h>

#include <libavutil/error.h>

int td_averror(struct td_fail *fail, int averror, const char *what)
{
    char text[AV_ERROR_MAX_STRING_SIZE];
    if (averror >= 0)
        return 0;
    int code = averror == AVERROR(ENOMEM)             ? -ENOMEM
               : averror == AVERROR_ENCODER_NOT_FOUND ? -TD_E_UNSUPPORTED
               : averror == AVERROR_DECODER_NOT_FOUND ? -TD_E_UNSUPPORTED
                                                      : -TD_E_LIBRARY;
    if (av_strerror(averror, text, sizeof(text)) < 0)
        return fail ? td_fail_set(fail, code, "%s: FFmpeg error %d", what, averror) : code;
    return fail ? td_fail_set(fail, code, "%s: %s", what, text) : code;
}
