/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "cli/commands.h"
#include "cli/demo_judge.h"
#include "cli/demo_stage.h"
#include "cli/examine.h"
#include "recorder/layout.h"

#define CONNECT_US (30 * TD_US_PER_S) /* encoding the pattern included */
#define FIRST_BYTES_US TD_US_PER_S
#define RECORD_S 8
#define AGAIN_S 4
#define STILL_S 2 /* longest time without growth */
#define RETURN_US (10 * TD_US_PER_S)
#define FINISH_US (5 * TD_US_PER_S)
#define LOOK_US (10 * TD_US_PER_MS) /* how often the disk is looked at */
#define LOST_LYING_MS 1000
#define LOST_RECOVERED_MS 100
#define SKEW_US (20 * TD_US_PER_MS)
#define LOOP_S 10 /* of publish's pattern: its counter starts again */

struct file {
    char growing[TD_PATH_MAX];
    char final[TD_PATH_MAX];
    struct td_examine_report report;
};

struct demo {
    bool keep;
    struct td_stage stage;
    struct td_fail fail;
    struct file first;
    struct file second;
    int64_t start_us;
    int64_t grown_us; /* monotonic: the file has bytes */
    int64_t killed_wall_us;
    int64_t restarted_wall_us;
    int64_t lost_lying_ms;
    int64_t lost_recovered_ms;
};

/* ---- small things ---- */

static void heading(const struct demo *d, int number, const char *text)
{
    double at_s = (double)(td_clock_now_us() - d->start_us) / 1e6;
    printf("\n%d. %-66s %6.1f s\n", number, text, at_s);
}

static double mb(uint64_t bytes)
{
    return (double)bytes / 1e6;
}

/* Up to `until_us`, with an ear on the publisher. */
static int listen_until(struct demo *d, int64_t until_us)
{
    int r = 0;
    for (int64_t now = td_clock_now_us(); r == 0 && now < until_us; now = td_clock_now_us())
        r = td_stage_listen(&d->stage, until_us - now, &d->fail);
    return r;
}

/* Waits until `is` holds, looking every LOOK_US. */
static int wait_until(struct demo *d, bool (*is)(struct demo *d), int64_t limit_us,
                      const char *what)
{
    int64_t until_us = td_clock_now_us() + limit_us;
    while (!is(d)) {
        if (td_clock_now_us() > until_us)
            return td_fail_set(&d->fail, -TD_E_TIMEOUT, "waited %.0f s for %s",
                               (double)limit_us / 1e6, what);
        int r = td_stage_listen(&d->stage, LOOK_US, &d->fail);
        if (r < 0)
            return r;
    }
    return 0;
}

static bool is_connected(struct demo *d)
{
    return d->stage.connections > 0;
}

static bool finds(struct demo *d, struct file *file)
{
    return td_stage_growing(&d->stage, file->growing) && td_stage_size(file->growing) > 0 &&
           td_layout_is_growing(file->growing, file->final) == 1;
}

static bool first_grows(struct demo *d)
{
    return finds(d, &d->first);
}

static bool second_grows(struct demo *d)
{
    return finds(d, &d->second);
}

static bool is_back(struct demo *d)
{
    return d->stage.connections > 1 && second_grows(d);
}

static bool first_is_finished(struct demo *d)
{
    return td_stage_size(d->first.final) > 0 && td_stage_size(d->first.growing) == 0;
}

static bool second_is_finished(struct demo *d)
{
    return td_stage_size(d->second.final) > 0 && td_stage_size(d->second.growing) == 0;
}

/* The folder is named above; a file is shown from its recording's folder on. */
static const char *shown(const struct demo *d, const char *path)
{
    size_t skip = strlen(d->stage.data) + strlen("/recordings/");
    return strlen(path) > skip ? path + skip : path;
}

/* ---- the acts ---- */

static int act_daemon(struct demo *d)
{
    heading(d, 1, "The daemon starts");
    int r = td_stage_daemon(&d->stage, &d->fail);
    if (r < 0)
        return r;
    printf("   tapedeck serve on http://127.0.0.1:%u, %.1f MB of memory\n", d->stage.port,
           mb(td_stage_memory(d->stage.daemon.pid)));
    return 0;
}

