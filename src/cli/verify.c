/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "cli/examine.h"
#include "media/codec.h"

struct verify {
    bool json;
    bool decode;
};

static const struct td_option options[] = {
    {.name = "json",
     .type = TD_OPTION_FLAG,
     .offset = offsetof(struct verify, json),
     .help = "one JSON line a file on stdout"},
    {.name = "decode",
     .type = TD_OPTION_FLAG,
     .offset = offsetof(struct verify, decode),
     .help = "decode too: picture counters and the skew of flash-and-beep files"},
};

static const char *codec_name(enum td_codec codec)
{
    const struct td_codec_info *info = td_codec_info(codec);
    return info != NULL ? info->name : "unknown";
}

static json_t *tracks_json(const struct td_examine_report *r)
{
    json_t *tracks = json_array();
    for (unsigned i = 0; i < r->scan.track_count; i++) {
        const struct td_scan_track *t = &r->scan.tracks[i];
        const struct td_examine_track *e = &r->tracks[i];
        json_array_append_new(
            tracks, json_pack("{s:s, s:I, s:I, s:f, s:f, s:i, s:i, s:I, s:f, s:I}", "codec",
                              codec_name(t->codec), "frames", (json_int_t)t->frames, "key_frames",
                              (json_int_t)t->key_frames, "first_s", (double)t->first_pts_us / 1e6,
                              "end_s", (double)t->end_pts_us / 1e6, "width", (int)t->width,
                              "height", (int)t->height, "gaps", (json_int_t)e->gaps, "gap_s",
                              (double)e->gap_us / 1e6, "backwards", (json_int_t)e->backwards));
    }
    return tracks;
}

static json_t *skew_json(const struct td_examine_report *r)
{
    const struct td_skew_report *s = &r->skew;
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:i, "
                     "s:i, s:f}",
                     "frames", (json_int_t)s->frames, "readable", (json_int_t)s->readable,
                     "damaged", (json_int_t)s->damaged, "missing", (json_int_t)s->missing,
                     "duplicated", (json_int_t)s->duplicated, "reordered", (json_int_t)s->reordered,
                     "flashes", (json_int_t)s->flashes, "beeps", (json_int_t)s->beeps, "pairs",
                     (json_int_t)s->pairs, "skew_first_ms", (double)s->first_us / 1e3,
                     "skew_median_ms", (double)s->median_us / 1e3, "skew_p95_ms",
                     (double)s->p95_us / 1e3, "skew_max_ms", (double)s->max_us / 1e3,
                     "skew_last_ms", (double)s->last_us / 1e3, "counter_first",
                     (int)r->counter_first, "counter_last", (int)r->counter_last, "counter_last_s",
                     (double)r->counter_last_pts_us / 1e6);
}

static void print_json(const char *path, const struct td_examine_report *r)
{
    json_t *line = json_pack(
        "{s:s, s:s, s:f, s:I, s:I, s:I, s:I, s:b, s:b, s:o}", "path", path, "format", r->format,
        "duration_s", (double)r->scan.duration_us / 1e6, "bytes", (json_int_t)r->scan.bytes,
        "valid_bytes", (json_int_t)r->scan.valid_bytes, "damaged_units",
        (json_int_t)r->scan.damaged_units, "discontinuities", (json_int_t)r->scan.discontinuities,
        "sealed", r->scan.sealed ? 1 : 0, "damaged", r->damaged ? 1 : 0, "tracks", tracks_json(r));
    if (line != NULL && r->decoded) {
        json_object_set_new(line, "decode_errors", json_integer((json_int_t)r->decode_errors));
        json_object_set_new(line, "pattern", skew_json(r));
    }
    char *text = line != NULL ? json_dumps(line, JSON_COMPACT) : NULL;
    if (text != NULL)
        printf("%s\n", text);
    free(text);
    json_decref(line);
}

static void print_pattern(const struct td_examine_report *r)
{
    const struct td_skew_report *s = &r->skew;
    printf("  decoded: %" PRIu64 " pictures, %" PRIu64 " errors", s->frames, r->decode_errors);
    if (s->readable > 0)
        printf("; counters: %" PRIu64 " read, %" PRIu64 " missing, %" PRIu64 " twice", s->readable,
               s->missing, s->duplicated);
    printf("\n");
    if (s->pairs > 0)
        printf("  beep after flash: first %+.1f, median %+.1f, p95 %.1f, max %.1f ms (%" PRIu64
               " pairs)\n",
               (double)s->first_us / 1e3, (double)s->median_us / 1e3, (double)s->p95_us / 1e3,
               (double)s->max_us / 1e3, s->pairs);
}

static void print_text(const char *path, const struct td_examine_report *r)
{
    printf("%s: %s, %s, %.3f s, %" PRIu64 " bytes%s\n", path, r->damaged ? "DAMAGED" : "valid",
           r->format, (double)r->scan.duration_us / 1e6, r->scan.bytes,
           r->scan.sealed ? "" : " (not finished)");
    for (unsigned i = 0; i < r->scan.track_count; i++) {
        const struct td_scan_track *t = &r->scan.tracks[i];
        const struct td_examine_track *e = &r->tracks[i];
        printf("  %s: %" PRIu64 " frames (%" PRIu64 " key), %.3f to %.3f s", codec_name(t->codec),
               t->frames, t->key_frames, (double)t->first_pts_us / 1e6,
               (double)t->end_pts_us / 1e6);
        if (t->width != 0)
            printf(", %ux%u", (unsigned)t->width, (unsigned)t->height);
        if (e->gaps > 0)
            printf(", %" PRIu64 " gaps of %.3f s", e->gaps, (double)e->gap_us / 1e6);
        if (e->backwards > 0)
            printf(", %" PRIu64 " timestamps step back", e->backwards);
        printf("\n");
    }
    if (r->scan.valid_bytes < r->scan.bytes)
        printf("  torn tail: %" PRIu64 " bytes; 'tapedeck recover' repairs it\n",
               r->scan.bytes - r->scan.valid_bytes);
    if (r->scan.damaged_units > 0)
        printf("  damaged units: %" PRIu64 "\n", r->scan.damaged_units);
    if (r->decoded)
        print_pattern(r);
}

static int run(const struct td_command *command, int argc, char **argv)
{
    struct verify v = {.json = false};
    struct td_positional files;
    int err = td_options_parse(command, argc, argv, &v, &files);
    if (err != 0)
        return err == TD_OPTIONS_HELP ? TD_EXIT_DONE : TD_EXIT_USAGE;
    if (files.count == 0)
        return td_usage_error(command, "say which files.");
    int code = TD_EXIT_DONE;
    for (size_t i = 0; i < files.count; i++) {
        struct td_fail fail = {.code = 0};
        struct td_examine_report report;
        if (td_examine(files.items[i], v.decode, &fail, &report) < 0) {
            fprintf(stderr, "tapedeck: %s %s\n", files.items[i], fail.text);
            if (code != TD_EXIT_DAMAGED)
                code = TD_EXIT_FAILED;
            continue;
        }
        if (report.damaged)
            code = TD_EXIT_DAMAGED;
        if (v.json)
            print_json(files.items[i], &report);
        else
            print_text(files.items[i], &report);
    }
    return code;
}

const struct td_command td_command_verify = {
    .name = "verify",
    .arguments = "FILE...",
    .summary = "is it valid? tracks, frames, gaps, timestamps, skew",
    .details =
        "Exit code 5 when a file is damaged: torn, broken units, timestamps that step back,\n"
        "or (with --decode) pictures that do not decode.",
    .options = options,
    .option_count = sizeof(options) / sizeof(*options),
    .run = run,
};
