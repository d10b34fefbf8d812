/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "fixture.h"

static struct gate_fs *gate_of(struct td_fs *fs)
{
    return (struct gate_fs *)fs; /* `base` is the first member */
}

/* Counts a call; its planned error, or 0. */
static int gate_next(struct td_fs *fs)
{
    struct gate_fs *g = gate_of(fs);
    unsigned long long call = atomic_fetch_add(&g->calls, 1) + 1;
    if (g->fail_at == 0 || (g->sticky ? call < g->fail_at : call != g->fail_at)) {
        return 0;
    }
    if (g->kills) {
        (void)kill(getpid(), SIGKILL); /* does not return */
    }
    return g->error;
}

static void gate_count(struct td_fs *fs, long delta)
{
    struct gate_fs *g = gate_of(fs);
    (void)pthread_mutex_lock(&g->lock);
    g->handles += delta;
    assert(g->handles >= 0);
    (void)pthread_mutex_unlock(&g->lock);
}

static const struct td_fs_ops *real(void)
{
    return td_fs_posix()->ops;
}

static int gate_fs_open(struct td_fs *fs, const char *path, unsigned flags, unsigned mode)
{
    int r = gate_next(fs);
    r = r < 0 ? r : real()->open(td_fs_posix(), path, flags, mode);
    gate_count(fs, r >= 0 ? 1 : 0);
    return r;
}

static int gate_close(struct td_fs *fs, int handle)
{
    int r = gate_next(fs);
    gate_count(fs, -1);
    int closed = real()->close(td_fs_posix(), handle);
    return r < 0 ? r : closed;
}

static int64_t gate_pread(struct td_fs *fs, int handle, void *bytes, size_t len, uint64_t offset)
{
    int r = gate_next(fs);
    return r < 0 ? r : real()->pread(td_fs_posix(), handle, bytes, len, offset);
}

static int64_t gate_pwrite(struct td_fs *fs, int handle, const void *bytes, size_t len,
                           uint64_t offset)
{
    struct gate_fs *g = gate_of(fs);
    (void)pthread_mutex_lock(&g->lock);
    g->waiting++;
    (void)pthread_cond_broadcast(&g->changed);
    while (g->shut) {
        (void)pthread_cond_wait(&g->changed, &g->lock);
    }
    g->waiting--;
    (void)pthread_mutex_unlock(&g->lock);
    atomic_fetch_add(&g->writes, 1);
    int r = gate_next(fs);
    r = r < 0 ? r : atomic_load(&g->write_error);
    return r < 0 ? r : real()->pwrite(td_fs_posix(), handle, bytes, len, offset);
}

static int gate_truncate(struct td_fs *fs, int handle, uint64_t size)
{
    int r = gate_next(fs);
    return r < 0 ? r : real()->truncate(td_fs_posix(), handle, size);
}

static int gate_sync(struct td_fs *fs, int handle)
{
    struct gate_fs *g = gate_of(fs);
    atomic_fetch_add(&g->syncs, 1);
    int r = gate_next(fs);
    r = r < 0 ? r : atomic_load(&g->sync_error);
    /* The real one takes its time and changes nothing that a test could see. */
    return r < 0 || handle >= 0 ? r : -EBADF;
}

static int gate_fstat(struct td_fs *fs, int handle, struct td_fs_stat *ret_stat)
{
    int r = gate_next(fs);
    return r < 0 ? r : real()->fstat(td_fs_posix(), handle, ret_stat);
}

static int gate_stat(struct td_fs *fs, const char *path, struct td_fs_stat *ret_stat)
{
    int r = gate_next(fs);
    return r < 0 ? r : real()->stat(td_fs_posix(), path, ret_stat);
}

static int gate_rename(struct td_fs *fs, const char *from, const char *to, bool replace)
{
    int r = gate_next(fs);
    return r < 0 ? r : real()->rename(td_fs_posix(), from, to, replace);
}

static int gate_unlink(struct td_fs *fs, const char *path)
{
    int r = gate_next(fs);
    return r < 0 ? r : real()->unlink(td_fs_posix(), path);
}

static int gate_sync_dir(struct td_fs *fs, const char *path)
{
    (void)path;
    return gate_next(fs);
}

static int gate_list(struct td_fs *fs, const char *path, int (*each)(void *ctx, const char *name),
                     void *ctx)
{
    int r = gate_next(fs);
    return r < 0 ? r : real()->list(td_fs_posix(), path, each, ctx);
}

static int gate_lock(struct td_fs *fs, int handle)
{
    int r = gate_next(fs);
    return r < 0 ? r : real()->lock(td_fs_posix(), handle);
}

/* The store uses no others. */
static const struct td_fs_ops gate_ops = {
    .name = "gate",
    .open = gate_fs_open,
    .close = gate_close,
    .pread = gate_pread,
    .pwrite = gate_pwrite,
    .truncate = gate_truncate,
    .sync = gate_sync,
    .fstat = gate_fstat,
    .stat = gate_stat,
    .rename = gate_rename,
    .unlink = gate_unlink,
    .sync_dir = gate_sync_dir,
    .list = gate_list,
    .lock = gate_lock,
};

struct td_fs *gate_fs_init(struct gate_fs *gate)
{
    *gate = (struct gate_fs){.base = {.ops = &gate_ops}};
    (void)pthread_mutex_init(&gate->lock, NULL);
    (void)pthread_cond_init(&gate->changed, NULL);
    return &gate->base;
}

void gate_shut(struct gate_fs *gate)
{
    (void)pthread_mutex_lock(&gate->lock);
    gate->shut = true;
    (void)pthread_mutex_unlock(&gate->lock);
}

void gate_open(struct gate_fs *gate)
{
    (void)pthread_mutex_lock(&gate->lock);
    gate->shut = false;
    (void)pthread_cond_broadcast(&gate->changed);
    (void)pthread_mutex_unlock(&gate->lock);
}

void gate_wait(struct gate_fs *gate)
{
    (void)pthread_mutex_lock(&gate->lock);
    while (gate->waiting == 0) {
        (void)pthread_cond_wait(&gate->changed, &gate->lock);
    }
    (void)pthread_mutex_unlock(&gate->lock);
}
