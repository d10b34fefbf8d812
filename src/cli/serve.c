/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/http.h"
#include "api/recordings.h"
#include "api/rest.h"
#include "api/whip.h"
#include "base/clock.h"
#include "cli/commands.h"
#include "cli/control.h"
#include "cli/format.h"
#include "recorder/layout.h"
#include "recorder/recover.h"

struct serve {
    /* options */
    const char *listen;
    const char *data_dir;
    const char *token;
    const char *url;
    const char *api_key;
    const char *api_secret;
    const char *format_name;
    const char *runtime_dir;
    const char *log_level;
    int64_t departure_us;
    int64_t empty_us;
    int64_t key_interval_us;
    int64_t flush_us;
    int64_t sync_us;
    bool loopback_only;
    /* running */
    const struct td_command *command;
    struct td_control control;
    int lock; /* handle of DATA/tapedeck.lock */
    struct td_http *http;
    struct td_recordings *recordings;
    struct td_rest *rest;
    struct td_whip_endpoint *whip;
};

#define OPTION(field_, type_, argument_, help_)                                                    \
    .type = TD_OPTION_##type_, .offset = offsetof(struct serve, field_), .argument = argument_,    \
    .help = help_

static const struct td_option options[] = {
    {.name = "listen",
     .environment = "TAPEDECK_LISTEN",
     OPTION(listen, TEXT, "HOST:PORT", "where HTTP is served (127.0.0.1:8000; port 0 = any)")},
    {.name = "data-dir",
     .environment = "TAPEDECK_DATA_DIR",
     OPTION(data_dir, TEXT, "FOLDER", "where recordings go (./tapedeck-data)")},
    {.name = "token",
     .environment = "TAPEDECK_TOKEN",
     OPTION(token, TEXT, "TOKEN", "bearer token that API and WHIP callers must show")},
    {.name = "url",
     .environment = "LIVEKIT_URL",
     OPTION(url, TEXT, "URL", "LiveKit server for the start call")},
    {.name = "api-key",
     .environment = "LIVEKIT_API_KEY",
     OPTION(api_key, TEXT, "KEY", "LiveKit API key")},
    {.name = "api-secret",
     .environment = "LIVEKIT_API_SECRET",
     OPTION(api_secret, TEXT, "SECRET", "LiveKit API secret")},
    {.name = "format", .letter = 'f', OPTION(format_name, TEXT, "FORMAT", "ts, mkv or auto")},
    {.name = "departure-timeout",
     OPTION(departure_us, DURATION, "TIME", "end when the room was empty this long (20s)")},
    {.name = "empty-timeout", OPTION(empty_us, DURATION, "TIME", "end when nobody ever came (5m)")},
    {.name = "key-frame-interval",
     OPTION(key_interval_us, DURATION, "TIME", "ask for a key frame this often (10s, 0 = never)")},
    {.name = "flush-interval",
     .min = 10 * TD_US_PER_MS,
     OPTION(flush_us, DURATION, "TIME", "write at least this often (400ms)")},
    {.name = "sync-interval",
     OPTION(sync_us, DURATION, "TIME", "fdatasync this often (5s, 0 = each flush)")},
    {.name = "runtime-dir", OPTION(runtime_dir, TEXT, "FOLDER", "tmpfs folder for the crash pool")},
    {.name = "loopback", OPTION(loopback_only, FLAG, NULL, "media on 127.0.0.1 only")},
    {.name = "log-level",
     .environment = "TAPEDECK_LOG_LEVEL",
     OPTION(log_level, TEXT, "LEVEL", "error, warn, info or debug (info)")},
};

/* ---- start-up: one daemon a folder, and what the last one left behind ---- */

static int lock_data(struct serve *s)
{
    struct td_fs *fs = td_fs_posix();
    char path[TD_PATH_MAX];
    int err = td_layout_path(path, "%s/tapedeck.lock", s->data_dir);
    if (err == 0)
        err = td_fs_mkdirs(fs, s->data_dir, 0755);
    if (err == 0)
        err = s->lock = td_fs_open(fs, path, TD_FS_WRITE | TD_FS_APPEND, 0644);
    if (err >= 0)
        err = td_fs_lock(fs, s->lock);
    if (err == 0)
        return 0;
    if (err == -EAGAIN)
        fprintf(stderr, "tapedeck: another daemon is using %s.\n", s->data_dir);
    else
        fprintf(stderr, "tapedeck: cannot use %s: %s.\n", s->data_dir, td_err_text(err));
    return TD_EXIT_STORAGE;
}

static void on_pool(void *ctx, const char *path, uint64_t bytes)
{
    struct serve *s = ctx;
    td_log_line(&s->control.log, TD_LOG_INFO, "event=replayed path=%s bytes=%" PRIu64, path, bytes);
}

static void on_recovered(void *ctx, const struct td_recover_report *report)
{
    struct serve *s = ctx;
    if (report->error < 0)
        td_log_line(&s->control.log, TD_LOG_ERROR, "event=not_recovered path=%s error=%s",
                    report->path, td_err_name(report->error));
    else
        td_log_line(&s->control.log, TD_LOG_INFO,
                    "event=recovered path=%s duration_ms=%" PRId64 " bytes=%" PRIu64
                    " cut=%" PRIu64,
                    report->final, report->scan.duration_us / TD_US_PER_MS, report->bytes_after,
                    report->bytes_cut);
}

