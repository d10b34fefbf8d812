/* SPDX-License-Identifier: Apache-2.0 */
#include "api/folder.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"

static struct fixture f;

static void make(const char *name, size_t bytes)
{
    char path[TD_PATH_MAX];
    char content[64] = "";
    assert_true(bytes <= sizeof(content));
    file_write(fixture_path(&f, name, path), content, bytes);
}

static void test_list(void **state)
{
    (void)state;
    char path[TD_PATH_MAX];
    fixture_init(&f);
    json_t *list = NULL;
    assert_int_equal(td_folder_list(&f.gate.base, f.disk, &list), 0);
    assert_int_equal(json_array_size(list), 0);
    json_decref(list);
    make("timeline.jsonl", 3);
    make("alice.ts", 64);
    make("bob.recording.mkv", 7);
    make("bob.recording.mkv.idx", 5);
    make("manifest.json", 1);
    make("manifest.json.tmp", 1);
    make(".hidden.ts", 1);
    make("nothing", 1);
    assert_int_equal(td_fs_mkdir(td_fs_posix(), fixture_path(&f, "hls.d", path), 0755), 0);
    assert_int_equal(td_fs_symlink(td_fs_posix(), "alice.ts", fixture_path(&f, "link.ts", path)),
                     0);
    assert_int_equal(td_folder_list(&f.gate.base, f.disk, &list), 0);
    char *text = json_dumps(list, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(text, "[{\"bytes\":64,\"name\":\"alice.ts\"},"
                              "{\"bytes\":7,\"name\":\"bob.recording.mkv\"},"
                              "{\"bytes\":1,\"name\":\"manifest.json\"},"
                              "{\"bytes\":3,\"name\":\"timeline.jsonl\"}]");
    free(text);
    json_decref(list);
    list = NULL;
    assert_int_equal(td_folder_list(&f.gate.base, fixture_path(&f, "none", path), &list), -ENOENT);
    assert_null(list);
    fixture_done(&f);
}

/* Each call may fail; what was read until then is given back. */
static void test_faults(void **state)
{
    (void)state;
    fixture_init(&f);
    make("a.ts", 1);
    make("b.ts", 1);
    unsigned failures = 0;
    json_t *list = NULL;
    for (unsigned long long at = 1; list == NULL; at++) {
        assert_true(at < 100);
        f.gate.fail_at = atomic_load(&f.gate.calls) + at;
        f.gate.error = -EIO;
        int r = td_folder_list(&f.gate.base, f.disk, &list);
        f.gate.fail_at = 0;
        assert_true(r == 0 || r == -EIO);
        failures += r < 0;
    }
    assert_true(failures >= 3);
    assert_int_equal(json_array_size(list), 2);
    json_decref(list);
    fixture_done(&f);
}

static void test_bound(void **state)
{
    (void)state;
    fixture_init(&f);
    char name[32];
    for (unsigned i = 0; i <= TD_FOLDER_FILES_MAX; i++) {
        (void)snprintf(name, sizeof(name), "p%u.ts", i);
        make(name, 0);
    }
    json_t *list = NULL;
    assert_int_equal(td_folder_list(&f.gate.base, f.disk, &list), -TD_E_LIMIT);
    assert_null(list);
    fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_bound),
    };
    return cmocka_run_group_tests_name("api/folder", tests, NULL, NULL);
}
