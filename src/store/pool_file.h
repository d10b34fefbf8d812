/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_file: the file under a crash pool: finding its folder, making, mapping, locking, trusting
 * it.
 * Owner: the crash pool for its own file; recovery for those of dead processes.
 * Thread: control thread only; the mapping is then used from any.
 * Bound: the bytes asked for, reserved at once, so that a full tmpfs is an error here and never a
 *        SIGBUS later.
 * Does not: know buffers or records.
 *
 * This is the one file beside base/fs_posix.c that makes system calls on files: td_fs has no
 * mapping, no reservation and no unnamed files, and a pool is no media file.
 */
#ifndef TD_STORE_POOL_FILE_H
#define TD_STORE_POOL_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"
#include "store/pool_layout.h"

#define TD_POOL_FOLDERS_MAX 3u

struct td_pool_folders {
    char path[TD_POOL_FOLDERS_MAX][TD_PATH_MAX];
    size_t count;
};

/* `runtime_dir` alone if given; else $RUNTIME_DIRECTORY (the first of a list), $XDG_RUNTIME_DIR and
 * /dev/shm, whichever are set, in this order. */
TD_MUST int td_pool_folders(const char *runtime_dir, struct td_pool_folders *ret_folders);

struct td_pool_file_map {
    int fd;                 /* -1: anonymous */
    uint8_t *bytes;         /* the mapping */
    size_t len;             /* of it */
    char path[TD_PATH_MAX]; /* empty while the file has no name, and when anonymous */
};

/* Makes a file without a name in `folder`, locked, reserved and mapped, all zero. -ENODEV: not
 * tmpfs, or the system cannot do this there. A kill leaves nothing behind. */
TD_MUST int td_pool_file_new(const char *folder, size_t len, struct td_pool_file_map *ret_map);
/* Private memory instead. */
TD_MUST int td_pool_file_anonymous(size_t len, struct td_pool_file_map *ret_map);
/* Gives it its name, once the header is written: recovery only ever sees whole pools. */
TD_MUST int td_pool_file_publish(struct td_pool_file_map *map, const char *folder);
/* Unmaps and closes; does not unlink. */
TD_MUST int td_pool_file_done(struct td_pool_file_map *map);

/* Whether `name` is one of ours by its looks. */
bool td_pool_file_is_name(const char *name);

/* Opens a dead process's pool for reading and writing, locked. Descriptor; -EAGAIN while its
 * process lives, -ENOENT when it went meanwhile, -EPERM when it is not to be trusted: a link, not a
 * regular file, another owner, another mode, a second name, a header that does not hold together.
 */
TD_MUST int td_pool_file_adopt(const char *path, struct td_pool_header *ret_header);
/* All of it or an error; -TD_E_DAMAGED when the file ends before. */
TD_MUST int td_pool_file_read(int fd, void *ret_bytes, size_t len, uint64_t offset);
TD_MUST int td_pool_file_write(int fd, const void *bytes, size_t len, uint64_t offset);
TD_MUST int td_pool_file_close(int fd);

/* Makes `path` absolute by the working directory. -ENAMETOOLONG. */
TD_MUST int td_pool_path(const char *path, char ret_path[static TD_PATH_MAX]);

#endif
