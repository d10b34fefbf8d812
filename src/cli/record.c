/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/control.h"
#include "cli/format.h"
#include "cli/progress.h"
#include "recorder/layout.h"
#include "recorder/recover.h"
#include "recorder/session.h"
#include "source/livekit/livekit.h"
#include "source/replay/replay.h"

#define STATUS_MS 250

struct record {
    /* options */
    const char *url;
    const char *room;
    const char *token;
    const char *api_key;
    const char *api_secret;
    const char *output;
    const char *format_name;
    const char *participant;
    const char *track;
    const char *replay;
    const char *dump;
    const char *runtime_dir;
    const char *log_level;
    int64_t duration_us;
    int64_t departure_us;
    int64_t empty_us;
    int64_t key_interval_us;
    int64_t flush_us;
    int64_t sync_us;
    bool force;
    bool sidecar;
    bool json;
    /* running */
    const struct td_command *command;
    const struct td_mux_ops *format;
    char base[TD_PATH_MAX];
    bool folder;
    struct td_control control;
    struct td_session *session;
    struct td_progress progress;
};

#define OPTION(field_, type_, argument_, help_)                                                    \
    .type = TD_OPTION_##type_, .offset = offsetof(struct record, field_), .argument = argument_,   \
    .help = help_

static const struct td_option options[] = {
    {.name = "url",
     .environment = "LIVEKIT_URL",
     OPTION(url, TEXT, "URL", "LiveKit server, ws:// or wss://")},
    {.name = "room", .letter = 'r', OPTION(room, TEXT, "ROOM", "room to record")},
    {.name = "token", OPTION(token, TEXT, "JWT", "access token, instead of key and secret")},
    {.name = "api-key",
     .environment = "LIVEKIT_API_KEY",
     OPTION(api_key, TEXT, "KEY", "LiveKit API key")},
    {.name = "api-secret",
     .environment = "LIVEKIT_API_SECRET",
     OPTION(api_secret, TEXT, "SECRET", "LiveKit API secret")},
    {.name = "output",
     .letter = 'o',
     OPTION(output, TEXT, "PATH", "FILE[.ts|.mkv] for one participant, FOLDER/ for all")},
    {.name = "format", .letter = 'f', OPTION(format_name, TEXT, "FORMAT", "ts, mkv or auto")},
    {.name = "participant",
     .letter = 'p',
     OPTION(participant, TEXT, "IDENTITY", "record this participant only")},
    {.name = "track", OPTION(track, TEXT, "SID", "record this track only")},
    {.name = "duration",
     .letter = 'd',
     OPTION(duration_us, DURATION, "TIME", "stop after this much is stored, e.g. 20s")},
    {.name = "departure-timeout",
     OPTION(departure_us, DURATION, "TIME",
            "end when the room was empty this long (20s, 0 = never)")},
    {.name = "empty-timeout",
     OPTION(empty_us, DURATION, "TIME", "end when nobody ever came (0 = never)")},
    {.name = "key-frame-interval",
     OPTION(key_interval_us, DURATION, "TIME", "ask for a key frame this often (10s, 0 = never)")},
    {.name = "force", OPTION(force, FLAG, NULL, "replace an existing file")},
    {.name = "sidecar", OPTION(sidecar, FLAG, NULL, "write FILE.json and FILE.timeline.jsonl too")},
    {.name = "replay",
     OPTION(replay, TEXT, "CAPTURE", "record from a packet capture instead of a room")},
    {.name = "dump", OPTION(dump, TEXT, "CAPTURE", "also write the received packets to this file")},
    {.name = "flush-interval",
     .min = 10 * TD_US_PER_MS,
     OPTION(flush_us, DURATION, "TIME", "write at least this often (400ms)")},
    {.name = "sync-interval",
     OPTION(sync_us, DURATION, "TIME", "fdatasync this often (5s, 0 = each flush)")},
    {.name = "runtime-dir", OPTION(runtime_dir, TEXT, "FOLDER", "tmpfs folder for the crash pool")},
    {.name = "log-level", OPTION(log_level, TEXT, "LEVEL", "error, warn, info or debug (warn)")},
    {.name = "json", OPTION(json, FLAG, NULL, "machine-readable lines on stdout")},
};

/* ---- the output path ---- */

static bool ends_with_slash(const char *path)
{
    size_t len = strlen(path);
    return len > 0 && path[len - 1] == '/';
}

