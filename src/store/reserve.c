/* SPDX-License-Identifier: Apache-2.0 */
#include "store/reserve.h"

#include <errno.h>
#include <stdio.h>

#define CHUNK_BYTES (16u << 10)

int td_reserve_init(struct td_reserve *r, struct td_fs *fs, const char *data_dir)
{
    *r = (struct td_reserve){.fs = fs};
    int n = snprintf(r->path, sizeof(r->path), "%s/reserve", data_dir);
    return n < 0 || (size_t)n >= sizeof(r->path) ? -ENAMETOOLONG : 0;
}

int td_reserve_look(struct td_reserve *r, uint64_t bytes)
{
    struct td_fs_stat stat;
    int err = td_fs_stat_path(r->fs, r->path, &stat);
    r->bytes = bytes;
    r->held = err == 0 && stat.is_file ? stat.size : 0;
    return err == -ENOENT ? 0 : err;
}

bool td_reserve_is_held(const struct td_reserve *r)
{
    return r->bytes > 0 && r->held == r->bytes;
}

uint64_t td_reserve_missing(const struct td_reserve *r)
{
    return r->held < r->bytes ? r->bytes - r->held : 0;
}

/* Noise, because a file system that compresses would keep no space for zeros. */
static void fill(uint64_t seed, uint8_t *ret_bytes)
{
    uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (size_t i = 0; i < CHUNK_BYTES; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        ret_bytes[i] = (uint8_t)(x >> 24);
    }
}

/* Appends up to the size, or to the end of the step. */
static int grow(struct td_reserve *r, int handle)
{
    uint8_t chunk[CHUNK_BYTES];
    uint64_t end = r->bytes - r->held > TD_RESERVE_STEP_BYTES ? r->held + TD_RESERVE_STEP_BYTES
                                                              : r->bytes;
    while (r->held < end) {
        fill(r->held, chunk);
        size_t len = end - r->held < CHUNK_BYTES ? (size_t)(end - r->held) : CHUNK_BYTES;
        int err = td_fs_pwrite_all(r->fs, handle, chunk, len, r->held);
        if (err < 0) {
            return err;
        }
        r->held += len;
    }
    /* Space that was only promised to the page cache is not ours yet. */
    int err = td_fs_sync(r->fs, handle);
    return err < 0 ? err : r->held < r->bytes ? TD_RESERVE_MORE : 0;
}

static int write_file(struct td_reserve *r)
{
    int handle = td_fs_open(r->fs, r->path, TD_FS_WRITE | TD_FS_APPEND | TD_FS_NOFOLLOW, 0600);
    if (handle < 0) {
        return handle;
    }
    struct td_fs_stat stat;
    int err = td_fs_fstat(r->fs, handle, &stat);
    if (err == 0) {
        r->held = stat.size;
        err = r->held > r->bytes ? td_fs_truncate(r->fs, handle, r->bytes) : 0;
    }
    if (err == 0) {
        r->held = r->held > r->bytes ? r->bytes : r->held;
        err = grow(r, handle);
    }
    int closed = td_fs_close(r->fs, handle);
    return err < 0 || closed == 0 ? err : closed;
}

int td_reserve_make(struct td_reserve *r)
{
    if (r->bytes == 0) {
        return r->held > 0 ? td_reserve_release(r) : 0;
    }
    int err = write_file(r);
    if (err < 0) {
        /* Half of a reserve would take the last space from the others. */
        int undone = td_reserve_release(r);
        (void)undone; /* the first failure is the one to report; it is tried again */
        r->held = 0;
    }
    return err;
}

int td_reserve_release(struct td_reserve *r)
{
    int err = td_fs_unlink(r->fs, r->path);
    if (err < 0 && err != -ENOENT) {
        return err;
    }
    r->held = 0;
    return 0;
}

uint64_t td_reserve_slice(uint64_t bytes)
{
    uint64_t slice = bytes / TD_RESERVE_SLICES;
    return slice > TD_RESERVE_SLICE_BYTES_MIN ? slice : TD_RESERVE_SLICE_BYTES_MIN;
}

static int cut_handle(struct td_fs *fs, int handle, uint64_t slice_bytes)
{
    struct td_fs_stat stat;
    int err = td_fs_fstat(fs, handle, &stat);
    if (err < 0 || !stat.is_file || stat.size == 0) {
        return err < 0 ? err : 0;
    }
    err = td_fs_truncate(fs, handle, stat.size > slice_bytes ? stat.size - slice_bytes : 0);
    return err < 0 ? err : TD_RESERVE_MORE;
}

int td_reserve_cut(struct td_fs *fs, const char *path, uint64_t slice_bytes)
{
    int handle = td_fs_open(fs, path, TD_FS_WRITE | TD_FS_NOFOLLOW, 0);
    if (handle < 0) {
        return handle == -ENOENT ? 0 : handle;
    }
    int r = cut_handle(fs, handle, slice_bytes);
    int closed = td_fs_close(fs, handle);
    return r < 0 || closed == 0 ? r : closed;
}