static int act_publisher(struct demo *d)
{
    heading(d, 2, "A publisher comes by WHIP");
    printf("   720p at 30 fps, H.264 at 2 Mbit/s and Opus. Every picture carries its\n"
           "   number; each second it flashes and beeps. Encoding the pattern ...\n");
    int r = td_stage_publisher(&d->stage, &d->fail);
    if (r == 0)
        r = wait_until(d, is_connected, CONNECT_US, "the publisher to connect");
    if (r < 0)
        return r;
    /* What came late was looked at late: the clock starts with the publisher's own word. */
    int64_t spent_us = td_clock_wall_us() - d->stage.connected_wall_us;
    r = wait_until(d, first_grows, FIRST_BYTES_US - spent_us, "bytes on disk, once connected");
    if (r < 0)
        return r;
    d->grown_us = td_clock_now_us();
    printf("   Connected; %.0f ms later the first bytes are on disk, in\n   %s\n",
           (double)(td_clock_wall_us() - d->stage.connected_wall_us) / 1e3,
           shown(d, d->first.growing));
    return 0;
}

static void table_head(void)
{
    printf("   second      on disk       growth   memory of the daemon\n");
}

static int table(struct demo *d, const char *path, int64_t begin_us, int seconds)
{
    uint64_t sizes[STILL_S + 1] = {0};
    for (int second = 1; second <= seconds; second++) {
        int r = listen_until(d, begin_us + second * TD_US_PER_S);
        if (r < 0)
            return r;
        memmove(sizes, sizes + 1, STILL_S * sizeof(sizes[0]));
        sizes[STILL_S] = td_stage_size(path);
        printf("   %6d %9.2f MB %+9.2f MB %12.1f MB\n", second, mb(sizes[STILL_S]),
               mb(sizes[STILL_S] - sizes[STILL_S - 1]), mb(td_stage_memory(d->stage.daemon.pid)));
        if (sizes[STILL_S] <= sizes[0])
            return td_fail_set(&d->fail, -TD_E_STATE, "the file did not grow for %d s", STILL_S);
    }
    return 0;
}

static int act_record(struct demo *d)
{
    heading(d, 3, "It records");
    table_head();
    return table(d, d->first.growing, d->grown_us, RECORD_S);
}

/* Milliseconds of pictures that were sent before the kill and are not in the file. Frame n is sent
 * at start + n / fps; one that was due just then counts as sent, so this is the most it can be. */
static int64_t lost_ms(const struct demo *d, const struct td_examine_report *report)
{
    int64_t fps = d->stage.fps;
    int64_t loop = fps * LOOP_S;
    int64_t sent = (d->killed_wall_us - d->stage.start_wall_us) * fps / TD_US_PER_S;
    int64_t behind = ((sent - report->counter_last) % loop + loop) % loop;
    if (behind > loop / 2)
        behind -= loop; /* one more than was reckoned with */
    return behind > 0 ? behind * 1000 / fps : 0;
}

static int measure(struct demo *d, const char *path, struct td_examine_report *ret_report,
                   int64_t *ret_lost_ms)
{
    int r = td_examine(path, true, &d->fail, ret_report);
    if (r < 0)
        return r;
    if (ret_report->counter_last == TD_INSPECT_UNREADABLE || d->stage.start_wall_us == 0)
        return td_fail_set(&d->fail, -TD_E_DAMAGED, "no picture's number can be read");
    *ret_lost_ms = lost_ms(d, ret_report);
    return 0;
}

static int show_probe(struct demo *d, const char *path)
{
    struct td_judge_report probe;
    int r = td_judge_probe(path, d->stage.signals, &d->fail, &probe);
    if (r < 0)
        return r;
    printf("   ffprobe: %s, %.2f s, %s %ux%u, %s\n", probe.container, probe.duration_s, probe.video,
           probe.width, probe.height, probe.audio);
    if (strcmp(probe.video, "h264") != 0 || strcmp(probe.audio, "opus") != 0 ||
        probe.duration_s < RECORD_S - 1)
        return td_fail_set(&d->fail, -TD_E_DAMAGED, "ffprobe does not see the whole recording");
    return 0;
}

