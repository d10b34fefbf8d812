/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fixture: folders, a steerable file system and a listener for the store's tests.
 * Owner: the test.
 * Thread: the test's; the gate is met by the store's threads.
 * Bound: fixed sizes.
 * Does not: check anything by itself.
 */
#ifndef TD_TESTS_STORE_FIXTURE_H
#define TD_TESTS_STORE_FIXTURE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fs.h"
#include "base/limits.h"
#include "base/mailbox.h"
#include "store/store.h"

/* A td_fs over the real one that can hold writes up, fail the n-th call, and kill the process. */
struct gate_fs {
    struct td_fs base;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool shut;            /* pwrite waits */
    unsigned waiting;     /* threads that do */
    atomic_ullong calls;  /* all of them */
    atomic_ullong writes; /* pwrite */
    atomic_ullong syncs;
    unsigned long long fail_at; /* 1 = the next call; 0 = never; set while no thread is at work */
    bool sticky;
    bool kills; /* instead of failing: SIGKILL, before the call is made */
    int error;
    atomic_int write_error; /* negative: every pwrite fails so from now on */
    atomic_int sync_error;
    long handles; /* opened and not closed yet; under the lock */
};

struct td_fs *gate_fs_init(struct gate_fs *gate);
void gate_shut(struct gate_fs *gate);
void gate_open(struct gate_fs *gate);
/* Until a thread waits at the gate. */
void gate_wait(struct gate_fs *gate);

struct heard {
    int failed;
    int closed;
    struct td_spool_report failure;
    struct td_spool_report report;
};

struct fixture {
    char disk[TD_PATH_MAX / 4]; /* where media files go */
    char shm[TD_PATH_MAX / 4];  /* a folder on tmpfs */
    struct gate_fs gate;
    struct td_mailbox *notify;
    struct heard heard;
    struct td_store *store;
};

/* Folders, gate, mailbox; no store yet. */
void fixture_init(struct fixture *f);
/* Asserts that no handle leaked; removes the folders. */
void fixture_done(struct fixture *f);
/* Removes a folder with all that is in it; does nothing when it is not there. */
void folder_remove(const char *path);

/* Pool of `buffers` buffers; flush and sync as given (0: the defaults). */
void fixture_store(struct fixture *f, size_t buffers, int64_t sync_interval_us);
void fixture_store_done(struct fixture *f);
size_t pool_bytes(size_t buffers);

/* disk/name, in `ret_path`. */
const char *fixture_path(const struct fixture *f, const char *name, char ret_path[TD_PATH_MAX]);
/* A spool at disk/name, and with `index` at disk/name.idx. */
struct td_spool *fixture_spool(struct fixture *f, const char *name, bool index);
/* The same, without an index, over the file that is there and should have `bytes` bytes. */
struct td_spool *fixture_resume(struct fixture *f, const char *name, uint64_t bytes);
/* Waits until `closed` was heard `count` times in all. */
void fixture_wait_closed(struct fixture *f, int count);
void fixture_wait_failed(struct fixture *f);
/* Waits until so much was written, or an error was seen. */
void fixture_wait_written(const struct td_spool *spool, uint64_t bytes);

int emit(struct td_spool *spool, enum td_file_op_kind kind, enum td_file_slot slot, uint64_t offset,
         const void *bytes, size_t len);
/* Byte i of a reproducible stream; `seed` tells streams apart. */
uint8_t pattern_at(uint32_t seed, uint64_t at);
void pattern_fill(uint32_t seed, uint64_t at, uint8_t *ret_bytes, size_t len);

/* Whole content of a file; fails the test when it cannot be read. */
char *file_read(const char *path, size_t *ret_len);
bool file_exists(const char *path);
void file_write(const char *path, const void *bytes, size_t len);
/* Asserts that disk/name holds exactly `len` bytes of the pattern. */
void assert_pattern(const struct fixture *f, const char *name, uint32_t seed, size_t len);
void assert_content(const char *path, const void *bytes, size_t len);
/* Entries of a folder, without "." and "..". */
size_t folder_count(const char *path);

#endif
