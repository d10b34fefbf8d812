/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs: the seam to the file system; everything that touches a disk goes through it.
 * Owner: the executable makes one td_fs; it outlives everything that holds a pointer to it.
 * Thread: any; but never a media loop (every call may block).
 * Bound: none of its own.
 * Does not: buffer. `fs_posix` is the real one, `fs_fault` wraps another and fails the n-th call.
 */
#ifndef TD_BASE_FS_H
#define TD_BASE_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/fileop.h"

struct td_fs_stat {
    uint64_t size;
    uint64_t dev;
    uint64_t ino;
    uint64_t nlink; /* names of it; 0 = unlinked while it is open */
    uint32_t uid;
    int64_t mtime_us; /* wall clock */
    bool is_dir;
    bool is_file; /* regular; a link is neither */
};

struct td_fs_space {
    uint64_t total_bytes;
    uint64_t free_bytes; /* for us: what is kept for root does not count */
    uint64_t files_free; /* names that can still be made; UINT64_MAX where nobody counts them */
};

enum td_fs_flags {
    TD_FS_READ = 1,
    TD_FS_WRITE = 2,
    TD_FS_CREATE = 4,   /* must not exist yet (O_EXCL) */
    TD_FS_NOFOLLOW = 8, /* a link at the end of the path is refused */
    TD_FS_APPEND = 16,  /* open or create for appending */
};

struct td_fs;

struct td_fs_ops {
    const char *name;
    /* Each answers 0 (or a handle, or a count) or -errno. Handles are >= 0 and close-on-exec. */
    int (*open)(struct td_fs *fs, const char *path, unsigned flags, unsigned mode);
    int (*close)(struct td_fs *fs, int handle);
    int64_t (*pread)(struct td_fs *fs, int handle, void *ret_bytes, size_t len, uint64_t offset);
    int64_t (*pwrite)(struct td_fs *fs, int handle, const void *bytes, size_t len, uint64_t offset);
    int (*truncate)(struct td_fs *fs, int handle, uint64_t size);
    int (*sync)(struct td_fs *fs, int handle); /* fdatasync */
    int (*fstat)(struct td_fs *fs, int handle, struct td_fs_stat *ret_stat);
    int (*stat)(struct td_fs *fs, const char *path, struct td_fs_stat *ret_stat); /* lstat */
    int (*rename)(struct td_fs *fs, const char *from, const char *to, bool replace);
    int (*unlink)(struct td_fs *fs, const char *path);
    int (*symlink)(struct td_fs *fs, const char *target, const char *path);
    int (*mkdir)(struct td_fs *fs, const char *path, unsigned mode); /* 0 when it exists already */
    int (*rmdir)(struct td_fs *fs, const char *path);
    int (*sync_dir)(struct td_fs *fs, const char *path);
    /* Calls each(ctx, name) for every entry but "." and ".."; stops at a non-zero answer. */
    int (*list)(struct td_fs *fs, const char *path, int (*each)(void *ctx, const char *name),
                void *ctx);
    /* Exclusive OFD lock, released by close. 0, or -EAGAIN while another process holds it. */
    int (*lock)(struct td_fs *fs, int handle);
    /* Of the file system that holds `path`, which must exist. */
    int (*space)(struct td_fs *fs, const char *path, struct td_fs_space *ret_space);
};

struct td_fs {
    const struct td_fs_ops *ops;
};

/* The real file system; a constant without state. */
struct td_fs *td_fs_posix(void);

/* Wrappers of the family; asserts on programmer errors only. */
TD_MUST int td_fs_open(struct td_fs *fs, const char *path, unsigned flags, unsigned mode);
TD_MUST int td_fs_close(struct td_fs *fs, int handle);
TD_MUST int64_t td_fs_pread(struct td_fs *fs, int handle, void *ret_bytes, size_t len,
                            uint64_t offset);
/* Writes all of it: short writes are continued; 0 or -errno. */
TD_MUST int td_fs_pwrite_all(struct td_fs *fs, int handle, const void *bytes, size_t len,
                             uint64_t offset);
TD_MUST int td_fs_truncate(struct td_fs *fs, int handle, uint64_t size);
TD_MUST int td_fs_sync(struct td_fs *fs, int handle);
TD_MUST int td_fs_fstat(struct td_fs *fs, int handle, struct td_fs_stat *ret_stat);
TD_MUST int td_fs_stat_path(struct td_fs *fs, const char *path, struct td_fs_stat *ret_stat);
TD_MUST int td_fs_rename(struct td_fs *fs, const char *from, const char *to, bool replace);
TD_MUST int td_fs_unlink(struct td_fs *fs, const char *path);
TD_MUST int td_fs_symlink(struct td_fs *fs, const char *target, const char *path);
TD_MUST int td_fs_mkdir(struct td_fs *fs, const char *path, unsigned mode);
TD_MUST int td_fs_mkdirs(struct td_fs *fs, const char *path, unsigned mode); /* with parents */
TD_MUST int td_fs_rmdir(struct td_fs *fs, const char *path);
TD_MUST int td_fs_sync_dir(struct td_fs *fs, const char *path);
/* Syncs the folder that holds `path`. */
TD_MUST int td_fs_sync_parent(struct td_fs *fs, const char *path);
TD_MUST int td_fs_list(struct td_fs *fs, const char *path, int (*each)(void *ctx, const char *name),
                       void *ctx);
TD_MUST int td_fs_lock(struct td_fs *fs, int handle);
TD_MUST int td_fs_space(struct td_fs *fs, const char *path, struct td_fs_space *ret_space);

/* Carries one operation out on the open file it is meant for, at once. -TD_E_USAGE for a kind that
 * does not exist. */
TD_MUST int td_fs_apply(struct td_fs *fs, int handle, const struct td_file_op *op);

/* Writes a small file so that it is either the old or the new one after any cut: temporary in the
 * same folder, sync, rename, folder sync. */
TD_MUST int td_fs_replace(struct td_fs *fs, const char *path, const void *bytes, size_t len);
/* Reads a whole file of at most `max` bytes into malloc'ed, NUL-terminated memory. */
TD_MUST int td_fs_slurp(struct td_fs *fs, const char *path, size_t max, char **ret_text,
                        size_t *ret_len);

/* A td_read_at over an open handle. `file` must outlive `ret_input`. */
struct td_fs_file {
    struct td_fs *fs;
    int handle;
};
TD_MUST int td_fs_input(struct td_fs_file *file, struct td_read_at *ret_input);

/* Fault injection: fails the `fail_at`-th counted call (from 1; 0 = never) with `error`, once or,
 * with `sticky`, from then on. `calls` counts what was seen. */
struct td_fs_fault {
    struct td_fs base;
    struct td_fs *inner;
    uint64_t calls;
    uint64_t fail_at;
    int error; /* negative */
    bool sticky;
};
struct td_fs *td_fs_fault_init(struct td_fs_fault *fault, struct td_fs *inner);

#endif
