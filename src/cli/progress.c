/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "recorder/layout.h"

void td_progress_init(struct td_progress *p, bool json)
{
    *p = (struct td_progress){.json = json, .terminal = isatty(STDERR_FILENO) == 1};
}

static json_t *outputs_json(const struct td_session_status *s)
{
    json_t *outputs = json_array();
    for (unsigned i = 0; i < s->output_count; i++) {
        const struct td_session_output *o = &s->outputs[i];
        json_array_append_new(
            outputs, json_pack("{s:s, s:s, s:I, s:I, s:b}", "file", o->file, "participant",
                               o->participant, "bytes", (json_int_t)o->bytes, "duration_ms",
                               (json_int_t)o->duration_ms, "growing", o->growing ? 1 : 0));
    }
    return outputs;
}

static void print_json(const char *event, const struct td_session *session)
{
    struct td_session_status s;
    td_session_status(session, &s);
    json_t *line = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "event", event, "id",
        s.id, "room", s.room, "state", td_session_state_name(s.state), "reason", s.reason,
        "outputs", outputs_json(&s), "pts_ms", (json_int_t)(s.stats->pts_us / TD_US_PER_MS),
        "frames", (json_int_t)s.stats->frames, "bytes", (json_int_t)s.stats->bytes, "lost",
        (json_int_t)s.stats->lost, "recovered", (json_int_t)s.stats->recovered, "dropped",
        (json_int_t)s.stats->dropped, "memory_bytes", (json_int_t)s.memory_bytes);
    if (line != NULL && s.fail->code != 0)
        json_object_set_new(line, "error", json_string(s.fail->text));
    char *text = line != NULL ? json_dumps(line, JSON_COMPACT) : NULL;
    if (text != NULL) {
        printf("%s\n", text);
        (void)fflush(stdout);
    }
    free(text);
    json_decref(line);
}

static void print_line(struct td_progress *p, const struct td_session *session)
{
    struct td_session_status s;
    td_session_status(session, &s);
    int64_t seconds = s.stats->pts_us / TD_US_PER_S;
    fprintf(stderr,
            "\r\033[K%s %02" PRId64 ":%02" PRId64 ":%02" PRId64 "  %.2f MB  lost %" PRIu64
            "  recovered %" PRIu64 "  skew %+.1f ms",
            td_session_state_name(s.state), seconds / 3600, seconds / 60 % 60, seconds % 60,
            (double)s.stats->bytes / 1e6, s.stats->lost, s.stats->recovered,
            (double)s.stats->skew_us / 1e3);
    (void)fflush(stderr);
    p->line_open = true;
}

static void end_line(struct td_progress *p)
{
    if (p->line_open)
        fprintf(stderr, "\n");
    p->line_open = false;
}

void td_progress_changed(struct td_progress *p, const struct td_session *session)
{
    if (p->json)
        print_json("changed", session);
    else if (p->terminal)
        print_line(p, session);
}

void td_progress_tick(struct td_progress *p, const struct td_session *session, int64_t now_us)
{
    if (now_us - p->last_us < TD_US_PER_S)
        return;
    p->last_us = now_us;
    if (p->json)
        print_json("status", session);
    else if (p->terminal)
        print_line(p, session);
}

/* A name from the network must not steer the terminal. */
static void print_name(const char *name)
{
    for (const char *p = name; *p != '\0'; p++)
        putchar((unsigned char)*p < ' ' || *p == 0x7f ? '?' : *p);
}

void td_progress_ended(struct td_progress *p, const struct td_session *session)
{
    end_line(p);
    if (p->json) {
        print_json("ended", session);
        return;
    }
    struct td_session_status s;
    td_session_status(session, &s);
    for (unsigned i = 0; i < s.output_count; i++) {
        printf("%s  %.3f s  %" PRIu64 " bytes  (", s.outputs[i].file,
               (double)s.outputs[i].duration_ms / 1e3, s.outputs[i].bytes);
        print_name(s.outputs[i].participant);
        printf(")\n");
    }
    if (s.fail->code != 0)
        fprintf(stderr, "tapedeck: %s\n", s.fail->text);
    else if (s.output_count == 0)
        fprintf(stderr, "tapedeck: nothing was recorded (%s).\n", s.reason);
}