static const struct td_mux_ops *format_of_extension(const char *name, const char **ret_dot)
{
    const char *dot = strrchr(name, '.');
    *ret_dot = dot;
    return dot == NULL || dot == name ? NULL : td_format_by_name(dot + 1);
}

static int unsupported_extension(const struct record *r, const char *extension)
{
    static const char *const later[] = {"mp4", "webm", "m3u8", "ogg", "mp3", "mov", "m4a"};
    for (size_t i = 0; i < sizeof(later) / sizeof(*later); i++) {
        if (strcmp(extension, later[i]) == 0)
            return td_usage_error(r->command,
                                  "'.%s' cannot be recorded; name the file .ts or .mkv, or leave "
                                  "the extension out.",
                                  extension);
    }
    return 0;
}

/* Base path and format from -o and --format. 0 or an exit code. */
static int choose_output(struct record *r)
{
    if (r->output == NULL || r->output[0] == '\0')
        return td_usage_error(r->command, "say where to: -o FILE or -o FOLDER/.");
    if (td_format_option(r->command, r->format_name, &r->format) < 0)
        return TD_EXIT_USAGE;
    struct td_fs_stat st;
    bool is_dir = td_fs_stat_path(td_fs_posix(), r->output, &st) == 0 && st.is_dir;
    r->folder = ends_with_slash(r->output) || is_dir;
    const char *dot = NULL;
    const struct td_mux_ops *by_name =
        r->folder ? NULL : format_of_extension(td_layout_name(r->output), &dot);
    if (by_name != NULL && r->format != NULL && by_name != r->format)
        return td_usage_error(r->command, "--format %s and '%s' do not fit together.",
                              r->format_name, r->output);
    int len = (int)strlen(r->output);
    if (by_name != NULL) {
        r->format = by_name;
        len = (int)(dot - r->output);
    } else if (dot != NULL) {
        int code = unsupported_extension(r, dot + 1);
        if (code != 0)
            return code;
    }
    while (r->folder && len > 1 && r->output[len - 1] == '/')
        len--;
    if (td_layout_path(r->base, "%.*s", len, r->output) < 0)
        return td_usage_error(r->command, "the path is too long.");
    return 0;
}

/* ---- files that are in the way ---- */

static int recover_leftover(struct record *r, const char *growing, const char *final)
{
    struct td_fs *fs = td_fs_posix();
    struct td_recover_report report;
    int err = td_recover_file(fs, growing, false, &report);
    if (err == TD_RECOVER_LOCKED) {
        fprintf(stderr, "tapedeck: %s belongs to a running recorder; choose another name.\n",
                growing);
        return TD_EXIT_USAGE;
    }
    if (err == 0)
        fprintf(stderr, "tapedeck: recovered an interrupted recording into %s (%.3f s).\n",
                report.final, (double)report.scan.duration_us / 1e6);
    else if (err == -TD_E_DAMAGED || err == TD_RECOVER_NOTHING)
        fprintf(stderr, "tapedeck: %s holds nothing playable; it is left as it is.\n", growing);
    else {
        fprintf(stderr, "tapedeck: cannot recover %s: %s.\n", growing, td_err_text(err));
        return TD_EXIT_STORAGE;
    }
    char free_name[TD_PATH_MAX];
    if (td_recover_free_name(fs, final, free_name) < 0)
        return TD_EXIT_STORAGE;
    const char *dot = strrchr(free_name, '.');
    if (td_layout_path(r->base, "%.*s", (int)(dot - free_name), free_name) < 0)
        return TD_EXIT_STORAGE;
    fprintf(stderr, "tapedeck: recording into %s.\n", free_name);
    return 0;
}

static int clear_way(struct record *r, const struct td_mux_ops *format)
{
    char final[TD_PATH_MAX];
    char growing[TD_PATH_MAX];
    struct td_fs_stat st;
    struct td_fs *fs = td_fs_posix();
    if (td_layout_final(r->base, 1, format->extension, final) < 0 ||
        td_layout_growing(r->base, 1, format->extension, growing) < 0)
        return td_usage_error(r->command, "the path is too long.");
    if (td_fs_stat_path(fs, growing, &st) == 0)
        return recover_leftover(r, growing, final);
    if (!r->force && td_fs_stat_path(fs, final, &st) == 0)
        return td_usage_error(r->command, "%s exists; choose another name or give --force.", final);
    return 0;
}

