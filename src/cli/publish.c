/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/control.h"
#include "publisher/pattern_file.h"
#include "publisher/publish.h"
#include "webrtc/ice.h"

#define STATUS_S 1
#define COUNT_MAX 256
#define NAME_MAX_BYTES 256 /* LiveKit's limit for identities */
#define URL_MAX_BYTES 2048

struct publish;

struct one {
    struct publish *owner;
    unsigned number;            /* from 1 */
    struct td_publish *publish; /* NULL = ended or never started */
    bool connected;             /* at least once */
    bool sending;
    char identity[NAME_MAX_BYTES];
    char url[URL_MAX_BYTES];
    struct td_publish_status last; /* of one that ended */
};

struct publish {
    /* options */
    const char *url;
    const char *room;
    const char *token;
    const char *api_key;
    const char *api_secret;
    const char *identity;
    const char *whip;
    const char *whip_token;
    const char *video;
    const char *audio;
    const char *size;
    const char *cache;
    const char *log_level;
    int64_t fps;
    int64_t bitrate_bps;
    int64_t key_interval_us;
    int64_t loop_us;
    int64_t slices;
    int64_t count;
    int64_t duration_us;
    bool json;
    /* running */
    const struct td_command *command;
    struct td_pattern *pattern;
    struct td_control control;
    struct one *ones;
    unsigned running;
    bool terminal;
    bool line_open;
    bool refused;
    bool stopping;
    int64_t first_us; /* of the first connection, 0 = none yet */
};

#define OPTION(field_, type_, argument_, help_)                                                    \
    .type = TD_OPTION_##type_, .offset = offsetof(struct publish, field_), .argument = argument_,  \
    .help = help_

static const struct td_option options[] = {
    {.name = "url",
     .environment = "LIVEKIT_URL",
     OPTION(url, TEXT, "URL", "LiveKit server, ws:// or wss://")},
    {.name = "room", .letter = 'r', OPTION(room, TEXT, "ROOM", "room to publish to")},
    {.name = "token", OPTION(token, TEXT, "JWT", "access token, instead of key and secret")},
    {.name = "api-key",
     .environment = "LIVEKIT_API_KEY",
     OPTION(api_key, TEXT, "KEY", "LiveKit API key")},
    {.name = "api-secret",
     .environment = "LIVEKIT_API_SECRET",
     OPTION(api_secret, TEXT, "SECRET", "LiveKit API secret")},
    {.name = "identity", OPTION(identity, TEXT, "NAME", "who publishes (publisher)")},
    {.name = "whip", OPTION(whip, TEXT, "URL", "WHIP endpoint, instead of a LiveKit room")},
    {.name = "whip-token",
     .environment = "WHIP_TOKEN",
     OPTION(whip_token, TEXT, "TOKEN", "bearer token of the WHIP endpoint")},
    {.name = "video", OPTION(video, TEXT, "CODEC", "h264, vp8 or none (h264)")},
    {.name = "audio", OPTION(audio, TEXT, "CODEC", "opus or none (opus)")},
    {.name = "size", OPTION(size, TEXT, "WxH", "size of the picture (1280x720)")},
    {.name = "fps",
     .min = 1,
     .max = TD_PATTERN_FPS_MAX,
     OPTION(fps, NUMBER, "N", "frames a second (30)")},
    {.name = "bitrate",
     .min = TD_PATTERN_BITRATE_MIN,
     .max = TD_PATTERN_BITRATE_MAX,
     OPTION(bitrate_bps, NUMBER, "BPS", "bits a second of the video (2000000)")},
    {.name = "key-interval",
     .min = 100 * TD_US_PER_MS,
     .max = 60 * TD_US_PER_S,
     OPTION(key_interval_us, DURATION, "TIME", "from key frame to key frame (1s)")},
    {.name = "slices",
     .min = 1,
     .max = TD_PATTERN_SLICES_MAX,
     OPTION(slices, NUMBER, "N", "slices of a picture (1)")},
    {.name = "loop-seconds",
     .min = TD_US_PER_S,
     .max = TD_PATTERN_SECONDS_MAX * TD_US_PER_S,
     OPTION(loop_us, DURATION, "TIME", "length of the encoded loop, whole seconds (10s)")},
    {.name = "pattern-cache",
     .environment = "TAPEDECK_PATTERN_CACHE",
     OPTION(cache, TEXT, "FILE", "keep the encoded loop here and use it the next time")},
    {.name = "count",
     .letter = 'n',
     .min = 1,
     .max = COUNT_MAX,
     OPTION(count, NUMBER, "N", "this many publishers; identity and WHIP URL get -1, -2 … (1)")},
    {.name = "duration",
     .letter = 'd',
     OPTION(duration_us, DURATION, "TIME", "stop this long after the first connection")},
    {.name = "log-level", OPTION(log_level, TEXT, "LEVEL", "error, warn, info or debug (warn)")},
    {.name = "json", OPTION(json, FLAG, NULL, "machine-readable lines on stdout")},
};

