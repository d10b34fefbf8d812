/* SPDX-License-Identifier: Apache-2.0 */
/* fs_posix: the real file system by plain system calls. */
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int posix_result(int r)
{
    return r < 0 ? -errno : r;
}

static int posix_open(struct td_fs *fs, const char *path, unsigned flags, unsigned mode)
{
    (void)fs;
    bool writes = (flags & (TD_FS_WRITE | TD_FS_APPEND)) != 0;
    bool reads = (flags & TD_FS_READ) != 0;
    int how = writes ? (reads ? O_RDWR : O_WRONLY) : O_RDONLY;
    how |= O_CLOEXEC | O_NOCTTY;
    how |= (flags & TD_FS_CREATE) != 0 ? O_CREAT | O_EXCL : 0;
    how |= (flags & TD_FS_APPEND) != 0 ? O_CREAT | O_APPEND : 0;
    how |= (flags & TD_FS_NOFOLLOW) != 0 ? O_NOFOLLOW : 0;
    int fd;
    do {
        fd = openat(AT_FDCWD, path, how, (mode_t)mode);
    } while (fd < 0 && errno == EINTR);
    return posix_result(fd);
}

static int posix_close(struct td_fs *fs, int handle)
{
    (void)fs;
    int r = close(handle);
    /* Linux has released the descriptor even then, and calling again could close another's. */
    return r < 0 && errno == EINTR ? 0 : posix_result(r);
}

