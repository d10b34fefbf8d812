/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo_judge.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "cli/child.h"

#define OUTPUT_MAX (256u << 10)
#define NOT_FOUND 127 /* exit code of a child that could not become the tool */

/* Runs a tool to its end; all that it says. */
static int run(const char *const argv[], int interrupt, struct td_bytes *ret_said,
               struct td_fail *fail)
{
    struct td_child c;
    char line[TD_CHILD_LINE_MAX];
    int64_t until_us = td_clock_now_us() + TD_JUDGE_US;
    int r = td_child_start(argv[0], argv, NULL, &c);
    if (r < 0)
        return td_fail_set(fail, r, "%s cannot be started: %s", argv[0], td_err_text(r));
    do {
        r = td_child_line(&c, interrupt, until_us - td_clock_now_us(), line);
        if (r == 1 && (td_bytes_append(ret_said, line, strlen(line)) < 0 ||
                       td_bytes_append(ret_said, "\n", 1) < 0))
            r = -TD_E_LIMIT;
    } while (r == 1);
    if (r == -TD_E_CLOSED)
        r = td_child_wait(&c, interrupt, until_us - td_clock_now_us()) == 1 ? 0 : -TD_E_TIMEOUT;
    else if (r == 0)
        r = -TD_E_TIMEOUT;
    td_child_end(&c, 0);
    if (r == -EINTR)
        return td_fail_set(fail, r, "interrupted");
    if (r < 0)
        return td_fail_set(fail, r, "%s: %s", argv[0], td_err_text(r));
    if (td_child_code(&c) == NOT_FOUND)
        return td_fail_set(fail, -ENOENT, "%s is not installed", argv[0]);
    return td_child_code(&c);
}

/* The first line of what a tool said. */
static const char *complaint(const struct td_bytes *said, char ret_text[static 160])
{
    size_t len = 0;
    while (len < said->len && len < 159 && said->data[len] != '\n')
        len++;
    memcpy(ret_text, said->len > 0 ? (const char *)said->data : "", len);
    ret_text[len] = '\0';
    return len > 0 ? ret_text : "it says nothing";
}

static void copy(char ret_name[static TD_JUDGE_NAME_MAX], const json_t *text)
{
    const char *name = json_string_value(text);
    (void)snprintf(ret_name, TD_JUDGE_NAME_MAX, "%s", name != NULL ? name : ""); /* may be cut */
}

static int read_report(const struct td_bytes *said, struct td_judge_report *ret_report)
{
    json_t *answer = json_loadb((const char *)said->data, said->len, 0, NULL);
    const json_t *format = json_object_get(answer, "format");
    const json_t *streams = json_object_get(answer, "streams");
    struct td_judge_report report = {.duration_s = 0};
    copy(report.container, json_object_get(format, "format_name"));
    const char *duration = json_string_value(json_object_get(format, "duration"));
    report.duration_s = duration != NULL ? strtod(duration, NULL) : 0;
    for (size_t i = 0; i < json_array_size(streams); i++) {
        const json_t *stream = json_array_get(streams, i);
        const char *type = json_string_value(json_object_get(stream, "codec_type"));
        bool video = type != NULL && strcmp(type, "video") == 0;
        copy(video ? report.video : report.audio, json_object_get(stream, "codec_name"));
        if (video) {
            report.width = (unsigned)json_integer_value(json_object_get(stream, "width"));
            report.height = (unsigned)json_integer_value(json_object_get(stream, "height"));
        }
    }
    json_decref(answer);
    if (report.container[0] == '\0')
        return -TD_E_PARSE;
    *ret_report = report;
    return 0;
}

int td_judge_probe(const char *path, int interrupt, struct td_fail *fail,
                   struct td_judge_report *ret_report)
{
    static const char entries[] =
        "format=format_name,duration:stream=codec_type,codec_name,width,height";
    const char *const argv[] = {"ffprobe", "-v", "fatal", "-show_entries", entries, "-of",
                                "json",    path, NULL};
    char text[160];
    struct td_bytes said;
    td_bytes_init(&said, OUTPUT_MAX, NULL);
    int r = run(argv, interrupt, &said, fail);
    if (r > 0)
        r = td_fail_set(fail, -TD_E_DAMAGED, "ffprobe ended with %d: %s", r,
                        complaint(&said, text));
    else if (r == 0 && read_report(&said, ret_report) < 0)
        r = td_fail_set(fail, -TD_E_DAMAGED, "ffprobe: %s", complaint(&said, text));
    td_bytes_done(&said);
    return r;
}

int td_judge_decode(const char *path, int interrupt, struct td_fail *fail)
{
    const char *const argv[] = {"ffmpeg", "-v", "error", "-nostdin", "-i", path,
                                "-map",   "0",  "-f",    "null",     "-",  NULL};
    char text[160];
    struct td_bytes said;
    td_bytes_init(&said, OUTPUT_MAX, NULL);
    int r = run(argv, interrupt, &said, fail);
    if (r > 0 || (r == 0 && said.len > 0))
        r = td_fail_set(fail, -TD_E_DAMAGED, "ffmpeg ended with %d: %s", r, complaint(&said, text));
    td_bytes_done(&said);
    return r;
}