/* ---- the pattern ---- */

static int pattern_config(const struct publish *c, struct td_pattern_config *ret_config)
{
    unsigned width = 0;
    unsigned height = 0;
    char rest = '\0';
    td_pattern_config_default(ret_config);
    if (strcmp(c->video, "h264") == 0)
        ret_config->video = TD_CODEC_H264;
    else if (strcmp(c->video, "vp8") == 0)
        ret_config->video = TD_CODEC_VP8;
    else if (strcmp(c->video, "none") == 0)
        ret_config->video = TD_CODEC_NONE;
    else
        return td_usage_error(c->command, "--video is h264, vp8 or none, not '%s'.", c->video);
    if (strcmp(c->audio, "none") == 0)
        ret_config->channels = 0;
    else if (strcmp(c->audio, "opus") != 0)
        return td_usage_error(c->command, "--audio is opus or none, not '%s'.", c->audio);
    if (ret_config->video == TD_CODEC_NONE && ret_config->channels == 0)
        return td_usage_error(c->command, "there is nothing to publish.");
    if (sscanf(c->size, "%4ux%4u%c", &width, &height, &rest) != 2)
        return td_usage_error(c->command, "--size looks like 1280x720, not '%s'.", c->size);
    ret_config->width = (uint16_t)width;
    ret_config->height = (uint16_t)height;
    ret_config->fps = (uint16_t)c->fps;
    ret_config->bitrate_bps = (uint32_t)c->bitrate_bps;
    ret_config->key_interval_ms = (uint16_t)(c->key_interval_us / TD_US_PER_MS);
    ret_config->seconds = (uint16_t)(c->loop_us / TD_US_PER_S);
    ret_config->slices = (uint8_t)c->slices;
    if (td_pattern_config_check(ret_config) < 0)
        return td_usage_error(c->command,
                              "no pattern can be made so: sides are even and from %u to %u, and a "
                              "loop has at most %u frames.",
                              TD_PATTERN_SIDE_MIN, TD_PATTERN_SIDE_MAX, TD_PATTERN_FRAMES_MAX);
    return 0;
}

static int make_pattern(struct publish *c)
{
    struct td_pattern_config config;
    struct td_fail fail = {.code = 0};
    struct td_fs *fs = td_fs_posix();
    int code = pattern_config(c, &config);
    if (code != 0 ||
        (c->cache != NULL && td_pattern_file_load(fs, c->cache, &config, &c->pattern) == 0))
        return code;
    if (c->terminal)
        fprintf(stderr, "encoding the pattern …");
    int r = td_codec_pattern(&config, &fail, &c->pattern);
    if (c->terminal)
        fprintf(stderr, "\r\033[K");
    if (r < 0) {
        fprintf(stderr, "tapedeck: the pattern cannot be encoded: %s\n",
                fail.code != 0 ? fail.text : td_err_text(r));
        return TD_EXIT_FAILED;
    }
    r = c->cache != NULL ? td_pattern_file_save(fs, c->cache, c->pattern) : 0;
    if (r < 0)
        fprintf(stderr, "tapedeck: %s cannot be written: %s.\n", c->cache, td_err_text(r));
    return 0;
}

/* ---- what is shown ---- */

