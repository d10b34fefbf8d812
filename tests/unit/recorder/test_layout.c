/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/layout.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_names_of_parts(void **state)
{
    (void)state;
    char path[TD_PATH_MAX];
    assert_int_equal(td_layout_growing("/a/b", 1, "ts", path), 0);
    assert_string_equal(path, "/a/b.recording.ts");
    assert_int_equal(td_layout_growing("/a/b", 2, "mkv", path), 0);
    assert_string_equal(path, "/a/b.p2.recording.mkv");
    assert_int_equal(td_layout_final("/a/b", 1, "ts", path), 0);
    assert_string_equal(path, "/a/b.ts");
    assert_int_equal(td_layout_final("/a/b", 12, "ts", path), 0);
    assert_string_equal(path, "/a/b.p12.ts");
}

static void test_growing_names(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *final; /* NULL = does not grow */
    } rows[] = {
        {"/a/b.recording.ts", "/a/b.ts"},
        {"b.p2.recording.mkv", "b.p2.mkv"},
        {"/x.recording.ts/b.ts", NULL},
        {"/x.recording.ts/b.recording.ts", "/x.recording.ts/b.ts"},
        {"a.recording.b.recording.ts", "a.recording.b.ts"},
        {"a.recording.mkv.idx", NULL},
        {".recording.ts", NULL},
        {"/a/.recording.ts", NULL},
        {"a.recording.", NULL},
        {"a.recording", NULL},
        {"a.ts", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char final[TD_PATH_MAX] = "untouched";
        int r = td_layout_is_growing(rows[i].path, final);
        assert_int_equal(r, rows[i].final != NULL);
        if (r == 1)
            assert_string_equal(final, rows[i].final);
    }
}

static void test_too_long(void **state)
{
    (void)state;
    char base[TD_PATH_MAX];
    char path[TD_PATH_MAX];
    memset(base, 'x', sizeof(base) - 1);
    base[sizeof(base) - 1] = '\0';
    assert_int_equal(td_layout_growing(base, 1, "ts", path), -ENAMETOOLONG);
    assert_int_equal(td_layout_final(base, 1, "ts", path), -ENAMETOOLONG);
    assert_int_equal(td_layout_path(path, "%s", base), 0);
    assert_int_equal(td_layout_path(path, "%sx", base), -ENAMETOOLONG);
    assert_int_equal(td_layout_folder(base, "room", 0, "rec_x", path), -ENAMETOOLONG);
}

static void test_folder(void **state)
{
    (void)state;
    char path[TD_PATH_MAX];
    assert_int_equal(
        td_layout_folder("/data", "../etc/pass wd", INT64_C(1795253400) * 1000000, "rec_abc", path),
        0);
    assert_ptr_equal(strstr(path, "/data/recordings/"), path);
    assert_null(strchr(path + strlen("/data/recordings/"), '/'));
    assert_non_null(strstr(path, "Z_rec_abc"));
    assert_string_equal(td_layout_name(path), path + strlen("/data/recordings/"));
    assert_string_equal(td_layout_name("plain"), "plain");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_of_parts),
        cmocka_unit_test(test_growing_names),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_folder),
    };
    return cmocka_run_group_tests_name("recorder/layout", tests, NULL, NULL);
}
