/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"

/* Absent, or of another form than sd_notify(3) says: -1. */
static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = path != NULL ? strlen(path) : 0;
    if (len < 2 || len >= sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@'))
        return -1;
    memcpy(address.sun_path, path, len);
    if (path[0] == '@')
        address.sun_path[0] = '\0'; /* the abstract name space, unix(7) */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, size) < 0) {
        close(fd); /* nothing was written to it */
        return -1;
    }
    return fd;
}

static gboolean on_watchdog(gpointer data)
{
    struct td_notify *n = data;
    if (n->well == NULL || n->well(n->ctx))
        td_notify_say(n, "WATCHDOG=1");
    return G_SOURCE_CONTINUE;
}

/* Half the time after which we would be killed, as sd_watchdog_enabled(3) advises. */
static void start_watchdog(struct td_notify *n)
{
    const char *usec = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    unsigned long long us = usec != NULL ? strtoull(usec, NULL, 10) : 0;
    if (us == 0 || (pid != NULL && strtoull(pid, NULL, 10) != (unsigned long long)getpid()))
        return;
    n->timer = g_timeout_add((guint)(us / 2000), on_watchdog, n);
}

void td_notify_open(struct td_notify *n, const struct td_log *log, bool (*well)(void *ctx),
                    void *ctx)
{
    *n = (struct td_notify){.log = log, .well = well, .ctx = ctx};
    n->socket = connect_to(getenv("NOTIFY_SOCKET"));
    if (n->socket >= 0)
        start_watchdog(n);
}

void td_notify_say(struct td_notify *n, const char *text)
{
    if (n->socket < 0)
        return;
    if (send(n->socket, text, strlen(text), MSG_NOSIGNAL) < 0)
        td_log_line(n->log, TD_LOG_WARN, "event=notify text=\"%s\" error=%s", text,
                    td_err_name(-errno));
}

void td_notify_close(struct td_notify *n)
{
    if (n->timer != 0)
        g_source_remove(n->timer);
    n->timer = 0;
    if (n->socket >= 0 && close(n->socket) < 0)
        td_log_line(n->log, TD_LOG_WARN, "event=notify error=%s", td_err_name(-errno));
    n->socket = -1;
}