static void print_json(json_t *line)
{
    char *text = line != NULL ? json_dumps(line, JSON_COMPACT) : NULL;
    if (text != NULL) {
        printf("%s\n", text);
        (void)fflush(stdout);
    }
    free(text);
    json_decref(line);
}

static struct td_publish_status status_of(const struct one *o)
{
    struct td_publish_status s = o->last;
    if (o->publish != NULL)
        td_publish_status(o->publish, &s);
    return s;
}

/* Sums of all, and who is connected. */
static unsigned totals(const struct publish *c, struct td_publish_status *ret_sum)
{
    unsigned sending = 0;
    *ret_sum = (struct td_publish_status){.state = TD_PUBLISH_ENDED};
    for (int64_t i = 0; i < c->count; i++) {
        struct td_publish_status s = status_of(&c->ones[i]);
        sending += s.state == TD_PUBLISH_SENDING && c->ones[i].publish != NULL;
        ret_sum->connections += s.connections;
        ret_sum->losses += s.losses;
        ret_sum->media.frames += s.media.frames;
        ret_sum->media.packets += s.media.packets;
        ret_sum->media.bytes += s.media.bytes;
        ret_sum->media.skipped += s.media.skipped;
        ret_sum->media.nacks += s.media.nacks;
        ret_sum->media.resent += s.media.resent;
        ret_sum->media.key_requests += s.media.key_requests;
    }
    return sending;
}

static int64_t wall_of(int64_t monotonic_us)
{
    return monotonic_us == 0 ? 0 : monotonic_us - td_clock_now_us() + td_clock_wall_us();
}

static uint64_t reconnects(const struct td_publish_status *sum, int64_t count)
{
    return sum->connections > (uint64_t)count ? sum->connections - (uint64_t)count : 0;
}

/* Times of a frame: those of the first publisher, for tests that ask what must have arrived. */
static json_t *status_json(const struct publish *c, const char *event)
{
    struct td_publish_status sum;
    unsigned sending = totals(c, &sum);
    struct td_publish_status first = status_of(&c->ones[0]);
    const struct td_pump_status *m = &sum.media;
    double cpu_s = (double)clock() / CLOCKS_PER_SEC;
    return json_pack(
        "{s:s, s:I, s:I, s:I, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:f}",
        "event", event, "frames", (json_int_t)m->frames, "packets", (json_int_t)m->packets, "bytes",
        (json_int_t)m->bytes, "connected", (int)sending, "count", (int)c->count, "wall_us",
        (json_int_t)td_clock_wall_us(), "reconnects", (json_int_t)reconnects(&sum, c->count),
        "skipped", (json_int_t)m->skipped, "nacks", (json_int_t)m->nacks, "resent",
        (json_int_t)m->resent, "key_requests", (json_int_t)m->key_requests, "last_frame",
        (json_int_t)first.media.last_frame, "last_frame_wall_us",
        (json_int_t)wall_of(first.media.last_frame_us), "start_wall_us",
        (json_int_t)first.media.start_wall_us, "fps", (int)c->fps, "cpu_s", cpu_s);
}

static void print_line(struct publish *c)
{
    struct td_publish_status sum;
    unsigned sending = totals(c, &sum);
    int64_t seconds = c->first_us == 0 ? 0 : (td_clock_now_us() - c->first_us) / TD_US_PER_S;
    fprintf(stderr,
            "\r\033[Kpublishing %02" PRId64 ":%02" PRId64 ":%02" PRId64 "  %u/%" PRId64
            " connected  %" PRIu64 " frames  %.2f MB  resent %" PRIu64 "  reconnects %" PRIu64,
            seconds / 3600, seconds / 60 % 60, seconds % 60, sending, c->count, sum.media.frames,
            (double)sum.media.bytes / 1e6, sum.media.resent, reconnects(&sum, c->count));
    (void)fflush(stderr);
    c->line_open = true;
}

static void end_line(struct publish *c)
{
    if (c->line_open)
        fprintf(stderr, "\n");
    c->line_open = false;
}

static void show(struct publish *c, const char *event)
{
    if (c->json)
        print_json(status_json(c, event));
    else if (c->terminal)
        print_line(c);
}

