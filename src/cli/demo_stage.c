/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo_stage.h"

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "recorder/layout.h"

#define OWN_PATH "/proc/self/exe"
#define LISTENING "tapedeck: listening on http://127.0.0.1:"
#define START_US (10 * TD_US_PER_S)
#define GRACE_US (3 * TD_US_PER_S)
#define LOG_MAX (1u << 20)
#define LAST_LINES 6
#define LINKS_MAX 16 /* folders open at once while the stage is removed */

/* ---- signals and the folder ---- */

static int hold_signals(struct td_stage *s)
{
    sigset_t set;
    (void)sigemptyset(&set); /* these three cannot fail on valid arguments */
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return s->signals < 0 ? -errno : 0;
}

/* The surroundings of a real daemon must not reach into the demo. */
static void forget_environment(void)
{
    static const char *const names[] = {"TAPEDECK_TOKEN", "TAPEDECK_LOG_LEVEL", "WHIP_TOKEN",
                                        "http_proxy", "HTTP_PROXY"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        (void)unsetenv(names[i]); /* fails only on a malformed name */
}

/* A crash pool of the demo's own, so that no other recorder's start replays it. Without it the
 * daemon finds a place by itself. */
static void open_runtime(struct td_stage *s)
{
    const char *place = getenv("RUNTIME_DIRECTORY");
    bool usable = place != NULL && place[0] == '/' && strchr(place, ':') == NULL;
    if (td_layout_path(s->runtime, "%s/tapedeck-demo-XXXXXX", usable ? place : "/dev/shm") < 0 ||
        mkdtemp(s->runtime) == NULL)
        s->runtime[0] = '\0';
}

int td_stage_open(struct td_stage *s, struct td_fail *fail)
{
    *s = (struct td_stage){.signals = -1};
    int r = hold_signals(s);
    if (r < 0)
        return td_fail_set(fail, r, "signals cannot be held: %s", td_err_text(r));
    const char *place = getenv("TMPDIR");
    r = td_layout_path(s->folder, "%s/tapedeck-demo-XXXXXX",
                       place != NULL && place[0] == '/' ? place : "/tmp");
    if (r == 0 && mkdtemp(s->folder) == NULL)
        r = -errno;
    if (r == 0)
        r = td_layout_path(s->data, "%s/data", s->folder);
    if (r == 0) {
        forget_environment();
        open_runtime(s);
        return 0;
    }
    s->folder[0] = '\0';
    return td_fail_set(fail, r, "no temporary folder: %s", td_err_text(r));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    /* What cannot be removed stays in the temporary folder: nothing is lost by it. */
    (void)remove(path);
    return 0;
}

void td_stage_close(struct td_stage *s, bool keep)
{
    td_child_end(&s->publisher, GRACE_US);
    td_child_end(&s->daemon, GRACE_US);
    if (s->folder[0] != '\0' && !keep)
        (void)nftw(s->folder, remove_one, LINKS_MAX, FTW_DEPTH | FTW_PHYS);
    if (s->runtime[0] != '\0')
        (void)nftw(s->runtime, remove_one, LINKS_MAX, FTW_DEPTH | FTW_PHYS);
    if (s->signals >= 0)
        (void)close(s->signals); /* not a file */
    s->signals = -1;
}

/* ---- the actors ---- */

static int interrupted(struct td_fail *fail)
{
    return td_fail_set(fail, -EINTR, "interrupted");
}

static int start(struct td_stage *s, const char *name, const char *const argv[],
                 struct td_child *ret_child, struct td_fail *fail)
{
    char log[TD_PATH_MAX];
    int r = td_layout_path(log, "%s/%s.log", s->folder, name);
    if (r == 0)
        r = td_child_start(OWN_PATH, argv, log, ret_child);
    if (r < 0)
        return td_fail_set(fail, r, "tapedeck %s cannot be started: %s", name, td_err_text(r));
    return 0;
}

static int ended_early(struct td_child *c, const char *name, struct td_fail *fail)
{
    td_child_end(c, GRACE_US);
    return td_fail_set(fail, -TD_E_CLOSED, "tapedeck %s ended with exit code %d", name,
                       td_child_code(c));
}

int td_stage_daemon(struct td_stage *s, struct td_fail *fail)
{
    char listen[32];
    char line[TD_CHILD_LINE_MAX];
    (void)snprintf(listen, sizeof(listen), "127.0.0.1:%u", s->port); /* fits */
    const char *const argv[] = {
        "tapedeck",   "serve", "--listen",   listen,
        "--data-dir", s->data, "--loopback", s->runtime[0] != '\0' ? "--runtime-dir" : NULL,
        s->runtime,   NULL};
    /* What was killed ends there, so that what the kill cost can be counted; by default the daemon
     * would go on in the same recording. */
    if (setenv("TAPEDECK_RESUME", "false", 1) < 0)
        return td_fail_set(fail, -errno, "no environment: %s", td_err_text(-errno));
    int r = start(s, "serve", argv, &s->daemon, fail);
    if (r < 0)
        return r;
    r = td_child_line(&s->daemon, s->signals, START_US, line);
    if (r == -EINTR)
        return interrupted(fail);
    if (r == -TD_E_CLOSED)
        return ended_early(&s->daemon, "serve", fail);
    if (r < 0)
        return td_fail_set(fail, r, "the daemon cannot be heard: %s", td_err_text(r));
    unsigned port = 0;
    if (r == 0 || sscanf(line, LISTENING "%5u", &port) != 1)
        return td_fail_set(fail, -TD_E_TIMEOUT, "the daemon did not listen within %d s",
                           (int)(START_US / TD_US_PER_S));
    s->port = port;
    return 0;
}

int td_stage_publisher(struct td_stage *s, struct td_fail *fail)
{
    char url[64];
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/whip/" TD_STAGE_ROOM, s->port); /* fits */
    const char *const argv[] = {"tapedeck", "publish", "--whip", url, "--json", NULL};
    return start(s, "publish", argv, &s->publisher, fail);
}

static void hear(struct td_stage *s, const char *line)
{
    json_t *said = json_loads(line, 0, NULL);
    const char *event = json_string_value(json_object_get(said, "event"));
    int64_t wall_us = json_integer_value(json_object_get(said, "wall_us"));
    if (event != NULL && (strcmp(event, "connected") == 0 || strcmp(event, "reconnected") == 0)) {
        s->connections++;
        s->connected_wall_us = wall_us;
    } else if (event != NULL && strcmp(event, "lost") == 0) {
        s->lost_wall_us = wall_us;
    }
    int64_t start_wall_us = json_integer_value(json_object_get(said, "start_wall_us"));
    if (start_wall_us != 0) {
        s->start_wall_us = start_wall_us;
        s->fps = (unsigned)json_integer_value(json_object_get(said, "fps"));
    }
    json_decref(said);
}

int td_stage_listen(struct td_stage *s, int64_t wait_us, struct td_fail *fail)
{
    char line[TD_CHILD_LINE_MAX];
    bool daemon = s->daemon.pid != 0;
    bool publisher = s->publisher.pid != 0;
    int r = publisher ? td_child_line(&s->publisher, s->signals, wait_us, line)
                      : td_child_wait(&s->daemon, s->signals, wait_us);
    if (r == -EINTR)
        return interrupted(fail);
    if (daemon && td_child_ended(&s->daemon))
        return ended_early(&s->daemon, "serve", fail);
    if (!publisher)
        return 0;
    if (r == -TD_E_CLOSED)
        return ended_early(&s->publisher, "publish", fail);
    if (r < 0)
        return td_fail_set(fail, r, "the publisher cannot be heard: %s", td_err_text(r));
    if (r == 1)
        hear(s, line);
    return 0;
}

int td_stage_dismiss(struct td_stage *s, struct td_child *actor, struct td_fail *fail)
{
    td_child_signal(actor, SIGINT);
    int r = td_child_wait(actor, s->signals, START_US);
    if (r == -EINTR)
        return interrupted(fail);
    if (r != 1)
        return td_fail_set(fail, -TD_E_TIMEOUT, "a process did not end at SIGINT");
    td_child_end(actor, 0);
    if (td_child_code(actor) != 0)
        return td_fail_set(fail, -TD_E_STATE, "a process ended with exit code %d at SIGINT",
                           td_child_code(actor));
    return 0;
}

void td_stage_last_words(const struct td_stage *s, const char *name, char *ret_text, size_t size)
{
    char path[TD_PATH_MAX];
    char *text = NULL;
    size_t len = 0;
    ret_text[0] = '\0';
    if (td_layout_path(path, "%s/%s.log", s->folder, name) < 0 ||
        td_fs_slurp(td_fs_posix(), path, LOG_MAX, &text, &len) < 0)
        return;
    const char *from = text + len;
    for (int lines = 0; from > text && len - (size_t)(from - text) < size - 1; from--) {
        if (from[-1] == '\n' && ++lines > LAST_LINES)
            break;
    }
    (void)snprintf(ret_text, size, "%s", from); /* fits, by the loop's second condition */
    free(text);
}

/* ---- what lies on disk ---- */

struct search {
    const char *folder;
    char *ret_path; /* TD_PATH_MAX; "" = not found yet */
};

static int see_file(void *ctx, const char *name)
{
    struct search *s = ctx;
    char final[TD_PATH_MAX];
    if (td_layout_path(s->ret_path, "%s/%s", s->folder, name) == 0 &&
        td_layout_is_growing(s->ret_path, final) == 1)
        return 1;
    s->ret_path[0] = '\0';
    return 0;
}

static int see_folder(void *ctx, const char *name)
{
    struct search *s = ctx;
    char folder[TD_PATH_MAX];
    if (td_layout_path(folder, "%s/%s", s->folder, name) < 0)
        return 0;
    struct search inner = {.folder = folder, .ret_path = s->ret_path};
    return td_fs_list(td_fs_posix(), folder, see_file, &inner);
}

bool td_stage_growing(const struct td_stage *s, char ret_path[static TD_PATH_MAX])
{
    char folder[TD_PATH_MAX];
    ret_path[0] = '\0';
    struct search search = {.folder = folder, .ret_path = ret_path};
    if (td_layout_path(folder, "%s/recordings", s->data) < 0)
        return false;
    /* The folder comes with the first recording: until then this is -ENOENT. */
    int r = td_fs_list(td_fs_posix(), folder, see_folder, &search);
    return r >= 0 && ret_path[0] != '\0';
}

uint64_t td_stage_size(const char *path)
{
    struct td_fs_stat st;
    return td_fs_stat_path(td_fs_posix(), path, &st) == 0 ? st.size : 0;
}

uint64_t td_stage_memory(pid_t pid)
{
    char path[64];
    char *text = NULL;
    size_t len = 0;
    uint64_t pages = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid); /* fits */
    if (td_fs_slurp(td_fs_posix(), path, 4096, &text, &len) < 0)
        return 0;
    if (sscanf(text, "%*u %" SCNu64, &pages) != 1)
        pages = 0;
    free(text);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}
