/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/live.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "recorder/layout.h"

struct place {
    struct fixture f;
    char live[TD_PATH_MAX];
    char folders[2][TD_PATH_MAX]; /* of two recordings */
    struct td_part parts[2];
    char link[TD_PATH_MAX];
};

static struct place p;

static void make_part(unsigned i)
{
    assert_int_equal(td_layout_path(p.folders[i], "%s/recordings/room_%u", p.f.disk, i), 0);
    assert_int_equal(td_fs_mkdirs(td_fs_posix(), p.folders[i], 0700), 0);
    char base[TD_PATH_MAX];
    assert_int_equal(td_layout_path(base, "%s/alice", p.folders[i]), 0);
    assert_int_equal(td_layout_growing(base, 1, "ts", p.parts[i].growing), 0);
    assert_int_equal(td_layout_final(base, 1, "ts", p.parts[i].final), 0);
    char text[8];
    (void)snprintf(text, sizeof(text), "%u", i);
    file_write(p.parts[i].growing, text, 1);
}

static void open_place(void)
{
    memset(&p, 0, sizeof(p));
    fixture_init(&p.f);
    assert_int_equal(td_layout_path(p.live, "%s/live", p.f.disk), 0);
    assert_int_equal(td_fs_mkdirs(td_fs_posix(), p.live, 0700), 0);
    assert_int_equal(td_layout_path(p.link, "%s/my_room.alice.ts", p.live), 0);
    make_part(0);
    make_part(1);
}

static void close_place(void)
{
    fixture_done(&p.f);
}

static int make_link(unsigned i)
{
    return td_live_link(td_fs_posix(), p.f.disk, "my room", p.folders[i], &p.parts[i]);
}

static int drop_link(unsigned i)
{
    return td_live_unlink(td_fs_posix(), p.f.disk, "my room", &p.parts[i]);
}

static void rename_part(unsigned i)
{
    assert_int_equal(td_fs_rename(td_fs_posix(), p.parts[i].growing, p.parts[i].final, false), 0);
}

static void test_leads_to_the_file(void **state)
{
    (void)state;
    open_place();
    assert_int_equal(make_link(0), 0);
    assert_content(p.link, "0", 1);
    assert_int_equal(make_link(0), 0); /* again: the same */
    assert_content(p.link, "0", 1);
    rename_part(0);
    assert_int_equal(drop_link(0), 0);
    assert_int_equal(folder_count(p.live), 0);
    assert_int_equal(drop_link(0), 0); /* gone already */
    close_place();
}

/* A file that could not be finished keeps its name, and its link goes all the same. */
static void test_unfinished(void **state)
{
    (void)state;
    open_place();
    assert_int_equal(make_link(0), 0);
    assert_int_equal(drop_link(0), 0);
    assert_int_equal(folder_count(p.live), 0);
    assert_true(file_exists(p.parts[0].growing));
    close_place();
}

/* The newest file of that name has the link, and keeps it when the older one ends. */
static void test_taken_over(void **state)
{
    (void)state;
    for (unsigned renamed = 0; renamed < 2; renamed++) {
        open_place();
        assert_int_equal(make_link(0), 0);
        assert_int_equal(make_link(1), 0);
        assert_content(p.link, "1", 1);
        if (renamed == 1)
            rename_part(0);
        assert_int_equal(drop_link(0), 0);
        assert_content(p.link, "1", 1);
        rename_part(1);
        assert_int_equal(drop_link(1), 0);
        assert_int_equal(folder_count(p.live), 0);
        close_place();
    }
}

static void test_no_folder(void **state)
{
    (void)state;
    open_place();
    assert_int_equal(td_fs_rmdir(td_fs_posix(), p.live), 0);
    assert_int_equal(make_link(0), -ENOENT);
    assert_int_equal(drop_link(0), 0);
    close_place();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leads_to_the_file),
        cmocka_unit_test(test_unfinished),
        cmocka_unit_test(test_taken_over),
        cmocka_unit_test(test_no_folder),
    };
    return cmocka_run_group_tests_name("recorder/live", tests, NULL, NULL);
}
