/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/control.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/limits.h"
#include "store/catalog.h"

static gboolean on_mail(gint fd, GIOCondition condition, gpointer data)
{
    (void)fd;
    (void)condition;
    struct td_control *c = data;
    (void)td_mailbox_drain(c->recorder.control);
    return G_SOURCE_CONTINUE;
}

static gboolean on_signal(gpointer data)
{
    struct td_control *c = data;
    if (++c->signals > 1) {
        /* The second one leaves at once: what is on disk and in the crash pool is valid. */
        _exit(c->exit_code != 0 ? c->exit_code : 1);
    }
    c->interrupted(c->interrupted_ctx);
    return G_SOURCE_CONTINUE;
}

static int start_store(struct td_control *c, const struct td_control_config *config,
                       struct td_fail *fail)
{
    struct td_store_config store = {
        .fs = c->recorder.fs,
        .runtime_dir = config->runtime_dir,
        .flush_interval_us = config->flush_interval_us,
        .flush_bytes = (size_t)config->flush_bytes,
        .crashpool_bytes = (size_t)config->crash_pool_bytes,
        .sync_interval_us = config->sync_interval_us,
    };
    int r = td_store_new(&store, &c->recorder.store);
    if (r < 0)
        return r;
    if (td_store_crash_safe(c->recorder.store))
        return 0;
    int error = td_store_pool_error(c->recorder.store);
    if (error == -ENOSPC) /* design section 7: an error at start, never a SIGBUS later */
        return td_fail_set(
            fail, error,
            "no room for the crash pool (%u MiB) in the runtime folder; free some or "
            "give --runtime-dir on another tmpfs",
            (unsigned)((config->crash_pool_bytes != 0 ? config->crash_pool_bytes
                                                      : (int64_t)TD_CRASHPOOL_BYTES) >>
                       20));
    td_log_line(
        &c->log, TD_LOG_WARN,
        "event=no_crash_pool error=%s text=\"no tmpfs for the crash pool: a kill may lose up "
        "to 1 s; give --runtime-dir on a tmpfs\"",
        td_err_name(error));
    return 0;
}

int td_control_start(struct td_control *c, const struct td_control_config *config,
                     void (*interrupted)(void *ctx), void *ctx)
{
    *c = (struct td_control){.interrupted = interrupted, .interrupted_ctx = ctx};
    td_log_init(&c->log, STDERR_FILENO, config->log_level);
    td_budget_init(&c->budget, NULL,
                   config->memory_bytes != 0 ? (size_t)config->memory_bytes
                                             : (size_t)TD_PROCESS_MEMORY_MB << 20);
    c->recorder.fs = td_fs_posix();
    c->recorder.log = &c->log;
    c->recorder.budget = &c->budget;
    struct td_fail fail = {.code = 0};
    (void)signal(SIGPIPE, SIG_IGN);
    int r = td_mailbox_new(TD_CONTROL_MESSAGES_MAX, &c->recorder.control);
    if (r == 0)
        r = td_loop_new("media", &c->recorder.loop);
    if (r == 0)
        r = td_certificate_new(&c->certificate);
    if (r == 0 && config->store)
        r = start_store(c, config, &fail);
    if (r < 0) {
        fprintf(stderr, "tapedeck: cannot start: %s.\n",
                fail.code != 0 ? fail.text : td_err_text(r));
        td_control_stop(c);
        return r;
    }
    c->main = g_main_loop_new(NULL, FALSE);
    c->mailbox_source = g_unix_fd_add(td_mailbox_fd(c->recorder.control), G_IO_IN, on_mail, c);
    c->signal_sources[0] = g_unix_signal_add(SIGINT, on_signal, c);
    c->signal_sources[1] = g_unix_signal_add(SIGTERM, on_signal, c);
    return 0;
}

int td_control_run(struct td_control *c)
{
    g_main_loop_run(c->main);
    return c->exit_code;
}

void td_control_quit(struct td_control *c, int exit_code)
{
    c->exit_code = exit_code;
    g_main_loop_quit(c->main);
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void on_flushed(void *target, const void *payload)
{
    (void)payload;
    struct td_control *c = target;
    c->flushed = true;
}

void td_control_flush(struct td_control *c)
{
    c->flushed = false;
    while (td_catalog_post(c->recorder.store, nothing, c, c->recorder.control, on_flushed, c) < 0)
        g_main_context_iteration(NULL, FALSE); /* it is behind: it makes room */
    while (!c->flushed)
        g_main_context_iteration(NULL, TRUE);
}

void td_control_stop(struct td_control *c)
{
    c->recorder.loop = td_loop_free(c->recorder.loop);
    c->recorder.store = td_store_free(c->recorder.store);
    if (c->main != NULL) {
        g_source_remove(c->mailbox_source);
        g_source_remove(c->signal_sources[0]);
        g_source_remove(c->signal_sources[1]);
        g_main_loop_unref(c->main);
        c->main = NULL;
    }
    if (c->recorder.control != NULL)
        (void)td_mailbox_drain(c->recorder.control);
    c->recorder.control = td_mailbox_free(c->recorder.control);
    c->certificate = td_certificate_free(c->certificate);
}
