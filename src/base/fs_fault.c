/* SPDX-License-Identifier: Apache-2.0 */
/* fs_fault: passes everything on to another td_fs, except for the calls that are to fail. */
#include "base/fs.h"

#include <assert.h>

static struct td_fs_fault *fault_of(struct td_fs *fs)
{
    /* `base` is the first member. */
    return (struct td_fs_fault *)fs;
}

static struct td_fs *fault_inner(struct td_fs *fs)
{
    return fault_of(fs)->inner;
}

/* Counts one call; the error it must fail with, or 0. The store calls from several threads, hence
 * the atomic count. */
static int fault_next(struct td_fs *fs)
{
    struct td_fs_fault *f = fault_of(fs);
    uint64_t call = __atomic_add_fetch(&f->calls, 1, __ATOMIC_RELAXED);
    bool hit = f->fail_at != 0 && (f->sticky ? call >= f->fail_at : call == f->fail_at);
    return hit ? f->error : 0;
}

static int fault_open(struct td_fs *fs, const char *path, unsigned flags, unsigned mode)
{
    int r = fault_next(fs);
    return r < 0 ? r : fault_inner(fs)->ops->open(fault_inner(fs), path, flags, mode);
}

static int fault_close(struct td_fs *fs, int handle)
{
    int r = fault_next(fs);
    /* As in close(2): the handle is gone even when an error is reported. */
    int closed = fault_inner(fs)->ops->close(fault_inner(fs), handle);
    return r < 0 ? r : closed;
}

static int64_t fault_pread(struct td_fs *fs, int handle, void *ret_bytes, size_t len,
                           uint64_t offset)
{
    int r = fault_next(fs);
    return r < 0 ? r : fault_inner(fs)->ops->pread(fault_inner(fs), handle, ret_bytes, len, offset);
}

static int64_t fault_pwrite(struct td_fs *fs, int handle, const void *bytes, size_t len,
                            uint64_t offset)
{
    int r = fault_next(fs);
    return r < 0 ? r : fault_inner(fs)->ops->pwrite(fault_inner(fs), handle, bytes, len, offset);
}

static int fault_truncate(struct td_fs *fs, int handle, uint64_t size)
{
    int r = fault_next(fs);
    return r < 0 ? r : fault_inner(fs)->ops->truncate(fault_inner(fs), handle, size);
}

static int fault_sync(struct td_fs *fs, int handle)
{
    int r = fault_next(fs);
    return r < 0 ? r : fault_inner(fs)->ops->sync(fault_inner(fs), handle);
}

static int fault_fstat(struct td_fs *fs, int handle, struct td_fs_stat *ret_stat)
{
    int r = fault_next(fs);
    return r < 0 ? r : fault_inner(fs)->ops->fstat(fault_inner(fs), handle, ret_stat);
}

static int fault_stat(struct td_fs *fs, const char *path, struct td_fs_stat *ret_stat)
{
    int r = fault_next(fs);
    return r < 0 ? r : fault_inner(fs)->ops->stat(fault_inner(fs), path, ret_stat);
}

static int fault_rename(struct td_fs *fs, const char *from, const char *to, bool replace)
{
    int r = fault_next(fs);
    return r < 0 ? r : fault_inner(fs)->ops->rename(fault_inner(fs), from, to, replace);
}

static int fault_unlink(struct td_fs *fs, const char *path)
{
    int r = fault_next(fs);
    return r < 0 ? r : fault_inner(fs)->ops->unlink(fault_inner(fs), path);
}

static int fault_symlink(struct td_fs *fs, const char *target, const char *path)
{
    int r = fault_next(fs);
    return r < 0 ? r : fault_inner(fs)->ops->symlink(fault_inner(fs), target, path);
}

static int fault_mkdir(struct td_fs *fs, const char *path, unsigned mode)
{
    int r = fault_next(fs);
    return r < 0 ? r : fault_inner(fs)->ops->mkdir(fault_inner(fs), path, mode);
}

static int fault_rmdir(struct td_fs *fs, const char *path)
{
    int r = fault_next(fs);
    return r < 0 ? r : fault_inner(fs)->ops->rmdir(fault_inner(fs), path);
}

static int fault_sync_dir(struct td_fs *fs, const char *path)
{
    int r = fault_next(fs);
    return r < 0 ? r : fault_inner(fs)->ops->sync_dir(fault_inner(fs), path);
}

static int fault_list(struct td_fs *fs, const char *path, int (*each)(void *ctx, const char *name),
                      void *ctx)
{
    int r = fault_next(fs);
    return r < 0 ? r : fault_inner(fs)->ops->list(fault_inner(fs), path, each, ctx);
}

static int fault_lock(struct td_fs *fs, int handle)
{
    int r = fault_next(fs);
    return r < 0 ? r : fault_inner(fs)->ops->lock(fault_inner(fs), handle);
}

static int fault_space(struct td_fs *fs, const char *path, struct td_fs_space *ret_space)
{
    int r = fault_next(fs);
    return r < 0 ? r : fault_inner(fs)->ops->space(fault_inner(fs), path, ret_space);
}

static const struct td_fs_ops fault_ops = {
    .name = "fault",
    .open = fault_open,
    .close = fault_close,
    .pread = fault_pread,
    .pwrite = fault_pwrite,
    .truncate = fault_truncate,
    .sync = fault_sync,
    .fstat = fault_fstat,
    .stat = fault_stat,
    .rename = fault_rename,
    .unlink = fault_unlink,
    .symlink = fault_symlink,
    .mkdir = fault_mkdir,
    .rmdir = fault_rmdir,
    .sync_dir = fault_sync_dir,
    .list = fault_list,
    .lock = fault_lock,
    .space = fault_space,
};

struct td_fs *td_fs_fault_init(struct td_fs_fault *fault, struct td_fs *inner)
{
    assert(inner != NULL);
    *fault = (struct td_fs_fault){.base = {.ops = &fault_ops}, .inner = inner};
    return &fault->base;
}
