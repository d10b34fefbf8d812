/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codecd/picture.h"

struct canvas {
    uint8_t *bytes;
    struct td_plane planes[3];
};

static struct canvas canvas_new(unsigned width, unsigned height)
{
    struct canvas c = {.bytes = calloc(3, (size_t)width * height)};
    assert_non_null(c.bytes);
    for (unsigned i = 0; i < 3; i++) {
        unsigned half = i == 0 ? 1 : 2;
        c.planes[i] = (struct td_plane){
            .at = c.bytes + (size_t)i * width * height,
            .stride = width,
            .width = width / half,
            .height = height / half,
        };
    }
    return c;
}

/* Box filter to another size, as a player or an SFU's layer would show it. */
static void scale(const struct td_plane *from, struct td_plane *to)
{
    for (unsigned y = 0; y < to->height; y++) {
        unsigned y0 = y * from->height / to->height;
        unsigned y1 = (y + 1) * from->height / to->height;
        y1 = y1 > y0 ? y1 : y0 + 1;
        for (unsigned x = 0; x < to->width; x++) {
            unsigned x0 = x * from->width / to->width;
            unsigned x1 = (x + 1) * from->width / to->width;
            x1 = x1 > x0 ? x1 : x0 + 1;
            unsigned sum = 0;
            for (unsigned v = y0; v < y1; v++)
                for (unsigned u = x0; u < x1; u++)
                    sum += from->at[v * from->stride + u];
            to->at[y * to->stride + x] = (uint8_t)(sum / ((y1 - y0) * (x1 - x0)));
        }
    }
}

static void test_crc(void **state)
{
    (void)state;
    /* An all black or all white picture must not pass for a counter. */
    assert_int_not_equal(td_picture_crc8(0), 0);
    assert_int_not_equal(td_picture_crc8(0xffff), 0xff);
    /* CRC-8 finds each single and double error among its 24 bits. */
    uint32_t good = 0x1234u << 8 | td_picture_crc8(0x1234);
    for (unsigned a = 0; a < 24; a++) {
        for (unsigned b = a; b < 24; b++) {
            uint32_t bad = good ^ (1u << a) ^ (a == b ? 0 : 1u << b);
            assert_int_not_equal(td_picture_crc8((uint16_t)(bad >> 8)), bad & 0xff);
        }
    }
}

static void test_counters(void **state)
{
    static const struct {
        unsigned width, height;
    } sizes[] = {{96, 96},    {160, 120},  {320, 240}, {640, 360},
                 {1280, 720}, {720, 1280}, {96, 1280}};
    static const uint16_t counters[] = {0, 1, 299, 0x5555, 0xaaaa, 0xffff};
    (void)state;
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        struct canvas c = canvas_new(sizes[s].width, sizes[s].height);
        struct td_painter *p = NULL;
        assert_int_equal(td_painter_new(sizes[s].width, sizes[s].height, TD_PAINTER_DETAIL_MAX,
                                        TD_PAINTER_NOISE_MAX, &p),
                         0);
        for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
            bool flash = i % 2 == 0;
            td_painter_draw(p, counters[i], flash, c.planes);
            assert_int_equal(td_picture_read_counter(&c.planes[0]), counters[i]);
            if (flash)
                assert_true(td_picture_read_flash(&c.planes[0]) > 220);
            else
                assert_true(td_picture_read_flash(&c.planes[0]) < 130);
        }
        assert_null(td_painter_free(p));
        free(c.bytes);
    }
}

static void test_scaled(void **state)
{
    static const struct {
        unsigned width, height;
    } sizes[] = {{320, 180}, {640, 480}, {160, 90}, {1920, 1080}, {97, 61}};
    (void)state;
    struct canvas c = canvas_new(1280, 720);
    struct td_painter *p = NULL;
    assert_int_equal(td_painter_new(1280, 720, 20, 4, &p), 0);
    td_painter_draw(p, 0x2a9c, true, c.planes);
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        struct canvas small = canvas_new(sizes[s].width, sizes[s].height);
        scale(&c.planes[0], &small.planes[0]);
        assert_int_equal(td_picture_read_counter(&small.planes[0]), 0x2a9c);
        assert_true(td_picture_read_flash(&small.planes[0]) > 220);
        free(small.bytes);
    }
    (void)td_painter_free(p);
    free(c.bytes);
}

static void test_unreadable(void **state)
{
    (void)state;
    struct canvas c = canvas_new(320, 240);
    static const uint8_t levels[] = {0, 64, 128, 200, 255};
    for (size_t i = 0; i < sizeof(levels); i++) {
        memset(c.bytes, levels[i], 320 * 240);
        assert_int_equal(td_picture_read_counter(&c.planes[0]), -1);
    }
    /* Too small for cells, but read without leaving the plane. */
    struct td_plane tiny = {.at = c.bytes, .stride = 4, .width = 4, .height = 4};
    assert_int_equal(td_picture_read_counter(&tiny), -1);
    struct td_plane nothing = {.at = c.bytes};
    assert_int_equal(td_picture_read_counter(&nothing), -1);
    assert_int_equal(td_picture_read_flash(&nothing), 0);
    /* A cell that faded to grey makes it unreadable, not wrong. */
    struct td_painter *p = NULL;
    assert_int_equal(td_painter_new(320, 240, 20, 0, &p), 0);
    td_painter_draw(p, 7, false, c.planes);
    assert_int_equal(td_picture_read_counter(&c.planes[0]), 7);
    for (unsigned y = 15; y < 39; y++)
        memset(c.bytes + y * 320 + 20, 128, 24);
    assert_int_equal(td_picture_read_counter(&c.planes[0]), -1);
    (void)td_painter_free(p);
    free(c.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc),
        cmocka_unit_test(test_counters),
        cmocka_unit_test(test_scaled),
        cmocka_unit_test(test_unreadable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
