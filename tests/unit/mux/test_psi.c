/* SPDX-License-Identifier: Apache-2.0 */
/* Program tables: what is written is read back, damage is found, long sections are put together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "mux/psi.h"

static int push_packet(struct td_psi_section *s, const uint8_t *packet)
{
    return td_psi_push(s, packet + 4, TD_TS_PAYLOAD, (packet[1] & TD_TS_PUSI) != 0);
}

static void test_pat(void **state)
{
    struct td_psi_section s = {.len = 0};
    uint8_t packet[TD_TS_PACKET];
    uint16_t pid = 0;

    (void)state;
    td_psi_write_pat(packet, 19);
    assert_int_equal(packet[0], 0x47);
    assert_int_equal(packet[3], 0x13); /* payload only, counter modulo 16 */
    assert_int_equal(push_packet(&s, packet), 1);
    assert_int_equal(td_psi_parse_pat(&s, &pid), 0);
    assert_int_equal(pid, TD_TS_PID_PMT);
}

static void test_pmt(void **state)
{
    (void)state;
    for (unsigned count = 1; count <= TD_MUX_TRACKS_MAX; count++) {
        struct td_psi_pmt pmt = {.pcr_pid = 0x101, .half_epoch = 7, .stream_count = count};
        struct td_psi_section s = {.len = 0};
        uint8_t packet[TD_TS_PACKET];
        struct td_psi_pmt got;

        pmt.version = (uint8_t)(31 - count);
        for (unsigned i = 0; i < count; i++) {
            pmt.streams[i].pid = (uint16_t)(TD_TS_PID_FIRST + i);
            pmt.streams[i].codec = i == 1 ? TD_CODEC_H264 : TD_CODEC_OPUS;
            pmt.streams[i].channels = i == 1 ? 0 : i % 2 + 1;
            memcpy(pmt.streams[i].language, "fra", 4);
        }
        assert_int_equal(td_psi_write_pmt(packet, 0, &pmt), 0);
        assert_int_equal(push_packet(&s, packet), 1);
        assert_int_equal(td_psi_parse_pmt(&s, &got), 0);
        assert_int_equal(got.stream_count, count);
        assert_int_equal(got.version, pmt.version);
        assert_int_equal(got.pcr_pid, 0x101);
        assert_true(got.ours && got.half_epoch == 7);
        for (unsigned i = 0; i < count; i++) {
            assert_int_equal(got.streams[i].pid, pmt.streams[i].pid);
            assert_int_equal(got.streams[i].codec, pmt.streams[i].codec);
            assert_int_equal(got.streams[i].channels, pmt.streams[i].channels);
            assert_string_equal(got.streams[i].language, count <= 5 ? "fra" : "");
        }
    }
}

/* Every flipped bit of a section is found, and its packet cut anywhere reads as nothing. */
static void test_damage(void **state)
{
    struct td_psi_pmt pmt = {.pcr_pid = 0x100, .stream_count = 1};
    uint8_t packet[TD_TS_PACKET];
    size_t len;

    (void)state;
    pmt.streams[0].pid = 0x100;
    pmt.streams[0].codec = TD_CODEC_OPUS;
    assert_int_equal(td_psi_write_pmt(packet, 0, &pmt), 0);
    len = 3u + packet[7];
    for (size_t bit = 0; bit < len * 8; bit++) {
        struct td_psi_section s = {.len = 0};

        packet[5 + bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(push_packet(&s, packet), 1);
        packet[5 + bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t cut = 0; cut < len; cut++) {
        struct td_psi_section s = {.len = 0};

        assert_true(td_psi_push(&s, packet + 4, cut, true) <= 0);
    }
}

/* Tables of others may take several packets: any split gives the same. */
static void test_split(void **state)
{
    struct td_psi_pmt pmt = {.pcr_pid = 0x100, .stream_count = 5};
    uint8_t packet[TD_TS_PACKET];

    (void)state;
    for (unsigned i = 0; i < 5; i++)
        pmt.streams[i] = (struct td_psi_stream){(uint16_t)(0x100 + i), TD_CODEC_OPUS, 2, "deu"};
    assert_int_equal(td_psi_write_pmt(packet, 0, &pmt), 0);
    for (size_t first = 1; first < 100; first++) {
        struct td_psi_section s = {.len = 0};
        struct td_psi_pmt got;

        assert_int_equal(td_psi_push(&s, packet + 4, first, true), 0);
        assert_int_equal(td_psi_push(&s, packet + 4 + first, TD_TS_PAYLOAD - first, false), 1);
        assert_int_equal(td_psi_parse_pmt(&s, &got), 0);
        assert_int_equal(got.stream_count, 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pat),
        cmocka_unit_test(test_pmt),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_split),
    };

    return cmocka_run_group_tests_name("mux/psi", tests, NULL, NULL);
}
