/* SPDX-License-Identifier: Apache-2.0 */
#include "store/pool_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/id.h"

#define POOL_NAME_TRIES 8
#define POOL_NAME_RANDOM 8u

static int folders_add(struct td_pool_folders *f, const char *path)
{
    /* systemd lists several folders of one service with colons between them. */
    size_t len = path != NULL ? strcspn(path, ":") : 0;
    if (len == 0) {
        return 0;
    }
    if (len >= TD_PATH_MAX) {
        return -ENAMETOOLONG;
    }
    for (size_t i = 0; i < f->count; i++) {
        if (strlen(f->path[i]) == len && memcmp(f->path[i], path, len) == 0) {
            return 0;
        }
    }
    memcpy(f->path[f->count], path, len);
    f->path[f->count][len] = '\0';
    f->count++;
    return 0;
}

int td_pool_folders(const char *runtime_dir, struct td_pool_folders *ret_folders)
{
    ret_folders->count = 0;
    if (runtime_dir != NULL) {
        size_t len = strlen(runtime_dir);
        if (len == 0 || len >= TD_PATH_MAX) {
            return len == 0 ? -EINVAL : -ENAMETOOLONG;
        }
        memcpy(ret_folders->path[0], runtime_dir, len + 1);
        ret_folders->count = 1;
        return 0;
    }
    int r = folders_add(ret_folders, getenv("RUNTIME_DIRECTORY"));
    if (r == 0) {
        r = folders_add(ret_folders, getenv("XDG_RUNTIME_DIR"));
    }
    return r < 0 ? r : folders_add(ret_folders, "/dev/shm");
}

/* An open-file-description lock: children that exec lose it, other descriptors do not break it. */
static int pool_lock(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
        return errno == EACCES ? -EAGAIN : -errno;
    }
    return 0;
}

/* Checks the kind of file system, locks, reserves, maps. */
static int pool_prepare(int fd, size_t len, uint8_t **ret_bytes)
{
    struct statfs fs;
    if (fstatfs(fd, &fs) < 0) {
        return -errno;
    }
    if ((uint64_t)fs.f_type != TMPFS_MAGIC) {
        return -ENODEV;
    }
    int r = pool_lock(fd);
    if (r < 0) {
        return r;
    }
    do {
        r = fallocate(fd, 0, 0, (off_t)len);
    } while (r < 0 && errno == EINTR);
    if (r < 0) {
        return -errno;
    }
    void *bytes = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED) {
        return -ENODEV;
    }
    *ret_bytes = bytes;
    return 0;
}

int td_pool_file_new(const char *folder, size_t len, struct td_pool_file_map *ret_map)
{
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        /* Without unnamed files (other file systems) there is no safe pool; other errors are told
         * as they are. */
        return errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL ? -ENODEV : -errno;
    }
    uint8_t *bytes = NULL;
    int r = pool_prepare(fd, len, &bytes);
    if (r < 0) {
        int closed = td_pool_file_close(fd);
        return closed < 0 && r == 0 ? closed : r;
    }
    *ret_map = (struct td_pool_file_map){.fd = fd, .bytes = bytes, .len = len};
    return 0;
}

int td_pool_file_anonymous(size_t len, struct td_pool_file_map *ret_map)
{
    void *bytes = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED) {
        return -ENOMEM;
    }
    *ret_map = (struct td_pool_file_map){.fd = -1, .bytes = bytes, .len = len};
    return 0;
}

int td_pool_file_publish(struct td_pool_file_map *map, const char *folder)
{
    char self[32];
    (void)snprintf(self, sizeof(self), "/proc/self/fd/%d", map->fd); /* always fits */
    for (int i = 0; i < POOL_NAME_TRIES; i++) {
        char random[POOL_NAME_RANDOM + 1];
        int r = td_id_token(random, POOL_NAME_RANDOM);
        if (r < 0) {
            return r;
        }
        char path[TD_PATH_MAX];
        int n = snprintf(path, sizeof(path), "%s/" TD_POOL_PREFIX "%ld-%s" TD_POOL_SUFFIX, folder,
                         (long)getpid(), random);
        if (n < 0 || (size_t)n >= sizeof(path)) {
            return -ENAMETOOLONG;
        }
        if (linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0) {
            memcpy(map->path, path, (size_t)n + 1);
            return 0;
        }
        if (errno != EEXIST) {
            /* ENOENT: no /proc here. */
            return errno == ENOENT ? -ENODEV : -errno;
        }
    }
    return -EEXIST;
}

