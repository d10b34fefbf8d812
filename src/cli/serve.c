/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/format.h"
#include "cli/settings.h"

#define NOT_GIVEN (-1)

struct serve {
    /* options; what is not given stays as file and environment say */
    const char *config_path;
    const char *token;
    const char *listen;
    const char *data_dir;
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
    char *hidden[3]; /* copies of token, key and secret: argv has them no more */
    /* running */
    struct td_config config;
    struct td_daemon daemon;
};

#define OPTION(field_, type_, argument_, help_)                                                    \
    .type = TD_OPTION_##type_, .offset = offsetof(struct serve, field_), .argument = argument_,    \
    .help = help_

static const struct td_option options[] = {
    {.name = "config",
     .letter = 'c',
     .environment = "TAPEDECK_CONFIG",
     OPTION(config_path, TEXT, "FILE", "settings as YAML; see tapedeck config")},
    {.name = "listen",
     OPTION(listen, TEXT, "HOST:PORT", "where HTTP is served (127.0.0.1:8000; port 0 = any)")},
    {.name = "data-dir", OPTION(data_dir, TEXT, "FOLDER", "where recordings go (./tapedeck-data)")},
    {.name = "token",
     .environment = "TAPEDECK_TOKEN",
     OPTION(token, TEXT, "TOKEN", "bearer token that API and WHIP callers must show")},
    {.name = "url", OPTION(url, TEXT, "URL", "LiveKit server for the start call")},
    {.name = "api-key", OPTION(api_key, TEXT, "KEY", "LiveKit API key")},
    {.name = "api-secret", OPTION(api_secret, TEXT, "SECRET", "LiveKit API secret")},
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
    {.name = "log-level", OPTION(log_level, TEXT, "LEVEL", "error, warn, info or debug (info)")},
};

/* ---- settings: defaults, file, environment, flags ---- */

static int set_text(char **field, const char *value)
{
    if (value == NULL)
        return 0;
    char *copy = strdup(value);
    if (copy == NULL)
        return -ENOMEM;
    free(*field);
    *field = copy;
    return 0;
}

static void set_time(int64_t *field, int64_t value)
{
    if (value != NOT_GIVEN)
        *field = value;
}

/* The format of the flag is the default, and offered. */
static int set_format(struct td_config *c, const char *name)
{
    for (size_t i = 0; name != NULL && i < c->formats.count; i++) {
        if (strcmp(c->formats.items[i], name) != 0)
            continue;
        char *first = c->formats.items[0];
        c->formats.items[0] = c->formats.items[i];
        c->formats.items[i] = first;
        return 0;
    }
    return name == NULL || c->formats.count == 0 ? 0 : set_text(&c->formats.items[0], name);
}

static int lay_flags(const struct serve *s, struct td_config *c)
{
    struct {
        char **field;
        const char *value;
    } const texts[] = {
        {&c->listen, s->listen},
        {&c->data_dir, s->data_dir},
        {&c->runtime_dir, s->runtime_dir},
        {&c->log_level, s->log_level},
        {&c->ws_url, s->url},
        {&c->api_key, s->api_key},
        {&c->api_secret, s->api_secret},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        int r = set_text(texts[i].field, texts[i].value);
        if (r < 0)
            return r;
    }
    set_time(&c->limits.departure_timeout_us, s->departure_us);
    set_time(&c->limits.empty_timeout_us, s->empty_us);
    set_time(&c->key_frame_interval_us, s->key_interval_us);
    set_time(&c->flush_interval_us, s->flush_us);
    set_time(&c->sync_interval_us, s->sync_us);
    c->loopback_only = c->loopback_only || s->loopback_only;
    return set_format(c, s->format_name);
}

static int check_formats(const struct td_config *c, struct td_fail *fail)
{
    for (size_t i = 0; i < c->formats.count; i++) {
        const char *name = c->formats.items[i];
        if (strcmp(name, "auto") != 0 && td_mux_by_name(name) == NULL)
            return td_fail_set(fail, -TD_E_USAGE, "formats: there is no format '%.32s'.", name);
    }
    return 0;
}

/* `ret_config` needs td_config_done after success only. */
static int settle(const struct serve *s, struct td_config *ret_config, struct td_fail *fail)
{
    enum td_log_level level;
    struct td_config c;
    int err = td_settings_load(s->config_path, fail, &c);
    if (err < 0)
        return err;
    err = lay_flags(s, &c);
    if (err == 0)
        err = td_config_check(&c, fail);
    if (err == 0)
        err = check_formats(&c, fail);
    if (err == 0 && td_log_level_parse(c.log_level, &level) < 0)
        err = td_fail_set(fail, -TD_E_USAGE, "log_level: there is no level '%.32s'.", c.log_level);
    if (err < 0)
        td_config_done(&c);
    else
        *ret_config = c;
    return err;
}