static void show_change(struct publish *c, const struct one *o, const char *event,
                        const struct td_fail *fail)
{
    if (c->json) {
        print_json(json_pack("{s:s, s:i, s:s, s:I, s:s*}", "event", event, "number", (int)o->number,
                             "identity", o->identity, "wall_us", (json_int_t)td_clock_wall_us(),
                             "error", fail != NULL && fail->code != 0 ? fail->text : NULL));
        return;
    }
    end_line(c);
    if (fail != NULL && fail->code != 0)
        fprintf(stderr, "%s: %s: %s\n", o->identity, event, fail->text);
    else
        fprintf(stderr, "%s: %s\n", o->identity, event);
}

/* ---- running ---- */

static void stop_all(struct publish *c)
{
    c->stopping = true;
    for (int64_t i = 0; i < c->count; i++) {
        if (c->ones[i].publish != NULL)
            td_publish_stop(c->ones[i].publish);
    }
    if (c->running == 0)
        td_control_quit(&c->control, TD_EXIT_DONE);
}

static void on_interrupt(void *ctx)
{
    stop_all(ctx);
}

static gboolean on_second(gpointer data)
{
    struct publish *c = data;
    show(c, "status");
    return G_SOURCE_CONTINUE;
}

static gboolean on_duration(gpointer data)
{
    struct publish *c = data;
    if (!c->stopping)
        stop_all(c);
    return G_SOURCE_REMOVE;
}

static void on_changed(void *ctx, struct td_publish *publish)
{
    struct one *o = ctx;
    struct publish *c = o->owner;
    struct td_publish_status s;
    td_publish_status(publish, &s);
    if (s.state == TD_PUBLISH_SENDING) {
        if (c->first_us == 0) {
            c->first_us = td_clock_now_us();
            if (c->duration_us > 0)
                g_timeout_add((guint)(c->duration_us / TD_US_PER_MS), on_duration, c);
        }
        show_change(c, o, o->connected ? "reconnected" : "connected", NULL);
        o->connected = true;
        o->sending = true;
    } else if (s.state == TD_PUBLISH_WAITING) {
        if (o->sending) /* else another try failed, which the log says */
            show_change(c, o, "lost", s.fail);
        o->sending = false;
    }
}

static void on_ended(void *ctx, struct td_publish *publish, const struct td_fail *fail)
{
    struct one *o = ctx;
    struct publish *c = o->owner;
    td_publish_status(publish, &o->last);
    o->last.fail = NULL;
    if (fail->code != 0) {
        c->refused = true;
        end_line(c);
        if (c->json)
            show_change(c, o, "refused", fail);
        fprintf(stderr, "tapedeck: %s\n", fail->text);
    }
    o->publish = td_publish_free(publish);
    if (--c->running == 0)
        td_control_quit(&c->control, c->refused ? TD_EXIT_REFUSED : TD_EXIT_DONE);
}

static void name_one(struct publish *c, struct one *o)
{
    const char *url = c->whip != NULL ? c->whip : c->url;
    if (c->count == 1) {
        (void)snprintf(o->identity, sizeof(o->identity), "%s", c->identity);
        (void)snprintf(o->url, sizeof(o->url), "%s", url);
        return;
    }
    (void)snprintf(o->identity, sizeof(o->identity), "%.240s-%u", c->identity, o->number);
    if (c->whip != NULL)
        (void)snprintf(o->url, sizeof(o->url), "%s-%u", url, o->number);
    else
        (void)snprintf(o->url, sizeof(o->url), "%s", url);
}

static int start_one(struct publish *c, struct one *o)
{
    struct td_fail fail = {.code = 0};
    struct td_publish_config config = {
        .kind = c->whip != NULL ? &td_link_whip : &td_link_livekit,
        .link =
            {
                .url = o->url,
                .token = c->whip != NULL ? c->whip_token : c->token,
                .api_key = c->api_key,
                .api_secret = c->api_secret,
                .room = c->room,
                .identity = o->identity,
                .loop = c->control.recorder.loop,
                .control = c->control.recorder.control,
                .certificate = c->control.certificate,
                .transport = &td_ice_nice,
                .log = &c->control.log,
            },
        .pattern = c->pattern,
        .ctx = o,
        .changed = on_changed,
        .ended = on_ended,
    };
    int r = td_publish_new(&config, &fail, &o->publish);
    if (r < 0) {
        fprintf(stderr, "tapedeck: %s\n", fail.text);
        return r == -TD_E_USAGE ? TD_EXIT_USAGE : TD_EXIT_FAILED;
    }
    c->running++;
    return 0;
}