/* A folder that cannot be written is found before anybody is asked for media. */
static int probe_folder(const struct record *r)
{
    char path[TD_PATH_MAX];
    struct td_fs *fs = td_fs_posix();
    int err = td_layout_path(path, "%s.recording.probe", r->base);
    if (err == 0)
        err = td_fs_open(fs, path, TD_FS_WRITE | TD_FS_CREATE, 0644);
    if (err >= 0) {
        err = td_fs_close(fs, err);
        int unlinked = td_fs_unlink(fs, path);
        err = err < 0 ? err : unlinked;
    }
    if (err >= 0 || err == -EEXIST)
        return 0;
    fprintf(stderr, "tapedeck: cannot write %s: %s.\n", r->output, td_err_text(err));
    return TD_EXIT_STORAGE;
}

/* The store makes the capture only when it does not exist yet. */
static int clear_dump(const struct record *r)
{
    struct td_fs_stat st;
    if (r->dump == NULL || td_fs_stat_path(td_fs_posix(), r->dump, &st) < 0)
        return 0;
    if (!r->force)
        return td_usage_error(r->command, "%s exists; choose another name or give --force.",
                              r->dump);
    int err = td_fs_unlink(td_fs_posix(), r->dump);
    if (err == 0)
        return 0;
    fprintf(stderr, "tapedeck: cannot replace %s: %s.\n", r->dump, td_err_text(err));
    return TD_EXIT_STORAGE;
}

/* Without a format any of them may become the file: the way has to be free for all. */
static int clear_all(struct record *r)
{
    size_t count = 0;
    const struct td_mux_ops *const *table = td_mux_table(&count);
    int code = 0;
    for (size_t i = 0; code == 0 && i < count;) {
        char before[TD_PATH_MAX];
        memcpy(before, r->base, sizeof(before));
        if (table[i]->seal != NULL) /* the others are for tests */
            code = clear_way(r, table[i]);
        i = strcmp(before, r->base) == 0 ? i + 1 : 0; /* another name: from the beginning */
    }
    return code;
}

static int prepare_files(struct record *r)
{
    int err = td_recover_pools(td_fs_posix(), r->runtime_dir, NULL, NULL);
    if (err < 0)
        fprintf(stderr, "tapedeck: the crash pool of an earlier run cannot be read: %s.\n",
                td_err_text(err));
    int code = clear_dump(r);
    if (code != 0 || r->folder)
        return code;
    code = probe_folder(r);
    if (code != 0)
        return code;
    return r->format != NULL ? clear_way(r, r->format) : clear_all(r);
}

/* ---- running ---- */

static void on_interrupt(void *ctx)
{
    struct record *r = ctx;
    if (r->session != NULL)
        td_session_stop(r->session, "stopped");
    else
        td_control_quit(&r->control, TD_EXIT_FAILED);
}

static int exit_code(const struct td_session *session)
{
    struct td_session_status s;
    td_session_status(session, &s);
    if (s.fail->code == -EEXIST) /* two recorders of one file began at the same moment */
        return TD_EXIT_USAGE;
    if (strcmp(s.reason, "disk_full") == 0 || strcmp(s.reason, "io_error") == 0 ||
        strcmp(s.reason, "disk_slow") == 0)
        return TD_EXIT_STORAGE;
    if (s.fail->code == -TD_E_USAGE &&
        (s.state != TD_SESSION_COMPLETE || strcmp(s.reason, "codec") == 0))
        return TD_EXIT_USAGE;
    if (strcmp(s.reason, "refused") == 0)
        return TD_EXIT_REFUSED;
    if (s.state == TD_SESSION_COMPLETE)
        return TD_EXIT_DONE;
    return s.reason[0] != '\0' && strcmp(s.reason, "source_failed") == 0 ? TD_EXIT_REFUSED
                                                                         : TD_EXIT_FAILED;
}

static void on_changed(void *ctx, struct td_session *session)
{
    struct record *r = ctx;
    td_progress_changed(&r->progress, session);
}

static void on_ended(void *ctx, struct td_session *session)
{
    struct record *r = ctx;
    td_progress_ended(&r->progress, session);
    td_control_quit(&r->control, exit_code(session));
}

static gboolean on_status(gpointer data)
{
    struct record *r = data;
    td_progress_tick(&r->progress, r->session, td_clock_now_us());
    return G_SOURCE_CONTINUE;
}

