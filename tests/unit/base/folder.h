/* SPDX-License-Identifier: Apache-2.0 */
/*
 * folder: a fresh temporary folder for one test, and what tests ask about files.
 * Owner: the test; test_folder_remove deletes everything inside.
 * Thread: any.
 * Bound: paths of TEST_PATH_MAX bytes.
 * Does not: go through td_fs, which is what is tested.
 */
#ifndef TD_TESTS_UNIT_BASE_FOLDER_H
#define TD_TESTS_UNIT_BASE_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

#define TEST_PATH_MAX 512

struct test_folder {
    char path[TEST_PATH_MAX];
};

void test_folder_make(struct test_folder *folder);
void test_folder_remove(struct test_folder *folder);
/* "<folder>/<name>". */
void test_folder_path(const struct test_folder *folder, const char *name,
                      char ret_path[static TEST_PATH_MAX]);
void test_file_write(const char *path, const void *bytes, size_t len);
/* Count of bytes read, at most `room`; -1 when the file is absent. */
long test_file_read(const char *path, void *ret_bytes, size_t room);
size_t test_entries_count(const char *path);
/* Descriptors that this process has open. */
size_t test_handles_count(void);

#endif
