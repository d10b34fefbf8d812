/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/document.h"
#include "base/clock.h"
#include "recorder/layout.h"

void td_progress_init(struct td_progress *p, bool json)
{
    *p = (struct td_progress){.json = json, .terminal = isatty(STDERR_FILENO) == 1};
}

static void print_json(const char *event, const struct td_session *session)
{
    json_t *line = td_document_session(session, false);
    if (line != NULL)
        json_object_set_new(line, "event", json_string(event));
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
    for (unsigned i = 0; i < s.shelf->count; i++) {
        printf("%s  %.3f s  %" PRIu64 " bytes  (", s.shelf->entries[i].file,
               (double)s.shelf->entries[i].duration_ms / 1e3, s.shelf->entries[i].bytes);
        print_name(s.shelf->entries[i].participant);
        printf(")\n");
    }
    if (s.fail->code != 0)
        fprintf(stderr, "tapedeck: %s\n", s.fail->text);
    else if (s.shelf->count == 0)
        fprintf(stderr, "tapedeck: nothing was recorded (%s).\n", s.reason);
}
