/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"

#define EXEC_FAILED 127 /* as the shell says it */

/* In the forked process: only what is safe between fork and exec. */
static void become(const char *path, const char *const argv[], const int fds[static 3],
                   pid_t parent)
{
    sigset_t none;
    (void)sigemptyset(&none);                    /* cannot fail on a valid set */
    (void)sigprocmask(SIG_SETMASK, &none, NULL); /* the same */
    (void)signal(SIGPIPE, SIG_DFL);              /* the same */
    (void)setpgid(0, 0);                         /* Ctrl-C is the parent's */
    bool ok = prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent;
    for (int i = 0; i < 3; i++)
        ok = ok && dup2(fds[i], i) == i;
    /* The standard's signature lacks a const that it keeps in deed. */
    union {
        const char *const *given;
        char *const *wanted;
    } words = {.given = argv};
    if (ok)
        (void)execvp(path, words.wanted); /* returns only on failure */
    _exit(EXEC_FAILED);
}

static int close_all(const int handles[], size_t count)
{
    int r = 0;
    for (size_t i = 0; i < count; i++) {
        int closed = handles[i] >= 0 ? td_fs_close(td_fs_posix(), handles[i]) : 0;
        if (r == 0)
            r = closed;
    }
    return r;
}

int td_child_start(const char *path, const char *const argv[], const char *log,
                   struct td_child *ret_child)
{
    struct td_fs *fs = td_fs_posix();
    struct td_child c = {.handle = -1, .out = -1};
    int pair[2];
    int null = td_fs_open(fs, "/dev/null", TD_FS_READ, 0);
    int err = log != NULL ? td_fs_open(fs, log, TD_FS_WRITE | TD_FS_APPEND, 0600) : -1;
    int opened[2] = {null, err};
    if (null < 0 || (log != NULL && err < 0))
        return close_all(opened, 2) < 0 ? -EIO : (null < 0 ? null : err);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return close_all(opened, 2) < 0 ? -EIO : -EMFILE;
    const int fds[3] = {null, pair[1], log != NULL ? err : pair[1]};
    pid_t parent = getpid();
    c.pid = fork();
    if (c.pid == 0)
        become(path, argv, fds, parent);
    int r = c.pid < 0 ? -errno : 0;
    if (r == 0)
        c.handle = pidfd_open(c.pid, 0);
    c.out = pair[0];
    (void)close(pair[1]); /* a socket: nothing is lost */
    int closed = close_all(opened, 2);
    if (r == 0 && c.handle < 0)
        r = -errno;
    if (r == 0)
        r = closed;
    if (c.pid < 0)
        c.pid = 0;
    if (r < 0) {
        td_child_end(&c, 0);
        return r;
    }
    *ret_child = c;
    return 0;
}

/* 1 when `fd` is readable, 0 after `wait_us`, -EINTR for the interrupt. */
static int wait_for(int fd, int interrupt, int64_t until_us)
{
    struct pollfd polled[2] = {
        {.fd = fd, .events = POLLIN},
        {.fd = interrupt, .events = POLLIN}, /* poll leaves out negative ones */
    };
    for (;;) {
        int64_t left_us = until_us - td_clock_now_us();
        int left_ms = left_us <= 0 ? 0 : (int)((left_us + TD_US_PER_MS - 1) / TD_US_PER_MS);
        int n = poll(polled, 2, left_ms);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (polled[1].revents != 0)
            return -EINTR;
        if (polled[0].revents != 0)
            return 1;
        if (left_us <= 0)
            return 0;
    }
}

static bool take_line(struct td_child *c, char ret_line[static TD_CHILD_LINE_MAX])
{
    const char *end = memchr(c->buffer, '\n', c->len);
    bool full = c->len == sizeof(c->buffer) - 1;
    bool last = c->out < 0 && c->len > 0;
    if (end == NULL && !full && !last)
        return false;
    size_t len = end != NULL ? (size_t)(end - c->buffer) : c->len;
    size_t taken = end != NULL ? len + 1 : len;
    memcpy(ret_line, c->buffer, len);
    ret_line[len] = '\0';
    memmove(c->buffer, c->buffer + taken, c->len - taken);
    c->len -= taken;
    return true;
}

int td_child_line(struct td_child *c, int interrupt, int64_t wait_us,
                  char ret_line[static TD_CHILD_LINE_MAX])
{
    int64_t until_us = td_clock_now_us() + wait_us;
    while (!take_line(c, ret_line)) {
        if (c->out < 0)
            return -TD_E_CLOSED;
        int r = wait_for(c->out, interrupt, until_us);
        if (r <= 0)
            return r;
        ssize_t n = read(c->out, c->buffer + c->len, sizeof(c->buffer) - 1 - c->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n > 0) {
            c->len += (size_t)n;
            continue;
        }
        (void)close(c->out); /* a socket: nothing is lost */
        c->out = -1;
    }
    return 1;
}

static void reap(struct td_child *c)
{
    while (waitpid(c->pid, &c->status, 0) < 0 && errno == EINTR)
        continue;
    c->pid = 0;
    if (c->handle >= 0)
        (void)close(c->handle); /* not a file */
    c->handle = -1;
}

int td_child_wait(struct td_child *c, int interrupt, int64_t wait_us)
{
    if (c->pid == 0)
        return 1;
    int r = wait_for(c->handle, interrupt, td_clock_now_us() + wait_us);
    if (r == 1)
        reap(c);
    return r;
}

void td_child_signal(const struct td_child *c, int number)
{
    if (c->pid > 0)
        (void)kill(c->pid, number); /* fails only if it is gone already */
}

bool td_child_ended(struct td_child *c)
{
    return td_child_wait(c, -1, 0) == 1;
}

void td_child_end(struct td_child *c, int64_t grace_us)
{
    if (c->pid > 0) {
        td_child_signal(c, SIGTERM);
        if (c->handle < 0 || td_child_wait(c, -1, grace_us) != 1) {
            td_child_signal(c, SIGKILL);
            reap(c);
        }
    }
    if (c->out > 0)
        (void)close(c->out); /* a socket: nothing is lost */
    c->out = -1;
}

int td_child_code(const struct td_child *c)
{
    return WIFEXITED(c->status) ? WEXITSTATUS(c->status) : 128 + WTERMSIG(c->status);
}