static int show_lost(struct demo *d, int64_t lost, int64_t limit)
{
    printf("   Lost of what the publisher had sent: %" PRId64 " ms (promised: at most %" PRId64
           " ms)\n",
           lost, limit);
    if (lost > limit)
        return td_fail_set(&d->fail, -TD_E_STATE, "%" PRId64 " ms lost, %" PRId64 " promised", lost,
                           limit);
    return 0;
}

static int act_kill(struct demo *d)
{
    heading(d, 4, "kill -9");
    uint16_t chance = 0;
    int r = td_random_bytes(&chance, sizeof(chance));
    if (r < 0)
        return td_fail_set(&d->fail, r, "no chance: %s", td_err_text(r));
    r = listen_until(d, d->grown_us + RECORD_S * TD_US_PER_S + chance % 1000 * TD_US_PER_MS);
    if (r < 0)
        return r;
    int64_t at_us = td_clock_now_us() - d->grown_us;
    d->killed_wall_us = td_clock_wall_us();
    td_child_signal(&d->stage.daemon, SIGKILL);
    if (td_child_wait(&d->stage.daemon, -1, FINISH_US) != 1)
        return td_fail_set(&d->fail, -TD_E_TIMEOUT, "the daemon outlived SIGKILL");
    td_child_end(&d->stage.daemon, 0);
    printf("   after %.3f s, an instant left to chance. The file as it lies:\n",
           (double)at_us / 1e6);
    r = show_probe(d, d->first.growing);
    if (r == 0)
        r = measure(d, d->first.growing, &d->first.report, &d->lost_lying_ms);
    return r < 0 ? r : show_lost(d, d->lost_lying_ms, LOST_LYING_MS);
}

static int act_recover(struct demo *d)
{
    heading(d, 5, "The daemon starts again, and recovers what it finds");
    d->restarted_wall_us = td_clock_wall_us();
    int r = td_stage_daemon(&d->stage, &d->fail);
    if (r == 0)
        r = wait_until(d, first_is_finished, FINISH_US, "the file to be recovered");
    if (r < 0)
        return r;
    printf("   %s\n", shown(d, d->first.final));
    r = show_probe(d, d->first.final);
    if (r == 0)
        r = measure(d, d->first.final, &d->first.report, &d->lost_recovered_ms);
    return r < 0 ? r : show_lost(d, d->lost_recovered_ms, LOST_RECOVERED_MS);
}

static int act_return(struct demo *d)
{
    heading(d, 6, "The publisher comes back by itself");
    int r = wait_until(d, is_back, RETURN_US, "the publisher to come back");
    if (r < 0)
        return r;
    printf("   Connected %.1f s after the restart; now it grows in\n   %s\n",
           (double)(d->stage.connected_wall_us - d->restarted_wall_us) / 1e6,
           shown(d, d->second.growing));
    table_head();
    r = table(d, d->second.growing, td_clock_now_us(), AGAIN_S);
    if (r == 0)
        r = td_stage_dismiss(&d->stage, &d->stage.publisher, &d->fail);
    if (r == 0)
        r = wait_until(d, second_is_finished, FINISH_US, "the second file to be finished");
    if (r == 0)
        r = td_stage_dismiss(&d->stage, &d->stage.daemon, &d->fail);
    if (r == 0)
        printf("   The publisher leaves, the file gets its name; SIGINT ends the daemon.\n");
    return r;
}

static int judge(struct demo *d, struct file *file)
{
    const struct td_skew_report *skew = &file->report.skew;
    int r = td_examine(file->final, true, &d->fail, &file->report);
    if (r < 0)
        return r;
    if (file->report.damaged || file->report.decode_errors > 0 || skew->readable != skew->frames)
        return td_fail_set(&d->fail, -TD_E_DAMAGED, "%s is damaged", shown(d, file->final));
    if (skew->missing > 0 || skew->duplicated > 0 || skew->reordered > 0)
        return td_fail_set(&d->fail, -TD_E_DAMAGED, "%" PRIu64 " pictures are missing in %s",
                           skew->missing, shown(d, file->final));
    if (skew->pairs < 2 || skew->p95_us > SKEW_US)
        return td_fail_set(&d->fail, -TD_E_DAMAGED, "sound and picture are %.1f ms apart in %s",
                           (double)skew->p95_us / 1e3, shown(d, file->final));
    return td_judge_decode(file->final, d->stage.signals, &d->fail);
}