int td_pool_file_done(struct td_pool_file_map *map)
{
    int r = munmap(map->bytes, map->len) < 0 ? -errno : 0;
    int closed = map->fd >= 0 ? td_pool_file_close(map->fd) : 0;
    *map = (struct td_pool_file_map){.fd = -1};
    return r < 0 ? r : closed;
}

bool td_pool_file_is_name(const char *name)
{
    size_t len = strlen(name);
    const size_t prefix = sizeof(TD_POOL_PREFIX) - 1;
    const size_t suffix = sizeof(TD_POOL_SUFFIX) - 1;
    return len > prefix + suffix && memcmp(name, TD_POOL_PREFIX, prefix) == 0 &&
           memcmp(name + len - suffix, TD_POOL_SUFFIX, suffix) == 0;
}

/* Every number of the header is checked against every other; nothing later trusts more than this.
 */
static bool header_holds(const struct td_pool_header *h, uint64_t size)
{
    if (h->magic != TD_POOL_MAGIC || h->version != TD_POOL_VERSION ||
        h->crc != td_pool_header_crc(h) || h->total_bytes != size) {
        return false;
    }
    if (h->file_bytes != sizeof(struct td_pool_file) ||
        h->buffer_bytes != TD_CRASHPOOL_BUFFER_BYTES || h->files_at != TD_POOL_HEADER_BYTES) {
        return false;
    }
    uint64_t files = (uint64_t)h->file_count * h->file_bytes;
    uint64_t buffers = (uint64_t)h->buffer_count * h->buffer_bytes;
    return h->buffers_at >= h->files_at + files && h->buffers_at <= size &&
           buffers <= size - h->buffers_at;
}

static int pool_check(int fd, struct td_pool_header *ret_header)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return -errno;
    }
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) != 0 ||
        st.st_size < (off_t)TD_POOL_HEADER_BYTES) {
        return -EPERM;
    }
    int r = pool_lock(fd);
    if (r < 0) {
        return r;
    }
    /* Between open and lock another recovery may have finished with it. */
    if (fstat(fd, &st) < 0) {
        return -errno;
    }
    if (st.st_nlink != 1) {
        return st.st_nlink == 0 ? -ENOENT : -EPERM;
    }
    struct td_pool_header header;
    r = td_pool_file_read(fd, &header, sizeof(header), 0);
    if (r < 0) {
        return r == -TD_E_DAMAGED ? -EPERM : r;
    }
    if (!header_holds(&header, (uint64_t)st.st_size)) {
        return -EPERM;
    }
    *ret_header = header;
    return 0;
}

int td_pool_file_adopt(const char *path, struct td_pool_header *ret_header)
{
    /* O_NONBLOCK: a named pipe of that name must not hold recovery up. */
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        bool foreign = errno == ELOOP || errno == EACCES || errno == EISDIR || errno == ENXIO;
        return foreign ? -EPERM : -errno;
    }
    int r = pool_check(fd, ret_header);
    if (r < 0) {
        int closed = td_pool_file_close(fd);
        return closed < 0 && r == 0 ? closed : r;
    }
    return fd;
}

int td_pool_file_read(int fd, void *ret_bytes, size_t len, uint64_t offset)
{
    uint8_t *at = ret_bytes;
    while (len > 0) {
        ssize_t n = pread(fd, at, len, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? -errno : -TD_E_DAMAGED;
        }
        at += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

int td_pool_file_write(int fd, const void *bytes, size_t len, uint64_t offset)
{
    const uint8_t *at = bytes;
    while (len > 0) {
        ssize_t n = pwrite(fd, at, len, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? -errno : -EIO;
        }
        at += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

int td_pool_file_close(int fd)
{
    /* Linux has released the descriptor even when it says EINTR. */
    return close(fd) < 0 && errno != EINTR ? -errno : 0;
}

int td_pool_path(const char *path, char ret_path[static TD_PATH_MAX])
{
    size_t at = 0;
    char absolute[TD_PATH_MAX];
    if (path[0] != '/') {
        if (getcwd(absolute, sizeof(absolute)) == NULL) {
            return errno == ERANGE ? -ENAMETOOLONG : -errno;
        }
        at = strlen(absolute);
        if (at + 1 >= sizeof(absolute)) {
            return -ENAMETOOLONG;
        }
        absolute[at++] = '/';
    }
    size_t len = strlen(path);
    if (len == 0 || at + len >= sizeof(absolute)) {
        return len == 0 ? -EINVAL : -ENAMETOOLONG;
    }
    memcpy(absolute + at, path, len + 1);
    memcpy(ret_path, absolute, at + len + 1);
    return 0;
}
