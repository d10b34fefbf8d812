/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A loop that was saved is loaded again, byte by byte; any other or damaged file is not.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "publisher/pattern_file.h"

static char folder[64];
static char path[96];

static int setup(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/td-pattern-file-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/loop", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    int r = td_fs_unlink(td_fs_posix(), path);
    assert_true(r == 0 || r == -ENOENT);
    return td_fs_rmdir(td_fs_posix(), folder);
}

/* Units of growing lengths; frames and packets lie in turns, as an encoder sends them. */
static struct td_pattern *make(unsigned fps)
{
    struct td_pattern *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    td_pattern_config_default(&p->config);
    p->config.fps = (uint16_t)fps;
    p->config.seconds = 1;
    td_bytes_init(&p->bytes, 1 << 20, NULL);
    p->frame_count = fps;
    p->packet_count = TD_PATTERN_PACKETS_PER_S;
    p->frames = calloc(p->frame_count, sizeof(*p->frames));
    p->packets = calloc(p->packet_count, sizeof(*p->packets));
    assert_non_null(p->frames);
    assert_non_null(p->packets);
    for (size_t i = 0; i < p->packet_count; i++) {
        struct td_pattern_unit *units[] = {i < fps ? &p->frames[i] : NULL, &p->packets[i]};
        for (size_t u = 0; u < 2; u++) {
            uint8_t bytes[64];
            size_t len = 1 + i % 63;
            if (units[u] == NULL)
                continue;
            memset(bytes, (int)(2 * i + u), sizeof(bytes));
            *units[u] = (struct td_pattern_unit){
                .offset = p->bytes.len, .len = (uint32_t)len, .key = u == 1 || i % 10 == 0};
            assert_int_equal(td_bytes_append(&p->bytes, bytes, len), 0);
        }
    }
    p->lookahead_samples = 312;
    return p;
}

static void same_units(const struct td_pattern *a, const struct td_pattern_unit *x,
                       const struct td_pattern *b, const struct td_pattern_unit *y, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(x[i].len, y[i].len);
        assert_int_equal(x[i].key, y[i].key);
        assert_memory_equal(a->bytes.data + x[i].offset, b->bytes.data + y[i].offset, x[i].len);
    }
}

static void test_round_trip(void **state)
{
    (void)state;
    struct td_pattern *saved = make(30);
    struct td_pattern *loaded = NULL;
    assert_int_equal(td_pattern_file_save(td_fs_posix(), path, saved), 0);
    assert_int_equal(td_pattern_file_load(td_fs_posix(), path, &saved->config, &loaded), 0);
    assert_int_equal(loaded->frame_count, saved->frame_count);
    assert_int_equal(loaded->packet_count, saved->packet_count);
    assert_int_equal(loaded->lookahead_samples, 312);
    same_units(saved, saved->frames, loaded, loaded->frames, saved->frame_count);
    same_units(saved, saved->packets, loaded, loaded->packets, saved->packet_count);
    (void)td_pattern_free(saved);
    (void)td_pattern_free(loaded);
}

static void test_none_or_another(void **state)
{
    (void)state;
    struct td_pattern *saved = make(30);
    struct td_pattern_config other = saved->config;
    struct td_pattern *loaded = NULL;
    assert_int_equal(td_pattern_file_load(td_fs_posix(), path, &other, &loaded), -ENOENT);
    assert_int_equal(td_pattern_file_save(td_fs_posix(), path, saved), 0);
    other.bitrate_bps++;
    assert_int_equal(td_pattern_file_load(td_fs_posix(), path, &other, &loaded), -TD_E_STATE);
    assert_null(loaded);
    (void)td_pattern_free(saved);
}

/* Cut at each place, and with each byte changed. */
static void test_damaged(void **state)
{
    (void)state;
    struct td_fs *fs = td_fs_posix();
    struct td_pattern *saved = make(5);
    struct td_pattern *loaded = NULL;
    char *bytes = NULL;
    size_t len = 0;
    assert_int_equal(td_pattern_file_save(fs, path, saved), 0);
    assert_int_equal(td_fs_slurp(fs, path, 1 << 20, &bytes, &len), 0);
    /* A sync a file: every 7th place is enough. */
    for (size_t i = 0; i < len; i += 7) {
        int handle = td_fs_open(fs, path, TD_FS_WRITE, 0);
        char wrong = (char)(bytes[i] ^ 1);
        assert_true(handle >= 0);
        assert_int_equal(td_fs_pwrite_all(fs, handle, &wrong, 1, i), 0);
        assert_true(td_pattern_file_load(fs, path, &saved->config, &loaded) < 0);
        assert_int_equal(td_fs_pwrite_all(fs, handle, bytes, len, 0), 0);
        assert_int_equal(td_fs_truncate(fs, handle, i), 0);
        assert_int_equal(td_pattern_file_load(fs, path, &saved->config, &loaded), -TD_E_PARSE);
        assert_int_equal(td_fs_pwrite_all(fs, handle, bytes, len, 0), 0);
        assert_int_equal(td_fs_close(fs, handle), 0);
    }
    assert_int_equal(td_pattern_file_load(fs, path, &saved->config, &loaded), 0);
    (void)td_pattern_free(loaded);
    (void)td_pattern_free(saved);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_none_or_another, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
    };
    return cmocka_run_group_tests_name("publisher/pattern_file", tests, NULL, NULL);
}
