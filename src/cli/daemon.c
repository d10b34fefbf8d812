/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/daemon.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/item.h"
#include "api/openapi.h"
#include "api/replay.h"
#include "api/round.h"
#include "base/clock.h"
#include "cli/options.h"
#include "recorder/layout.h"
#include "recorder/recover.h"

/* ---- the folder: one daemon in it ---- */

static int lock_data(struct td_daemon *d)
{
    struct td_fs *fs = td_fs_posix();
    const char *data_dir = d->config->data_dir;
    char path[TD_PATH_MAX];
    int err = td_layout_path(path, "%s/tapedeck.lock", data_dir);
    if (err == 0)
        err = td_fs_mkdirs(fs, data_dir, 0755);
    if (err == 0)
        err = d->lock = td_fs_open(fs, path, TD_FS_WRITE | TD_FS_APPEND, 0644);
    if (err >= 0)
        err = td_fs_lock(fs, d->lock);
    if (err == 0)
        return 0;
    if (err == -EAGAIN)
        fprintf(stderr, "tapedeck: another daemon is using %s.\n", data_dir);
    else
        fprintf(stderr, "tapedeck: cannot use %s: %s.\n", data_dir, td_err_text(err));
    return TD_EXIT_STORAGE;
}

static void on_pool(void *ctx, const char *path, uint64_t bytes)
{
    struct td_daemon *d = ctx;
    td_log_line(&d->control.log, TD_LOG_INFO, "event=replayed path=%s bytes=%" PRIu64, path, bytes);
}

/* What a killed process left in the crash pool, before anything new is written. */
static void replay_pools(struct td_daemon *d)
{
    int err = td_recover_pools(td_fs_posix(), d->config->runtime_dir, on_pool, d);
    d->replayed = err >= 0;
    if (err < 0)
        td_log_line(&d->control.log, TD_LOG_ERROR, "event=crash_pool_unreadable error=%s",
                    td_err_name(err));
}

/* A damaged catalogue is moved away and made again from the manifests. */
static int open_catalog(struct td_daemon *d)
{
    char path[TD_PATH_MAX];
    char away[TD_PATH_MAX];
    char now[TD_CLOCK_TEXT_MAX];
    struct td_fail fail = {.code = 0};
    int err = td_layout_path(path, "%s/catalog.db", d->config->data_dir);
    if (err == 0)
        err = td_catalog_open(path, &fail, &d->catalog);
    if (err == -TD_E_DAMAGED) {
        td_clock_basic(td_clock_wall_us(), now);
        err = td_layout_path(away, "%s.damaged-%s", path, now);
        if (err == 0)
            err = td_fs_rename(td_fs_posix(), path, away, false);
        if (err == 0)
            err = td_catalog_open(path, &fail, &d->catalog);
        td_log_line(&d->control.log, TD_LOG_ERROR,
                    "event=catalog_damaged moved_to=%s text=\"it is made again from the "
                    "manifests\"",
                    away);
    }
    if (err == 0)
        return 0;
    fprintf(stderr, "tapedeck: %s\n", fail.code != 0 ? fail.text : td_err_text(err));
    return TD_EXIT_STORAGE;
}

/* Removals that were cut by a kill. */
static void sweep(struct td_daemon *d)
{
    int n = td_round_sweep(td_fs_posix(), d->config->data_dir, d->catalog);
    if (n < 0)
        td_log_line(&d->control.log, TD_LOG_ERROR, "event=removal_not_finished error=%s",
                    td_err_name(n));
}

/* ---- what others ask ---- */

static bool is_recovered(void *ctx)
{
    struct td_daemon *d = ctx;
    struct td_recovery_stats stats;
    if (d->recovery == NULL)
        return false;
    td_recovery_stats(d->recovery, &stats);
    return stats.finished;
}

static bool is_disk_low(void *ctx)
{
    struct td_daemon *d = ctx;
    struct td_guard_stats stats;
    td_guard_stats(d->guard, &stats);
    return stats.refusing;
}

static bool awaits_room(const void *ctx, const char *room)
{
    const struct td_daemon *d = ctx;
    return d->recovery != NULL && td_recovery_awaits(d->recovery, room);
}

