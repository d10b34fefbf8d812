/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/process.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define WORKER_NAME "tapedeck-codec"
#define WORKER_FD 3         /* --fd=3 */
#define GRACE_MS 1000       /* from closing the socket to SIGKILL */
#define RECEIVE_BYTES 65536 /* one recv; the socket's buffer is of that order */
#define ENV_MAX 12

struct td_codec_process {
    pid_t pid; /* 0 = reaped or never started */
    int fd;    /* -1 = closed */
    struct td_bytes inbox;
    size_t taken; /* bytes at the inbox's front that were handed out */
};

/* What the worker may know of our environment: nothing that could be a key or a token. */
static const char *const env_passed[] = {
    "PATH",         "LD_LIBRARY_PATH", "LANG",         "TMPDIR",
    "ASAN_OPTIONS", "UBSAN_OPTIONS",   "LSAN_OPTIONS", "TSAN_OPTIONS",
};

static void env_free(char *env[static ENV_MAX])
{
    for (size_t i = 0; i < ENV_MAX; i++)
        free(env[i]);
}

static int env_make(char *env[static ENV_MAX])
{
    size_t used = 0;
    for (size_t i = 0; i < sizeof(env_passed) / sizeof(env_passed[0]); i++) {
        const char *value = getenv(env_passed[i]);
        if (!value)
            continue;
        size_t size = strlen(env_passed[i]) + strlen(value) + 2;
        env[used] = malloc(size);
        if (!env[used])
            return -ENOMEM;
        (void)snprintf(env[used++], size, "%s=%s", env_passed[i], value); /* sized above */
    }
    return 0;
}

