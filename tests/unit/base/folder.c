/* SPDX-License-Identifier: Apache-2.0 */
#include "folder.h"

#include <dirent.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

void test_folder_make(struct test_folder *folder)
{
    const char *base = getenv("TMPDIR");
    int n = snprintf(folder->path, sizeof(folder->path), "%s/tapedeck-test-XXXXXX",
                     base != NULL && base[0] != '\0' ? base : "/tmp");
    assert_true(n > 0 && (size_t)n < sizeof(folder->path));
    assert_non_null(mkdtemp(folder->path));
}

static int folder_remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

void test_folder_remove(struct test_folder *folder)
{
    assert_int_equal(nftw(folder->path, folder_remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

void test_folder_path(const struct test_folder *folder, const char *name,
                      char ret_path[static TEST_PATH_MAX])
{
    int n = snprintf(ret_path, TEST_PATH_MAX, "%s/%s", folder->path, name);
    assert_true(n > 0 && n < TEST_PATH_MAX);
}

void test_file_write(const char *path, const void *bytes, size_t len)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

long test_file_read(const char *path, void *ret_bytes, size_t room)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return -1;
    }
    size_t n = fread(ret_bytes, 1, room, file);
    assert_int_equal(fclose(file), 0);
    return (long)n;
}

size_t test_entries_count(const char *path)
{
    DIR *dir = opendir(path);
    assert_non_null(dir);
    size_t count = 0;
    for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        count += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 ? 1 : 0;
    }
    assert_int_equal(closedir(dir), 0);
    return count;
}

size_t test_handles_count(void)
{
    return test_entries_count("/proc/self/fd");
}
