/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

/* The first guess for files that do not know their size (procfs). */
#define SLURP_BYTES_MIN 512u

int td_fs_open(struct td_fs *fs, const char *path, unsigned flags, unsigned mode)
{
    assert((flags & (TD_FS_READ | TD_FS_WRITE | TD_FS_APPEND)) != 0);
    return fs->ops->open(fs, path, flags, mode);
}

int td_fs_close(struct td_fs *fs, int handle)
{
    assert(handle >= 0);
    return fs->ops->close(fs, handle);
}

int64_t td_fs_pread(struct td_fs *fs, int handle, void *ret_bytes, size_t len, uint64_t offset)
{
    assert(handle >= 0);
    return fs->ops->pread(fs, handle, ret_bytes, len, offset);
}

int td_fs_pwrite_all(struct td_fs *fs, int handle, const void *bytes, size_t len, uint64_t offset)
{
    assert(handle >= 0);
    const uint8_t *at = bytes;
    while (len > 0) {
        int64_t n = fs->ops->pwrite(fs, handle, at, len, offset);
        if (n < 0) {
            return (int)n;
        }
        if (n == 0) {
            return -EIO; /* no progress and no reason: asking again could go on for ever */
        }
        assert((uint64_t)n <= len);
        at += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

int td_fs_truncate(struct td_fs *fs, int handle, uint64_t size)
{
    assert(handle >= 0);
    return fs->ops->truncate(fs, handle, size);
}

int td_fs_sync(struct td_fs *fs, int handle)
{
    assert(handle >= 0);
    return fs->ops->sync(fs, handle);
}

int td_fs_fstat(struct td_fs *fs, int handle, struct td_fs_stat *ret_stat)
{
    assert(handle >= 0);
    return fs->ops->fstat(fs, handle, ret_stat);
}

int td_fs_stat_path(struct td_fs *fs, const char *path, struct td_fs_stat *ret_stat)
{
    return fs->ops->stat(fs, path, ret_stat);
}

int td_fs_rename(struct td_fs *fs, const char *from, const char *to, bool replace)
{
    return fs->ops->rename(fs, from, to, replace);
}

int td_fs_unlink(struct td_fs *fs, const char *path)
{
    return fs->ops->unlink(fs, path);
}

int td_fs_symlink(struct td_fs *fs, const char *target, const char *path)
{
    return fs->ops->symlink(fs, target, path);
}

int td_fs_mkdir(struct td_fs *fs, const char *path, unsigned mode)
{
    return fs->ops->mkdir(fs, path, mode);
}

int td_fs_mkdirs(struct td_fs *fs, const char *path, unsigned mode)
{
    /* Usually only the last folder is missing, and then the parents need not even be writable. */
    int r = td_fs_mkdir(fs, path, mode);
    if (r != -ENOENT) {
        return r;
    }
    char part[TD_PATH_MAX];
    size_t len = strlen(path);
    if (len >= sizeof(part)) {
        return -ENAMETOOLONG;
    }
    memcpy(part, path, len + 1);
    for (size_t i = 1; i < len; i++) {
        if (part[i] != '/' || part[i - 1] == '/') {
            continue;
        }
        part[i] = '\0';
        r = td_fs_mkdir(fs, part, mode);
        /* These say nothing about a folder that exists already, and one that does not exist makes
         * the next level fail. */
        if (r < 0 && r != -EACCES && r != -EPERM && r != -EROFS) {
            return r;
        }
        part[i] = '/';
    }
    return td_fs_mkdir(fs, path, mode);
}

int td_fs_rmdir(struct td_fs *fs, const char *path)
{
    return fs->ops->rmdir(fs, path);
}

int td_fs_sync_dir(struct td_fs *fs, const char *path)
{
    return fs->ops->sync_dir(fs, path);
}

int td_fs_sync_parent(struct td_fs *fs, const char *path)
{
    char parent[TD_PATH_MAX];
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/') {
        len--;
    }
    while (len > 0 && path[len - 1] != '/') {
        len--;
    }
    while (len > 1 && path[len - 1] == '/') {
        len--;
    }
    if (len >= sizeof(parent)) {
        return -ENAMETOOLONG;
    }
    memcpy(parent, path, len);
    parent[len] = '\0';
    return td_fs_sync_dir(fs, len > 0 ? parent : ".");
}

int td_fs_list(struct td_fs *fs, const char *path, int (*each)(void *ctx, const char *name),
               void *ctx)
{
    return fs->ops->list(fs, path, each, ctx);
}

int td_fs_lock(struct td_fs *fs, int handle)
{
    assert(handle >= 0);
    return fs->ops->lock(fs, handle);
}

int td_fs_space(struct td_fs *fs, const char *path, struct td_fs_space *ret_space)
{
    return fs->ops->space(fs, path, ret_space);
}

/* Creates `path` anew; what an interrupted replacement left there goes first. */
static int fs_open_fresh(struct td_fs *fs, const char *path)
{
    const unsigned flags = TD_FS_WRITE | TD_FS_CREATE | TD_FS_NOFOLLOW;
    int handle = td_fs_open(fs, path, flags, 0644);
    if (handle != -EEXIST) {
        return handle;
    }
    int r = td_fs_unlink(fs, path);
    if (r < 0 && r != -ENOENT) {
        return r;
    }
    return td_fs_open(fs, path, flags, 0644);
}

int td_fs_apply(struct td_fs *fs, int handle, const struct td_file_op *op)
{
    switch (op->kind) {
    case TD_OP_APPEND:
    case TD_OP_PATCH:
        return td_fs_pwrite_all(fs, handle, op->bytes, op->len, op->offset);
    case TD_OP_TRUNCATE:
        return td_fs_truncate(fs, handle, op->offset);
    case TD_OP_SYNC:
        return td_fs_sync(fs, handle);
    }
    return -TD_E_USAGE;
}

int td_fs_replace(struct td_fs *fs, const char *path, const void *bytes, size_t len)
{
    char temporary[TD_PATH_MAX];
    int n = snprintf(temporary, sizeof(temporary), "%s.tmp", path);
    if (n < 0 || (size_t)n >= sizeof(temporary)) {
        return -ENAMETOOLONG;
    }
    int handle = fs_open_fresh(fs, temporary);
    if (handle < 0) {
        return handle;
    }
    /* A cut up to the rename leaves the old file and a temporary that the next call removes. */
    int r = td_fs_pwrite_all(fs, handle, bytes, len, 0);
    if (r == 0) {
        r = td_fs_sync(fs, handle);
    }
    int closed = td_fs_close(fs, handle);
    r = r < 0 ? r : closed;
    if (r == 0) {
        r = td_fs_rename(fs, temporary, path, true);
    }
    if (r < 0) {
        int undone = td_fs_unlink(fs, temporary);
        /* The first failure is the one to report; a temporary that stays is removed next time. */
        (void)undone;
        return r;
    }
    /* A cut before this leaves either the old or the new file, each of them whole. */
    return td_fs_sync_parent(fs, path);
}

/* Reads up to the end; `*ret_text` may move. `max` + 1 bytes are read to notice a larger file. */
static int fs_slurp_handle(struct td_fs *fs, int handle, size_t max, char **ret_text,
                           size_t *ret_len)
{
    struct td_fs_stat stat;
    int r = td_fs_fstat(fs, handle, &stat);
    if (r < 0) {
        return r;
    }
    if (stat.size > max) {
        return -TD_E_LIMIT;
    }
    /* One byte more than the size, so that the end is seen without growing. */
    size_t capacity = stat.size > 0 ? (size_t)stat.size + 1 : SLURP_BYTES_MIN;
    char *text = NULL;
    size_t len = 0;
    for (;;) {
        capacity = capacity > max + 1 ? max + 1 : capacity;
        char *grown = realloc(text, capacity + 1);
        if (grown == NULL) {
            r = -ENOMEM;
            break;
        }
        text = grown;
        int64_t n = td_fs_pread(fs, handle, text + len, capacity - len, len);
        if (n <= 0) {
            r = (int)n;
            break;
        }
        len += (size_t)n;
        if (len > max) {
            r = -TD_E_LIMIT;
            break;
        }
        if (len == capacity) {
            capacity = capacity > SIZE_MAX / 4 ? SIZE_MAX / 2 : capacity * 2;
        }
    }
    if (r < 0) {
        free(text);
        return r;
    }
    text[len] = '\0';
    *ret_text = text;
    *ret_len = len;
    return 0;
}

int td_fs_slurp(struct td_fs *fs, const char *path, size_t max, char **ret_text, size_t *ret_len)
{
    assert(max < SIZE_MAX / 2);
    int handle = td_fs_open(fs, path, TD_FS_READ, 0);
    if (handle < 0) {
        return handle;
    }
    char *text = NULL;
    size_t len = 0;
    int r = fs_slurp_handle(fs, handle, max, &text, &len);
    int closed = td_fs_close(fs, handle);
    r = r < 0 ? r : closed;
    if (r < 0) {
        free(text);
        return r;
    }
    *ret_text = text;
    *ret_len = len;
    return 0;
}

static int64_t fs_input_read_at(void *ctx, uint64_t offset, void *ret_bytes, size_t len)
{
    struct td_fs_file *file = ctx;
    uint8_t *at = ret_bytes;
    size_t done = 0;
    while (done < len) {
        int64_t n = td_fs_pread(file->fs, file->handle, at + done, len - done, offset + done);
        if (n < 0) {
            return n;
        }
        if (n == 0) {
            break;
        }
        done += (size_t)n;
    }
    return (int64_t)done;
}

int td_fs_input(struct td_fs_file *file, struct td_read_at *ret_input)
{
    struct td_fs_stat stat;
    int r = td_fs_fstat(file->fs, file->handle, &stat);
    if (r < 0) {
        return r;
    }
    *ret_input = (struct td_read_at){.read_at = fs_input_read_at, .ctx = file, .size = stat.size};
    return 0;
}