/* ---- SIGHUP ---- */

static void on_kept(void *ctx, const char *key)
{
    struct serve *s = ctx;
    td_log_line(&s->daemon.control.log, TD_LOG_WARN,
                "event=not_reloaded key=%s text=\"this takes a restart\"", key);
}

static gboolean on_hangup(gpointer data)
{
    struct serve *s = data;
    const struct td_log *log = &s->daemon.control.log;
    struct td_config fresh;
    struct td_fail fail = {.code = 0};
    int err = settle(s, &fresh, &fail);
    if (err < 0) {
        td_log_line(log, TD_LOG_ERROR, "event=reload_refused text=\"%s\"",
                    fail.code != 0 ? fail.text : td_err_text(err));
        return G_SOURCE_CONTINUE;
    }
    td_notify_say(&s->daemon.notify, "RELOADING=1");
    td_config_reload(&s->config, &fresh, on_kept, s);
    enum td_log_level level;
    if (td_log_level_parse(s->config.log_level, &level) == 0)
        s->daemon.control.log.level = level;
    td_daemon_reload(&s->daemon);
    td_notify_say(&s->daemon.notify, "READY=1");
    td_log_line(log, TD_LOG_INFO, "event=reloaded");
    return G_SOURCE_CONTINUE;
}

/* ---- running ---- */

static int serve(struct serve *s)
{
    enum td_log_level level = TD_LOG_INFO;
    int err = td_log_level_parse(s->config.log_level, &level);
    g_assert(err == 0); /* settle looked */
    int code = td_daemon_open(&s->daemon, level);
    if (code == 0) {
        guint hangup = g_unix_signal_add(SIGHUP, on_hangup, s);
        code = td_daemon_run(&s->daemon);
        g_source_remove(hangup);
    }
    td_daemon_close(&s->daemon);
    return code;
}

static int hide_secrets(struct serve *s)
{
    int err = td_options_hide(&s->token, &s->hidden[0]);
    if (err == 0)
        err = td_options_hide(&s->api_key, &s->hidden[1]);
    return err < 0 ? err : td_options_hide(&s->api_secret, &s->hidden[2]);
}

static int start(struct serve *s)
{
    struct td_fail fail = {.code = 0};
    int err = hide_secrets(s);
    if (err == 0)
        err = settle(s, &s->config, &fail);
    if (err < 0) {
        fprintf(stderr, "tapedeck: %s\n", fail.code != 0 ? fail.text : td_err_text(err));
        return err == -ENOMEM ? TD_EXIT_FAILED : TD_EXIT_USAGE;
    }
    s->daemon.config = &s->config;
    s->daemon.token = s->token;
    s->daemon.lock = -1;
    int code = serve(s);
    td_config_done(&s->config);
    return code;
}

static int run(const struct td_command *command, int argc, char **argv)
{
    struct serve s = {
        .departure_us = NOT_GIVEN,
        .empty_us = NOT_GIVEN,
        .key_interval_us = NOT_GIVEN,
        .flush_us = NOT_GIVEN,
        .sync_us = NOT_GIVEN,
    };
    int err = td_options_parse(command, argc, argv, &s, NULL);
    if (err != 0)
        return err == TD_OPTIONS_HELP ? TD_EXIT_DONE : TD_EXIT_USAGE;
    int code = start(&s);
    for (size_t i = 0; i < sizeof(s.hidden) / sizeof(*s.hidden); i++)
        free(s.hidden[i]);
    return code;
}

const struct td_command td_command_serve = {
    .name = "serve",
    .arguments = "",
    .summary = "the daemon: WHIP ingest and recording calls over HTTP",
    .details =
        "Settings come from the file, then TAPEDECK_* variables, then these options. At the\n"
        "start it repairs what an earlier run left unfinished, and goes on recording where the\n"
        "room still lives. WHIP publishers POST to http://HOST:PORT/whip/ROOM; LiveKit rooms\n"
        "are recorded by POST /api/recording/start/ROOM. SIGINT or SIGTERM finishes all files\n"
        "(on_shutdown: interrupt leaves them to the next start); SIGHUP reads the settings again.",
    .options = options,
    .option_count = sizeof(options) / sizeof(*options),
    .run = run,
};