static void measure(void *ctx, struct td_exposition_process *p)
{
    struct td_daemon *d = ctx;
    struct td_guard_stats disk;
    struct td_webhook_stats hooks;
    struct td_recovery_stats recovery = {.finished = false};
    td_guard_stats(d->guard, &disk);
    td_webhook_stats(d->webhook, &hooks);
    if (d->recovery != NULL)
        td_recovery_stats(d->recovery, &recovery);
    p->webhook_pending = (double)hooks.pending;
    if (hooks.oldest_us != 0)
        p->webhook_oldest_s = (double)hooks.oldest_us / (double)TD_US_PER_S;
    p->webhook_delivered = (double)hooks.delivered;
    p->webhook_failed = (double)hooks.failed;
    p->webhook_given_up = (double)hooks.given_up;
    if (disk.measured) {
        p->disk_free_bytes = (double)disk.free_bytes;
        p->disk_total_bytes = (double)disk.total_bytes;
    }
    p->retention_removed = (double)disk.removed_total;
    p->interrupted = (double)recovery.interrupted;
    p->recovered = (double)(recovery.resumed + recovery.closed);
    p->set_aside = (double)recovery.set_aside;
}

/* ---- opening ---- */

static int open_http(struct td_daemon *d, struct td_fail *fail)
{
    struct td_http_config config = {
        .listen = d->config->listen,
        .config = d->config,
        .token = d->token,
        .log = &d->control.log,
    };
    return td_http_new(&config, fail, &d->http);
}

static int open_recordings(struct td_daemon *d)
{
    struct td_recordings_config config = {
        .recorder = &d->control.recorder,
        .certificate = d->control.certificate,
        .config = d->config,
        .catalog = d->catalog,
    };
    int err = td_recordings_new(&config, &d->recordings);
    if (err == 0)
        td_recordings_await(d->recordings, awaits_room, d);
    return err;
}

static int open_guard(struct td_daemon *d)
{
    struct td_guard_config config = {
        .recorder = &d->control.recorder,
        .recordings = d->recordings,
        .catalog = d->catalog,
        .config = d->config,
    };
    return td_guard_new(&config, &d->guard);
}

static int open_hooks(struct td_daemon *d)
{
    const struct td_recorder *recorder = &d->control.recorder;
    struct td_webhook_config out = {
        .config = d->config,
        .catalog = d->catalog,
        .store = recorder->store,
        .control = recorder->control,
        .log = recorder->log,
    };
    struct td_livekit_hook_config in = {
        .config = d->config, .recordings = d->recordings, .log = recorder->log};
    int err = td_webhook_new(&out, &d->webhook);
    if (err < 0)
        return err;
    td_replay_route(d->http, d->webhook);
    struct td_recordings_observer observer = td_webhook_observer(d->webhook);
    td_recordings_observe(d->recordings, &observer);
    err = td_livekit_hook_new(d->http, &in, &d->hook);
    if (err < 0)
        return err;
    observer = td_livekit_hook_observer(d->hook);
    td_recordings_observe(d->recordings, &observer);
    return 0;
}

static int open_routes(struct td_daemon *d)
{
    const struct td_recorder *recorder = &d->control.recorder;
    struct td_files_config files = {.fs = recorder->fs,
                                    .log = recorder->log,
                                    .growing = td_items_growing,
                                    .ctx = d->recordings};
    struct td_health_config health = {
        .http = d->http,
        .recordings = d->recordings,
        .ctx = d,
        .recovered = is_recovered,
        .disk_low = is_disk_low,
    };
    int err = td_files_new(&files, &d->files);
    if (err < 0)
        return err;
    struct td_rest_config rest = {
        .http = d->http,
        .recordings = d->recordings,
        .catalog = d->catalog,
        .store = recorder->store,
        .control = recorder->control,
        .fs = recorder->fs,
        .files = d->files,
        .data_dir = d->config->data_dir,
        .log = recorder->log,
    };
    err = td_rest_new(&rest, &d->rest);
    if (err == 0)
        err = td_whip_endpoint_new(d->http, d->recordings, &d->whip);
    if (err == 0)
        err = td_health_new(&health, &d->health);
    td_openapi_serve(d->http);
    return err;
}

static int open_metrics(struct td_daemon *d)
{
    struct td_metrics_config config = {
        .http = d->http,
        .recordings = d->recordings,
        .recorder = &d->control.recorder,
        .sync_interval_us = &d->config->sync_interval_us,
    };
    int err = td_metrics_new(&config, &d->metrics);
    return err < 0 ? err : td_metrics_add(d->metrics, measure, d);
}

static void on_recovered(void *ctx)
{
    struct td_daemon *d = ctx;
    td_webhook_kick(d->webhook);
    td_notify_say(&d->notify, "STATUS=running");
}

static int start_recovery(struct td_daemon *d)
{
    struct td_recovery_config config = {
        .recorder = &d->control.recorder,
        .config = d->config,
        .catalog = d->catalog,
        .recordings = d->recordings,
        .replayed = d->replayed,
        .done = on_recovered,
        .ctx = d,
    };
    return td_recovery_start(&config, &d->recovery);
}