static int make_source(struct record *r, struct td_fail *fail, struct td_source **ret_source)
{
    struct td_source_events events = td_session_source_events(r->session);
    struct td_media_sink sink = td_session_sink(r->session);
    if (r->replay != NULL) {
        struct td_replay_config config = {
            .path = r->replay,
            .fs = r->control.recorder.fs,
            .loop = r->control.recorder.loop,
            .control = r->control.recorder.control,
        };
        int err = td_replay_new(&config, &events, &sink, ret_source);
        return err < 0
                   ? td_fail_set(fail, err, "Cannot replay %s: %s.", r->replay, td_err_text(err))
                   : 0;
    }
    struct td_livekit_config config = {
        .url = r->url,
        .token = r->token,
        .api_key = r->api_key,
        .api_secret = r->api_secret,
        .room = r->room,
        .subscribe_all = r->folder && r->participant == NULL && r->track == NULL,
        .loop = r->control.recorder.loop,
        .control = r->control.recorder.control,
        .certificate = r->control.certificate,
        .transport = &td_ice_nice,
        .log = &r->control.log,
    };
    return td_livekit_new(&config, &events, &sink, fail, ret_source);
}

static int begin(struct record *r)
{
    struct td_fail fail = {.code = 0};
    struct td_session_config config = {
        .recorder = &r->control.recorder,
        .room = r->room != NULL ? r->room : (r->replay != NULL ? "replay" : "room"),
        .file_base = r->folder ? NULL : r->base,
        .data_dir = r->folder ? r->base : NULL,
        .format = r->format,
        .replace = r->force,
        .sidecar = r->sidecar,
        .participant = r->participant,
        .track = r->track,
        .duration_us = r->duration_us,
        .limits = {.departure_timeout_us = r->departure_us, .empty_timeout_us = r->empty_us},
        .key_interval_us = r->key_interval_us,
        .dump_path = r->dump,
        .ctx = r,
        .changed = on_changed,
        .ended = on_ended,
    };
    int err = td_session_new(&config, &fail, &r->session);
    if (err < 0) {
        fprintf(stderr, "tapedeck: %s\n", fail.text);
        return TD_EXIT_STORAGE;
    }
    struct td_source *source = NULL;
    err = make_source(r, &fail, &source);
    if (err < 0)
        td_session_refuse(r->session, &fail);
    else
        td_session_attach(r->session, source);
    return 0;
}

static int check_source(const struct record *r)
{
    if (r->replay != NULL)
        return 0;
    if (r->url == NULL)
        return td_usage_error(r->command, "say which server: --url or LIVEKIT_URL.");
    if (r->token == NULL && (r->api_key == NULL || r->api_secret == NULL))
        return td_usage_error(r->command, "give --token, or --api-key and --api-secret.");
    if (r->room == NULL && r->token == NULL)
        return td_usage_error(r->command, "say which room: --room.");
    return 0;
}

static int run_loop(struct record *r, enum td_log_level level)
{
    struct td_control_config config = {
        .log_level = level,
        .runtime_dir = r->runtime_dir,
        .flush_interval_us = r->flush_us,
        .sync_interval_us = r->sync_us,
        .store = true,
    };
    if (td_control_start(&r->control, &config, on_interrupt, r) < 0)
        return TD_EXIT_STORAGE;
    int code = begin(r);
    if (code == 0) {
        guint timer = g_timeout_add(STATUS_MS, on_status, r);
        code = td_control_run(&r->control);
        g_source_remove(timer);
    }
    r->session = td_session_free(r->session);
    td_control_stop(&r->control);
    return code;
}

static int run(const struct td_command *command, int argc, char **argv)
{
    struct record r = {
        .command = command,
        .departure_us = 20 * TD_US_PER_S,
        .key_interval_us = 10 * TD_US_PER_S,
        .sync_us = TD_SYNC_INTERVAL_US,
        .log_level = "warn",
    };
    int err = td_options_parse(command, argc, argv, &r, NULL);
    if (err != 0)
        return err == TD_OPTIONS_HELP ? TD_EXIT_DONE : TD_EXIT_USAGE;
    enum td_log_level level;
    if (td_log_level_parse(r.log_level, &level) < 0)
        return td_usage_error(command, "there is no log level '%s'.", r.log_level);
    int code = check_source(&r);
    if (code == 0)
        code = choose_output(&r);
    if (code == 0)
        code = prepare_files(&r);
    if (code != 0)
        return code;
    td_progress_init(&r.progress, r.json);
    return run_loop(&r, level);
}

const struct td_command td_command_record = {
    .name = "record",
    .arguments = "",
    .summary = "record one room in the foreground",
    .details = "Without an extension the format is chosen by what is published: H.264 as .ts,\n"
               "anything else as .mkv. SIGINT or SIGTERM finishes the file.",
    .options = options,
    .option_count = sizeof(options) / sizeof(*options),
    .run = run,
};