static int64_t posix_pread(struct td_fs *fs, int handle, void *ret_bytes, size_t len,
                           uint64_t offset)
{
    (void)fs;
    if (offset > INT64_MAX) {
        return -EOVERFLOW;
    }
    ssize_t n;
    do {
        n = pread(handle, ret_bytes, len, (off_t)offset);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static int64_t posix_pwrite(struct td_fs *fs, int handle, const void *bytes, size_t len,
                            uint64_t offset)
{
    (void)fs;
    if (offset > INT64_MAX) {
        return -EFBIG;
    }
    ssize_t n;
    do {
        n = pwrite(handle, bytes, len, (off_t)offset);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static int posix_truncate(struct td_fs *fs, int handle, uint64_t size)
{
    (void)fs;
    if (size > INT64_MAX) {
        return -EFBIG;
    }
    int r;
    do {
        r = ftruncate(handle, (off_t)size);
    } while (r < 0 && errno == EINTR);
    return posix_result(r);
}

static int posix_sync(struct td_fs *fs, int handle)
{
    (void)fs;
    int r;
    do {
        r = fdatasync(handle);
    } while (r < 0 && errno == EINTR);
    return posix_result(r);
}

static void posix_stat_fill(const struct stat *st, struct td_fs_stat *ret_stat)
{
    *ret_stat = (struct td_fs_stat){
        .size = st->st_size > 0 ? (uint64_t)st->st_size : 0,
        .dev = st->st_dev,
        .ino = st->st_ino,
        .nlink = st->st_nlink,
        .uid = st->st_uid,
        .mtime_us = (int64_t)st->st_mtim.tv_sec * 1000000 + st->st_mtim.tv_nsec / 1000,
        .is_dir = S_ISDIR(st->st_mode),
        .is_file = S_ISREG(st->st_mode),
    };
}

static int posix_fstat(struct td_fs *fs, int handle, struct td_fs_stat *ret_stat)
{
    (void)fs;
    struct stat st;
    if (fstat(handle, &st) < 0) {
        return -errno;
    }
    posix_stat_fill(&st, ret_stat);
    return 0;
}

static int posix_stat(struct td_fs *fs, const char *path, struct td_fs_stat *ret_stat)
{
    (void)fs;
    struct stat st;
    if (fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return -errno;
    }
    posix_stat_fill(&st, ret_stat);
    return 0;
}

/* For file systems without RENAME_NOREPLACE (NFS, some FUSE): a hard link refuses an existing name
 * just as atomically. A cut between the two leaves one file under both names. */
static int posix_link_over(const char *from, const char *to)
{
    if (linkat(AT_FDCWD, from, AT_FDCWD, to, 0) < 0) {
        return -errno;
    }
    if (unlinkat(AT_FDCWD, from, 0) < 0) {
        int r = -errno;
        int undone = unlinkat(AT_FDCWD, to, 0);
        (void)undone; /* the first failure is the one to report; the content is safe in both */
        return r;
    }
    return 0;
}

static int posix_rename(struct td_fs *fs, const char *from, const char *to, bool replace)
{
    (void)fs;
    int r = renameat2(AT_FDCWD, from, AT_FDCWD, to, replace ? 0 : RENAME_NOREPLACE);
    if (r < 0 && !replace && (errno == EINVAL || errno == ENOSYS)) {
        return posix_link_over(from, to);
    }
    return posix_result(r);
}

static int posix_unlink(struct td_fs *fs, const char *path)
{
    (void)fs;
    return posix_result(unlinkat(AT_FDCWD, path, 0));
}

static int posix_symlink(struct td_fs *fs, const char *target, const char *path)
{
    (void)fs;
    return posix_result(symlinkat(target, AT_FDCWD, path));
}

static int posix_mkdir(struct td_fs *fs, const char *path, unsigned mode)
{
    (void)fs;
    if (mkdirat(AT_FDCWD, path, (mode_t)mode) == 0) {
        return 0;
    }
    int r = -errno;
    struct stat st;
    /* A link to a folder is as good as a folder. */
    if (r == -EEXIST && fstatat(AT_FDCWD, path, &st, 0) == 0 && S_ISDIR(st.st_mode)) {
        return 0;
    }
    return r;
}

static int posix_rmdir(struct td_fs *fs, const char *path)
{
    (void)fs;
    return posix_result(unlinkat(AT_FDCWD, path, AT_REMOVEDIR));
}

static int posix_open_dir(const char *path)
{
    int fd;
    do {
        fd = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    return posix_result(fd);
}

static int posix_sync_dir(struct td_fs *fs, const char *path)
{
    int fd = posix_open_dir(path);
    if (fd < 0) {
        return fd;
    }
    int r;
    do {
        r = fsync(fd);
    } while (r < 0 && errno == EINTR);
    r = posix_result(r);
    /* Some network and FUSE file systems know no sync of folders; they keep names by themselves. */
    r = r == -EINVAL ? 0 : r;
    int closed = posix_close(fs, fd);
    return r < 0 ? r : closed;
}

static int posix_list(struct td_fs *fs, const char *path, int (*each)(void *ctx, const char *name),
                      void *ctx)
{
    int fd = posix_open_dir(path);
    if (fd < 0) {
        return fd;
    }
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        int r = -errno;
        int closed = posix_close(fs, fd);
        (void)closed; /* the first failure is the one to report */
        return r;
    }
    int r = 0;
    while (r == 0) {
        errno = 0;
        /* Safe, since no other thread has this stream (POSIX.1-2024). */
        const struct dirent *entry = readdir(dir); /* NOLINT(concurrency-mt-unsafe) */
        if (entry == NULL) {
            r = -errno;
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            r = each(ctx, entry->d_name);
        }
    }
    int closed = posix_result(closedir(dir));
    return r != 0 ? r : closed;
}

static int posix_lock(struct td_fs *fs, int handle)
{
    (void)fs;
    /* An open-file-description lock: unlike a process lock it survives the close of another
     * descriptor of the same file. l_len 0 = up to the end, wherever that moves. */
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int r;
    do {
        r = fcntl(handle, F_OFD_SETLK, &lock);
    } while (r < 0 && errno == EINTR);
    /* POSIX allows either code for a lock that is held. */
    return r < 0 && errno == EACCES ? -EAGAIN : posix_result(r);
}

static int posix_space(struct td_fs *fs, const char *path, struct td_fs_space *ret_space)
{
    (void)fs;
    struct statvfs st;
    int r;
    do {
        r = statvfs(path, &st);
    } while (r < 0 && errno == EINTR);
    if (r < 0) {
        return -errno;
    }
    *ret_space = (struct td_fs_space){
        .total_bytes = (uint64_t)st.f_blocks * st.f_frsize,
        .free_bytes = (uint64_t)st.f_bavail * st.f_frsize,
        /* File systems that make inodes as they are needed say 0 of 0. */
        .files_free = st.f_files > 0 ? st.f_favail : UINT64_MAX,
    };
    return 0;
}

static const struct td_fs_ops posix_ops = {
    .name = "posix",
    .open = posix_open,
    .close = posix_close,
    .pread = posix_pread,
    .pwrite = posix_pwrite,
    .truncate = posix_truncate,
    .sync = posix_sync,
    .fstat = posix_fstat,
    .stat = posix_stat,
    .rename = posix_rename,
    .unlink = posix_unlink,
    .symlink = posix_symlink,
    .mkdir = posix_mkdir,
    .rmdir = posix_rmdir,
    .sync_dir = posix_sync_dir,
    .list = posix_list,
    .lock = posix_lock,
    .space = posix_space,
};

static const struct td_fs posix_fs = {.ops = &posix_ops};

struct td_fs *td_fs_posix(void)
{
    /* The family passes its objects as writable, since others have state; this one is never
     * written. */
    return (struct td_fs *)&posix_fs;
}