static void row_number(const char *name, uint64_t first, uint64_t second)
{
    printf("   %-32s %14" PRIu64 " %14" PRIu64 "\n", name, first, second);
}

static void row_decimal(const char *name, int digits, double first, double second)
{
    printf("   %-32s %14.*f %14.*f\n", name, digits, first, digits, second);
}

static int act_judge(struct demo *d)
{
    heading(d, 7, "Both files, looked at picture by picture");
    int r = judge(d, &d->first);
    if (r == 0)
        r = judge(d, &d->second);
    if (r < 0)
        return r;
    const struct td_examine_report *a = &d->first.report;
    const struct td_examine_report *b = &d->second.report;
    printf("   %-32s %14s %14s\n", "", "killed", "after it");
    row_decimal("seconds", 2, (double)a->scan.duration_us / 1e6, (double)b->scan.duration_us / 1e6);
    row_decimal("MB", 2, mb(a->scan.bytes), mb(b->scan.bytes));
    row_number("pictures decoded", a->skew.frames, b->skew.frames);
    row_number("numbers missing between them", a->skew.missing, b->skew.missing);
    row_number("decode errors", a->decode_errors, b->decode_errors);
    row_number("beeps with their flash", a->skew.pairs, b->skew.pairs);
    row_decimal("apart, 95th percentile, ms", 2, (double)a->skew.p95_us / 1e3,
                (double)b->skew.p95_us / 1e3);
    printf("   %-32s %14s %14s\n", "ffmpeg -v error", "silent", "silent");
    return 0;
}

/* ---- the tour ---- */

static void show_last_words(const struct demo *d, const char *name)
{
    char text[1024];
    td_stage_last_words(&d->stage, name, text, sizeof(text));
    if (text[0] != '\0')
        printf("\ntapedeck %s said last:\n%s", name, text);
}

static int tour(struct demo *d)
{
    static int (*const acts[])(struct demo * d) = {
        act_daemon, act_publisher, act_record, act_kill, act_recover, act_return, act_judge,
    };
    int r = td_stage_open(&d->stage, &d->fail);
    if (r < 0)
        return r;
    printf("tapedeck demo: a recording that is killed, and what is left of it.\n"
           "All of it happens on 127.0.0.1 and in %s\n",
           d->stage.folder);
    for (size_t i = 0; r == 0 && i < sizeof(acts) / sizeof(acts[0]); i++)
        r = acts[i](d);
    return r;
}

static int run(const struct td_command *command, int argc, char **argv)
{
    struct demo d = {.keep = false};
    int err = td_options_parse(command, argc, argv, &d, NULL);
    if (err != 0)
        return err == TD_OPTIONS_HELP ? TD_EXIT_DONE : TD_EXIT_USAGE;
    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* at worst the lines come in bursts */
    d.start_us = td_clock_now_us();
    int r = tour(&d);
    if (r < 0 && r != -EINTR) {
        show_last_words(&d, "serve");
        show_last_words(&d, "publish");
    }
    td_stage_close(&d.stage, d.keep);
    if (d.keep && d.stage.folder[0] != '\0')
        printf("\nKept: %s\n", d.stage.folder);
    double seconds = (double)(td_clock_now_us() - d.start_us) / 1e6;
    if (r < 0) {
        printf("\ndemo: FAILED: %s\n", d.fail.code != 0 ? d.fail.text : td_err_text(r));
        return TD_EXIT_FAILED;
    }
    printf("\ndemo: PASSED in %.0f s: kill -9 cost %" PRId64 " ms as the file lay, %" PRId64
           " ms once recovered.\n",
           seconds, d.lost_lying_ms, d.lost_recovered_ms);
    return TD_EXIT_DONE;
}

static const struct td_option options[] = {
    {.name = "keep",
     .type = TD_OPTION_FLAG,
     .offset = offsetof(struct demo, keep),
     .help = "leave the files where they are"},
};

const struct td_command td_command_demo = {
    .name = "demo",
    .arguments = "",
    .summary = "record a test source, kill the recorder, recover the file",
    .details = "Needs no server and no network. Ends with one line, 'demo: PASSED …' or\n"
               "'demo: FAILED: reason', and with exit code 0 or 1.",
    .options = options,
    .option_count = sizeof(options) / sizeof(*options),
    .run = run,
};
