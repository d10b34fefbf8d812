/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_h264_annexb: any bytes as an Annex B frame, and as an SPS.
 */
#include "fuzz.h"

#include "media/h264_annexb.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct td_h264_nal nal;
    size_t offset = 0;
    const uint8_t *behind = bytes;
    while (td_h264_next_nal(bytes, len, &offset, &nal) == 1) {
        FUZZ_CHECK(nal.len > 0 && nal.bytes >= behind + 3);
        FUZZ_CHECK(nal.bytes + nal.len <= bytes + len);
        FUZZ_CHECK(nal.bytes[nal.len - 1] != 0);
        behind = nal.bytes + nal.len;
    }
    FUZZ_CHECK(offset == len);
    struct td_h264_sps sps;
    if (td_h264_sps_parse(bytes, len, &sps) == 0) {
        FUZZ_CHECK(sps.width > 0 && sps.width <= TD_H264_SIDE_MAX);
        FUZZ_CHECK(sps.height > 0 && sps.height <= TD_H264_SIDE_MAX);
        FUZZ_CHECK(sps.id < 32);
    }
    uint8_t avcc[256];
    int r = td_h264_avcc(bytes, len, avcc, sizeof(avcc));
    if (r > 0) {
        FUZZ_CHECK((size_t)r <= sizeof(avcc));
        FUZZ_CHECK(td_h264_frame_sps(bytes, len, &sps) == 0);
        FUZZ_CHECK(avcc[0] == 1 && avcc[1] == sps.profile && avcc[3] == sps.level);
    }
    return 0;
}
