/* SPDX-License-Identifier: Apache-2.0 */
/* Prints a whole page of metrics, every row of the table with a number, as GET /metrics would; with
 * --table the rows as docs/metrics.md shows them. Input of check-metrics and of promtool. */
#include <stdio.h>
#include <string.h>

#include "api/exposition.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static int print_table(void)
{
    size_t count;
    const struct td_exposition_row *rows = td_exposition_rows(&count);
    printf("| name | type | labels | unit | meaning |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < count; i++)
        printf("| `%s` | %s | %s | %s | %s |\n", rows[i].name, rows[i].type,
               td_exposition_labels(rows[i].scope), rows[i].unit, rows[i].help);
    return 0;
}

/* Every number of the scope, each another one. */
static void fill(void *snapshot, enum td_exposition_scope scope)
{
    size_t count;
    const struct td_exposition_row *rows = td_exposition_rows(&count);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].scope == scope)
            *(double *)((char *)snapshot + rows[i].offset) = (double)i + 0.5;
    }
}

static int print_page(void)
{
    static const char *const rooms[] = {"standup", "a \"quoted\\room\"\nof two lines \xff",
                                        "B\xc3\xbcro"};
    static const char *const ids[] = {"rec_aaaaaaaaaaaaaaaa", "rec_bbbbbbbbbbbbbbbb",
                                      "rec_cccccccccccccccc"};
    static const struct td_exposition_ended ended[] = {
        {.state = "complete", .reason = "stopped", .count = 4},
        {.state = "failed", .reason = "refused", .count = 1},
    };
    struct td_exposition_recording recordings[COUNT(ids)];
    for (size_t i = 0; i < COUNT(ids); i++) {
        td_exposition_recording_init(&recordings[i]);
        fill(&recordings[i], TD_EXPOSITION_RECORDING);
        recordings[i].id = ids[i];
        recordings[i].room = rooms[i];
        recordings[i].recording = i != 2;
        recordings[i].state = i != 2 ? "recording" : "paused";
        for (size_t k = 0; k < TD_SPOOL_LATENCY_BUCKETS; k++)
            recordings[i].write_latency_counts[k] = (double)k;
    }
    struct td_exposition e = {.recordings = recordings,
                              .recording_count = COUNT(ids),
                              .ended = ended,
                              .ended_count = COUNT(ended)};
    td_exposition_process_init(&e.process);
    fill(&e.process, TD_EXPOSITION_PROCESS);
    e.process.version = TD_VERSION;
    for (size_t i = 0; i < TD_EXPOSITION_HTTP_CLASSES; i++)
        e.process.http_requests[i] = (double)i;
    struct td_bytes text;
    td_bytes_init(&text, TD_EXPOSITION_BYTES_MAX, NULL);
    int err = td_exposition_render(&e, &text);
    if (err == 0 && fwrite(text.data, 1, text.len, stdout) != text.len)
        err = -1;
    td_bytes_done(&text);
    return err == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    int code = argc > 1 && strcmp(argv[1], "--table") == 0 ? print_table() : print_page();
    return fflush(stdout) == 0 ? code : 1;
}
