/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/notify.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"

#define WATCHDOG_MS_MAX 3600000u /* more often than asked for does no harm */

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

/* 0 = absent, no number, or the word for none (sd_watchdog_enabled(3)). */
static unsigned long long number_in(const char *variable)
{
    const char *text = getenv(variable);
    if (text == NULL || text[0] == '\0' || strspn(text, "0123456789") != strlen(text))
        return 0;
    unsigned long long number = strtoull(text, NULL, 10); /* ULLONG_MAX when it is larger */
    return number == ULLONG_MAX ? 0 : number;
}

/* Half the time after which we would be killed, as sd_watchdog_enabled(3) advises. */
static void start_watchdog(struct td_notify *n)
{
    unsigned long long us = number_in("WATCHDOG_USEC");
    if (us == 0 || (getenv("WATCHDOG_PID") != NULL &&
                    number_in("WATCHDOG_PID") != (unsigned long long)getpid()))
        return;
    unsigned long long ms = us / 2000;
    guint interval_ms = ms > WATCHDOG_MS_MAX ? WATCHDOG_MS_MAX : ms > 0 ? (guint)ms : 1;
    n->timer = g_timeout_add(interval_ms, on_watchdog, n);
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