/* Before anything new is written. A recovery that fails is an error in the log, not the end. */
static void recover(struct serve *s, enum td_log_level level)
{
    struct td_fs *fs = td_fs_posix();
    td_log_init(&s->control.log, 2, level);
    int err = td_recover_pools(fs, s->runtime_dir, on_pool, s);
    if (err < 0)
        td_log_line(&s->control.log, TD_LOG_ERROR, "event=crash_pool_unreadable error=%s",
                    td_err_name(err));
    char folder[TD_PATH_MAX];
    if (td_layout_path(folder, "%s/recordings", s->data_dir) < 0)
        return;
    err = td_recover_folder(fs, folder, false, on_recovered, s);
    if (err < 0 && err != -ENOENT)
        td_log_line(&s->control.log, TD_LOG_ERROR, "event=recovery_failed path=%s error=%s", folder,
                    td_err_name(err));
    err = td_recover_live_links(fs, s->data_dir);
    if (err < 0)
        td_log_line(&s->control.log, TD_LOG_ERROR, "event=live_links error=%s", td_err_name(err));
}

/* ---- running ---- */

static void on_all_ended(void *ctx)
{
    struct serve *s = ctx;
    td_control_quit(&s->control, TD_EXIT_DONE);
}

static void on_interrupt(void *ctx)
{
    struct serve *s = ctx;
    td_log_line(&s->control.log, TD_LOG_INFO, "event=stopping");
    td_recordings_stop_all(s->recordings, "shutdown", on_all_ended, s);
}

static int open_api(struct serve *s, const struct td_mux_ops *format)
{
    struct td_fail fail = {.code = 0};
    struct td_http_config http = {
        .listen = s->listen,
        .tokens = &s->token,
        .token_count = s->token != NULL,
        .log = &s->control.log,
    };
    struct td_recordings_config recordings = {
        .recorder = &s->control.recorder,
        .certificate = s->control.certificate,
        .data_dir = s->data_dir,
        .url = s->url,
        .api_key = s->api_key,
        .api_secret = s->api_secret,
        .format = format,
        .departure_timeout_us = s->departure_us,
        .empty_timeout_us = s->empty_us,
        .key_interval_us = s->key_interval_us,
        .loopback_only = s->loopback_only,
    };
    int err = td_http_new(&http, &fail, &s->http);
    if (err == 0)
        err = td_recordings_new(&recordings, &s->recordings);
    if (err == 0)
        err = td_rest_new(s->http, s->recordings, &s->rest);
    if (err == 0)
        err = td_whip_endpoint_new(s->http, s->recordings, &s->whip);
    if (err == 0)
        return 0;
    fprintf(stderr, "tapedeck: %s\n", fail.code != 0 ? fail.text : td_err_text(err));
    return err == -TD_E_USAGE ? TD_EXIT_USAGE : TD_EXIT_FAILED;
}

static int run_daemon(struct serve *s, const struct td_mux_ops *format, enum td_log_level level)
{
    struct td_control_config config = {
        .log_level = level,
        .runtime_dir = s->runtime_dir,
        .flush_interval_us = s->flush_us,
        .sync_interval_us = s->sync_us,
        .store = true,
    };
    recover(s, level);
    if (td_control_start(&s->control, &config, on_interrupt, s) < 0)
        return TD_EXIT_STORAGE;
    int code = open_api(s, format);
    if (code == 0) {
        td_log_line(&s->control.log, TD_LOG_INFO, "event=listening address=%s data_dir=%s",
                    td_http_address(s->http), s->data_dir);
        printf("tapedeck: listening on http://%s\n", td_http_address(s->http));
        (void)fflush(stdout);
        code = td_control_run(&s->control);
    }
    s->http = td_http_free(s->http);
    s->whip = td_whip_endpoint_free(s->whip);
    s->rest = td_rest_free(s->rest);
    s->recordings = td_recordings_free(s->recordings);
    td_control_stop(&s->control);
    return code;
}

static int run(const struct td_command *command, int argc, char **argv)
{
    struct serve s = {
        .command = command,
        .listen = "127.0.0.1:8000",
        .data_dir = "tapedeck-data",
        .log_level = "info",
        .departure_us = 20 * TD_US_PER_S,
        .empty_us = 300 * TD_US_PER_S,
        .key_interval_us = 10 * TD_US_PER_S,
        .sync_us = TD_SYNC_INTERVAL_US,
        .lock = -1,
    };
    int err = td_options_parse(command, argc, argv, &s, NULL);
    if (err != 0)
        return err == TD_OPTIONS_HELP ? TD_EXIT_DONE : TD_EXIT_USAGE;
    enum td_log_level level;
    if (td_log_level_parse(s.log_level, &level) < 0)
        return td_usage_error(command, "there is no log level '%s'.", s.log_level);
    const struct td_mux_ops *format = NULL;
    if (td_format_option(command, s.format_name, &format) < 0)
        return TD_EXIT_USAGE;
    int code = lock_data(&s);
    if (code == 0)
        code = run_daemon(&s, format, level);
    if (s.lock >= 0 && td_fs_close(td_fs_posix(), s.lock) < 0 && code == 0)
        code = TD_EXIT_STORAGE;
    return code;
}

const struct td_command td_command_serve = {
    .name = "serve",
    .arguments = "",
    .summary = "the daemon: WHIP ingest and recording calls over HTTP",
    .details =
        "At the start it recovers what an earlier run left unfinished. WHIP publishers POST\n"
        "to http://HOST:PORT/whip/ROOM; LiveKit rooms are recorded by\n"
        "POST /api/recording/start/ROOM. SIGINT or SIGTERM finishes all files.",
    .options = options,
    .option_count = sizeof(options) / sizeof(*options),
    .run = run,
};