/* The first code that is not 0; what was started before it is stopped by the loop. */
static int start_all(struct publish *c)
{
    for (int64_t i = 0; i < c->count; i++) {
        struct one *o = &c->ones[i];
        o->owner = c;
        o->number = (unsigned)i + 1;
        name_one(c, o);
        int code = start_one(c, o);
        if (code != 0)
            return code;
    }
    return 0;
}

static int run_loop(struct publish *c, enum td_log_level level)
{
    struct td_control_config config = {.log_level = level, .store = false};
    if (td_control_start(&c->control, &config, on_interrupt, c) < 0)
        return TD_EXIT_FAILED;
    int code = start_all(c);
    if (code != 0 && c->running > 0)
        stop_all(c);
    if (c->running > 0) {
        guint timer = g_timeout_add_seconds(STATUS_S, on_second, c);
        int ended = td_control_run(&c->control);
        g_source_remove(timer);
        code = code != 0 ? code : ended;
    }
    end_line(c);
    if (c->json)
        show(c, "ended");
    td_control_stop(&c->control);
    return code;
}

static int check_target(const struct publish *c)
{
    if (c->whip != NULL)
        return strlen(c->whip) + 8 < URL_MAX_BYTES
                   ? 0
                   : td_usage_error(c->command, "the URL is too long.");
    if (c->url == NULL)
        return td_usage_error(c->command, "say where to: --whip URL, or --url and --room.");
    if (strlen(c->url) >= URL_MAX_BYTES)
        return td_usage_error(c->command, "the URL is too long.");
    if (c->token == NULL && (c->api_key == NULL || c->api_secret == NULL))
        return td_usage_error(c->command, "give --token, or --api-key and --api-secret.");
    if (c->token != NULL && c->count > 1)
        return td_usage_error(c->command, "a token is for one publisher; --count needs a key.");
    if (c->room == NULL && c->token == NULL)
        return td_usage_error(c->command, "say which room: --room.");
    return 0;
}

static int run(const struct td_command *command, int argc, char **argv)
{
    struct publish c = {
        .command = command,
        .identity = "publisher",
        .video = "h264",
        .audio = "opus",
        .size = "1280x720",
        .log_level = "warn",
        .fps = 30,
        .bitrate_bps = 2000000,
        .key_interval_us = TD_US_PER_S,
        .loop_us = 10 * TD_US_PER_S,
        .slices = 1,
        .count = 1,
    };
    int err = td_options_parse(command, argc, argv, &c, NULL);
    if (err != 0)
        return err == TD_OPTIONS_HELP ? TD_EXIT_DONE : TD_EXIT_USAGE;
    enum td_log_level level;
    if (td_log_level_parse(c.log_level, &level) < 0)
        return td_usage_error(command, "there is no log level '%s'.", c.log_level);
    int code = check_target(&c);
    if (code != 0)
        return code;
    c.terminal = !c.json && isatty(STDERR_FILENO) == 1;
    code = make_pattern(&c);
    if (code != 0)
        return code;
    c.ones = calloc((size_t)c.count, sizeof(*c.ones));
    if (c.ones == NULL)
        fprintf(stderr, "tapedeck: out of memory.\n");
    code = c.ones != NULL ? run_loop(&c, level) : TD_EXIT_FAILED;
    free(c.ones);
    c.pattern = td_pattern_free(c.pattern);
    return code;
}

const struct td_command td_command_publish = {
    .name = "publish",
    .arguments = "",
    .summary = "publish a flash-and-beep test pattern",
    .details =
        "The pattern is encoded once and then looped; --count publishers share it. When the\n"
        "server is lost, it is asked again until SIGINT or SIGTERM, or --duration, ends it.",
    .options = options,
    .option_count = sizeof(options) / sizeof(*options),
    .run = run,
};
