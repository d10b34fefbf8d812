/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include "media/opus.h"

/* RFC 6716 table 2, written out once more, in units of 100 us. */
static void test_duration_of_every_configuration(void **state)
{
    (void)state;
    static const unsigned expected[32] = {
        100, 200, 400, 600, 100, 200, 400, 600, 100, 200, 400, 600, 100, 200, 100, 200,
        25,  50,  100, 200, 25,  50,  100, 200, 25,  50,  100, 200, 25,  50,  100, 200,
    };
    for (unsigned config = 0; config < 32; config++) {
        int64_t frame_us = expected[config] * 100;
        for (unsigned stereo = 0; stereo < 2; stereo++) {
            uint8_t toc = (uint8_t)(config << 3 | stereo << 2);
            uint8_t packet[2] = {toc, 0};
            assert_int_equal(td_opus_duration_us(packet, 1), frame_us);
            packet[0] = toc | 1;
            assert_int_equal(td_opus_duration_us(packet, 1), 2 * frame_us);
            packet[0] = toc | 2;
            assert_int_equal(td_opus_duration_us(packet, 1), 2 * frame_us);
            packet[0] = toc | 3;
            assert_int_equal(td_opus_duration_us(packet, 1), -TD_E_PARSE);
            for (unsigned count = 0; count < 64; count++) {
                for (unsigned flags = 0; flags < 4; flags++) { /* VBR and padding do not count */
                    packet[1] = (uint8_t)(flags << 6 | count);
                    int64_t us = count * frame_us;
                    int64_t want = us == 0 || us > 120000 ? -TD_E_PARSE : us;
                    assert_int_equal(td_opus_duration_us(packet, 2), want);
                }
            }
        }
    }
    assert_int_equal(td_opus_duration_us(NULL, 0), -TD_E_PARSE);
}

static const struct rig_script scripts[] = {
    {
        .name = "one packet is one frame, marker or not",
        .steps = {{"78 01 02", 960, true, 0}, {"fc 03 04 05", 1920, false, 0}},
        .frames = {{"78 01 02", 960, true, 0, 0, 20000}, {"fc 03 04 05", 1920, true, 0, 0, 20000}},
    },
    {
        .name = "the server's silence is kept",
        .steps = {{"f8 ff fe 00 *77", 960, false, 0}},
        .frames = {{"f8 ff fe 00 *77", 960, true, 0, 0, 20000}},
    },
    {
        .name = "DTX and padding are left out",
        .steps = {{"78", 960, false, 0}, {"", 960, false, 0}, {"78 00", 1920, false, 0}},
        .stats = {.dtx = 2, .padding = 1},
    },
    {
        .name = "a packet of no or too many frames is refused, the next one taken",
        .steps = {{"7b 00 01", 960, false, -TD_E_PARSE},
                  {"7b 07 01", 1920, false, -TD_E_PARSE},
                  {"7b", 2880, false, -TD_E_PARSE},
                  {"7b 06 01", 3840, false, 0}},
        .frames = {{"7b 06 01", 3840, true, 0, 0, 120000}},
        .stats = {.malformed = 3, .broken = 3},
    },
    {
        .name = "a hole takes nothing with it",
        .steps = {{"00 01 02", 960, false, 0}, {"hole", 0, false, 0}, {"18 03 04", 7680, false, 0}},
        .frames = {{"00 01 02", 960, true, 0, 0, 10000}, {"18 03 04", 7680, true, 0, 0, 60000}},
    },
    {
        .name = "the same timestamp twice is two frames",
        .steps = {{"78 01 02", 960, false, 0}, {"78 01 03", 960, false, 0}},
        .frames = {{"78 01 02", 960, true, 0, 0, 20000}, {"78 01 03", 960, true, 0, 0, 20000}},
    },
};

static void test_scripts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++)
        rig_run(TD_CODEC_OPUS, &scripts[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_duration_of_every_configuration),
        cmocka_unit_test(test_scripts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