/* Folder of the running executable, without the slash; false when it cannot be told. */
static bool own_folder(char ret_folder[static TD_PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", ret_folder, TD_PATH_MAX - 1);
    if (n <= 0 || n >= (ssize_t)TD_PATH_MAX - 1)
        return false;
    ret_folder[n] = '\0';
    char *slash = strrchr(ret_folder, '/');
    if (!slash)
        return false;
    *slash = '\0';
    return true;
}

/* Path of the worker, or its bare name for a search in $PATH. */
static void find_worker(char ret_path[static TD_PATH_MAX])
{
    /* Installed together, installed by prefix, in the build tree. */
    static const char *const beside[] = {"", "/../libexec/tapedeck", "/../codecd"};
    const char *chosen = getenv("TAPEDECK_CODEC");
    if (chosen && *chosen && strlen(chosen) < TD_PATH_MAX) {
        (void)snprintf(ret_path, TD_PATH_MAX, "%s", chosen); /* fits, checked */
        return;
    }
    char folder[TD_PATH_MAX];
    bool known = own_folder(folder);
    for (size_t i = 0; known && i < sizeof(beside) / sizeof(beside[0]); i++) {
        int n = snprintf(ret_path, TD_PATH_MAX, "%s%s/" WORKER_NAME, folder, beside[i]);
        if (n > 0 && n < (int)TD_PATH_MAX && access(ret_path, X_OK) == 0)
            return;
    }
    (void)snprintf(ret_path, TD_PATH_MAX, WORKER_NAME); /* fits */
}

static int spawn_attributes(posix_spawnattr_t *attr)
{
    sigset_t none, all;
    (void)sigemptyset(&none); /* cannot fail on a valid set */
    (void)sigfillset(&all);
    /* Its own process group: Ctrl-C on the terminal is for us; the worker ends with its socket. */
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP;
    int r = posix_spawnattr_setflags(attr, flags);
    if (r == 0)
        r = posix_spawnattr_setsigmask(attr, &none);
    if (r == 0)
        r = posix_spawnattr_setsigdefault(attr, &all);
    if (r == 0)
        r = posix_spawnattr_setpgroup(attr, 0);
    return -r;
}

/* Everything but stdin, stdout, stderr and the socket is close-on-exec, and closed by the worker's
 * sandbox again. */
static int spawn_worker(const char *path, int fd, char *const env[], pid_t *ret_pid)
{
    char fd_option[] = "--fd=3";
    char name[] = WORKER_NAME;
    char *const argv[] = {name, fd_option, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    int r = posix_spawn_file_actions_init(&actions);
    if (r != 0)
        return -r;
    r = posix_spawnattr_init(&attr);
    if (r != 0) {
        (void)posix_spawn_file_actions_destroy(&actions); /* always 0 */
        return -r;
    }
    r = -spawn_attributes(&attr);
    if (r == 0)
        r = posix_spawn_file_actions_adddup2(&actions, fd, WORKER_FD);
    if (r == 0)
        r = posix_spawnp(ret_pid, path, &actions, &attr, argv, env);
    (void)posix_spawnattr_destroy(&attr); /* always 0 */
    (void)posix_spawn_file_actions_destroy(&actions);
    return -r;
}

static int start_at(struct td_codec_process *p, const char *path)
{
    char *env[ENV_MAX] = {NULL};
    int pair[2];
    int r = env_make(env);
    if (r == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        r = -errno;
    if (r < 0) {
        env_free(env);
        return r;
    }
    p->fd = pair[0];
    r = spawn_worker(path, pair[1], env, &p->pid);
    if (r < 0)
        p->pid = 0;
    (void)close(pair[1]); /* a socket: nothing is lost */
    env_free(env);
    return r;
}

static int greet(struct td_codec_process *p, struct td_fail *fail)
{
    uint8_t bytes[TD_MSG_HEADER_BYTES + TD_MSG_FIXED_MAX];
    struct td_writer w;
    td_writer_init(&w, bytes, sizeof(bytes));
    td_msg_write_hello(&w);
    int r = td_codec_process_send(p, &w, NULL, 0);
    if (r < 0)
        return r;
    struct td_msg msg;
    r = td_codec_process_receive(p, TD_CODEC_START_US, &msg, fail);
    if (r < 0)
        return r;
    return r == 0 ? -TD_E_TIMEOUT : td_msg_read_hello(&msg);
}

int td_codec_process_start(struct td_fail *fail, struct td_codec_process **ret_process)
{
    struct td_codec_process *p = calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    p->fd = -1;
    td_bytes_init(&p->inbox, TD_CODEC_INBOX_BYTES_MAX, NULL);
    char path[TD_PATH_MAX];
    find_worker(path);
    int r = start_at(p, path);
    if (r == 0)
        r = greet(p, fail);
    if (r < 0) {
        if (fail)
            (void)td_fail_set(fail, r, "cannot start %s: %s (TAPEDECK_CODEC names another)", path,
                              td_err_text(r));
        (void)td_codec_process_free(p);
        return r;
    }
    *ret_process = p;
    return 0;
}

/* Waits until the worker has ended, GRACE_MS at most, and kills it then: it holds nothing that
 * could be lost. The grace lets leak checkers of a test build report. Answers waitpid's status. */
static int reap(struct td_codec_process *p)
{
    int status = 0;
    int handle = pidfd_open(p->pid, 0);
    struct pollfd ended = {.fd = handle, .events = POLLIN};
    if (handle < 0 || poll(&ended, 1, GRACE_MS) <= 0)
        (void)kill(p->pid, SIGKILL); /* fails only if it is gone already */
    if (handle >= 0)
        (void)close(handle); /* not a file */
    while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    p->pid = 0;
    return status;
}

/* The worker closed its end: says how it ended. */
static int closed(struct td_codec_process *p, struct td_fail *fail)
{
    if (p->pid == 0)
        return -TD_E_CLOSED;
    int status = reap(p);
    if (fail && WIFSIGNALED(status))
        return td_fail_set(fail, -TD_E_CLOSED, WORKER_NAME " was ended by signal %d (%s)",
                           WTERMSIG(status), strsignal(WTERMSIG(status)));
    if (fail)
        return td_fail_set(fail, -TD_E_CLOSED, WORKER_NAME " ended with status %d",
                           WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    return -TD_E_CLOSED;
}

int td_codec_process_pid(const struct td_codec_process *p)
{
    return p->pid;
}

struct td_codec_process *td_codec_process_free(struct td_codec_process *p)
{
    if (!p)
        return NULL;
    if (p->fd >= 0)
        (void)close(p->fd); /* a socket: nothing is lost */
    if (p->pid > 0)
        (void)reap(p); /* its end is expected, whatever its status */
    td_bytes_done(&p->inbox);
    free(p);
    return NULL;
}

/* Moves what was handed out away, so that the inbox holds unread bytes only. */
static void inbox_compact(struct td_codec_process *p)
{
    if (p->taken == 0)
        return;
    memmove(p->inbox.data, p->inbox.data + p->taken, p->inbox.len - p->taken);
    p->inbox.len -= p->taken;
    p->taken = 0;
}

/* Reads once without waiting: a count, 0 when there is nothing now, or an error. */
static int inbox_fill(struct td_codec_process *p)
{
    uint8_t bytes[RECEIVE_BYTES];
    ssize_t n = recv(p->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : errno == ECONNRESET ? -TD_E_CLOSED : -errno;
    if (n == 0)
        return -TD_E_CLOSED;
    int r = td_bytes_append(&p->inbox, bytes, (size_t)n);
    return r < 0 ? r : (int)n;
}

/* Waits until the socket can be read or, if `write`, written. 0 = not within `wait_us`. */
static int wait_ready(int fd, bool write, int64_t wait_us, short *ret_events)
{
    int64_t end_us = td_clock_now_us() + wait_us;
    for (;;) {
        struct pollfd ready = {.fd = fd, .events = (short)(POLLIN | (write ? POLLOUT : 0))};
        int64_t left_us = end_us - td_clock_now_us();
        int left_ms = left_us <= 0 ? 0 : (int)((left_us + TD_US_PER_MS - 1) / TD_US_PER_MS);
        int r = poll(&ready, 1, left_ms);
        if (r < 0 && errno != EINTR)
            return -errno;
        if (r >= 0) {
            *ret_events = ready.revents;
            return r;
        }
    }
}

/* Sends as much of the two parts behind `sent` as the socket takes now. */
static int send_some(int fd, const struct iovec parts[static 2], size_t sent)
{
    struct iovec left[2];
    size_t count = 0;
    size_t skip = sent;
    for (size_t i = 0; i < 2; i++) {
        size_t cut = skip < parts[i].iov_len ? skip : parts[i].iov_len;
        skip -= cut;
        if (parts[i].iov_len > cut)
            left[count++] =
                (struct iovec){(uint8_t *)parts[i].iov_base + cut, parts[i].iov_len - cut};
    }
    struct msghdr msg = {.msg_iov = left, .msg_iovlen = count};
    ssize_t n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0)
        return (int)n; /* at most TD_MSG_BODY_MAX and its header */
    if (errno == EAGAIN || errno == EINTR)
        return 0;
    return errno == EPIPE || errno == ECONNRESET ? -TD_E_CLOSED : -errno;
}

int td_codec_process_send(struct td_codec_process *p, const struct td_writer *head,
                          const void *payload, size_t payload_len)
{
    assert(!head->bad && payload_len <= TD_FRAME_BYTES_MAX);
    struct iovec parts[2] = {
        {.iov_base = head->start, .iov_len = td_writer_len(head)},
        {.iov_base = (void *)(uintptr_t)payload, .iov_len = payload_len},
    };
    size_t total = parts[0].iov_len + payload_len;
    size_t sent = 0;
    inbox_compact(p);
    while (sent < total) {
        int r = send_some(p->fd, parts, sent);
        if (r < 0)
            return r;
        sent += (size_t)r;
        if (r > 0)
            continue;
        short events;
        r = wait_ready(p->fd, true, TD_CODEC_WAIT_US, &events);
        if (r <= 0)
            return r < 0 ? r : -TD_E_TIMEOUT;
        /* Reading is what lets a worker go on that waits for room for its own answers. */
        if (events & (POLLIN | POLLHUP | POLLERR))
            r = inbox_fill(p);
        if (r < 0)
            return r;
    }
    return 0;
}

/* 1 with the first whole message of the inbox, 0 when it is not whole yet. */
static int inbox_take(struct td_codec_process *p, struct td_msg *ret_msg)
{
    size_t left = p->inbox.len - p->taken;
    if (left < TD_MSG_HEADER_BYTES)
        return 0;
    const uint8_t *at = p->inbox.data + p->taken;
    struct td_msg msg = {.body = at + TD_MSG_HEADER_BYTES};
    int r = td_msg_parse_header(at, &msg.type, &msg.len);
    if (r < 0)
        return r;
    if (left - TD_MSG_HEADER_BYTES < msg.len)
        return 0;
    p->taken += TD_MSG_HEADER_BYTES + msg.len;
    *ret_msg = msg;
    return 1;
}

/* An ERROR message becomes the error it carries. */
static int check_error(const struct td_msg *msg, struct td_fail *fail)
{
    struct td_fail told = {0};
    if (msg->type != TD_MSG_ERROR)
        return 1;
    int r = td_msg_read_error(msg, &told);
    if (r < 0)
        return r;
    if (fail)
        (void)td_fail_set(fail, told.code, "%s", told.text);
    return told.code;
}

int td_codec_process_receive(struct td_codec_process *p, int64_t wait_us, struct td_msg *ret_msg,
                             struct td_fail *fail)
{
    int64_t end_us = td_clock_now_us() + wait_us;
    for (;;) {
        struct td_msg msg;
        int r = inbox_take(p, &msg);
        if (r < 0)
            return r;
        if (r > 0) {
            *ret_msg = msg;
            return check_error(&msg, fail);
        }
        inbox_compact(p);
        short events;
        int64_t left_us = end_us - td_clock_now_us();
        r = wait_ready(p->fd, false, left_us > 0 ? left_us : 0, &events);
        if (r <= 0)
            return r;
        r = inbox_fill(p);
        if (r < 0)
            return r == -TD_E_CLOSED ? closed(p, fail) : r;
    }
}