static int open_services(struct td_daemon *d)
{
    struct td_fail fail = {.code = 0};
    int err = open_http(d, &fail);
    if (err == 0)
        err = open_recordings(d);
    if (err == 0)
        err = open_guard(d);
    if (err == 0)
        err = open_hooks(d);
    if (err == 0)
        err = open_routes(d);
    if (err == 0)
        err = open_metrics(d);
    if (err == 0)
        err = start_recovery(d);
    if (err == 0)
        return 0;
    fprintf(stderr, "tapedeck: %s\n", fail.code != 0 ? fail.text : td_err_text(err));
    return err == -TD_E_USAGE ? TD_EXIT_USAGE : TD_EXIT_FAILED;
}

/* ---- stopping ---- */

static void on_letters_sent(void *ctx)
{
    struct td_daemon *d = ctx;
    td_control_quit(&d->control, TD_EXIT_DONE);
}

static void on_all_ended(void *ctx)
{
    struct td_daemon *d = ctx;
    td_webhook_stop(d->webhook, TD_DAEMON_LINGER_US, on_letters_sent, d);
}

static void on_interrupt(void *ctx)
{
    struct td_daemon *d = ctx;
    bool interrupt = d->config->on_shutdown == TD_ON_SHUTDOWN_INTERRUPT;
    td_log_line(&d->control.log, TD_LOG_INFO, "event=stopping recordings=%u how=%s",
                td_recordings_running(d->recordings), interrupt ? "interrupt" : "finish");
    td_notify_say(&d->notify, "STOPPING=1\nSTATUS=finishing the recordings");
    td_http_closing(d->http);
    td_recordings_stop_all(d->recordings, "shutdown", interrupt, on_all_ended, d);
}

/* ---- from outside ---- */

int td_daemon_open(struct td_daemon *d, enum td_log_level level)
{
    const struct td_config *c = d->config;
    struct td_control_config control = {
        .log_level = level,
        .runtime_dir = c->runtime_dir,
        .flush_interval_us = c->flush_interval_us,
        .flush_bytes = c->flush_bytes,
        .crash_pool_bytes = c->crash_pool_bytes,
        .sync_interval_us = c->sync_interval_us,
        .memory_bytes = c->limits.process_memory_bytes,
        .store = true,
    };
    td_log_init(&d->control.log, 2, level);
    d->notify.socket = -1;
    int code = lock_data(d);
    if (code != 0)
        return code;
    replay_pools(d);
    if (td_control_start(&d->control, &control, on_interrupt, d) < 0)
        return TD_EXIT_STORAGE;
    code = open_catalog(d);
    if (code != 0)
        return code;
    sweep(d);
    return open_services(d);
}

int td_daemon_run(struct td_daemon *d)
{
    td_log_line(&d->control.log, TD_LOG_INFO, "event=listening address=%s data_dir=%s",
                td_http_address(d->http), d->config->data_dir);
    printf("tapedeck: listening on http://%s\n", td_http_address(d->http));
    (void)fflush(stdout);
    td_notify_open(&d->notify, &d->control.log, NULL, NULL);
    td_notify_say(&d->notify, "READY=1");
    int code = td_control_run(&d->control);
    td_notify_close(&d->notify);
    return code;
}

void td_daemon_close(struct td_daemon *d)
{
    d->recovery = td_recovery_free(d->recovery);
    d->guard = td_guard_free(d->guard);
    if (d->control.recorder.store != NULL && d->control.main != NULL)
        td_control_flush(&d->control); /* answers find those who asked */
    d->files = td_files_free(d->files);
    d->rest = td_rest_free(d->rest);
    d->metrics = td_metrics_free(d->metrics);
    d->health = td_health_free(d->health);
    d->http = td_http_free(d->http);
    d->whip = td_whip_endpoint_free(d->whip);
    d->recordings = td_recordings_free(d->recordings);
    d->hook = td_livekit_hook_free(d->hook);
    d->webhook = td_webhook_free(d->webhook);
    td_control_stop(&d->control);
    d->catalog = td_catalog_close(d->catalog);
    if (d->lock >= 0 && td_fs_close(td_fs_posix(), d->lock) < 0)
        fprintf(stderr, "tapedeck: the lock of %s was not closed.\n", d->config->data_dir);
    d->lock = -1;
}

void td_daemon_reload(struct td_daemon *d)
{
    struct td_fail fail = {.code = 0};
    if (td_http_reload(d->http, d->config, &fail) < 0)
        td_log_line(&d->control.log, TD_LOG_ERROR, "event=keys_not_reloaded text=\"%s\"",
                    fail.text);
    td_recordings_reload(d->recordings);
    td_guard_look(d->guard);
    td_webhook_kick(d->webhook);
}
