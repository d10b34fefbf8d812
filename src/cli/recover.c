/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/recover.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/commands.h"

struct recover {
    bool dry_run;
    bool json;
    const char *runtime_dir;
    unsigned files;
    unsigned failed;
};

static const struct td_option options[] = {
    {.name = "dry-run",
     .type = TD_OPTION_FLAG,
     .offset = offsetof(struct recover, dry_run),
     .help = "say what would be done, write nothing"},
    {.name = "json",
     .type = TD_OPTION_FLAG,
     .offset = offsetof(struct recover, json),
     .help = "one JSON line a file on stdout"},
    {.name = "runtime-dir",
     .type = TD_OPTION_TEXT,
     .argument = "FOLDER",
     .offset = offsetof(struct recover, runtime_dir),
     .help = "where the crash pool of the killed process was"},
};

static void print_json(const struct td_recover_report *report)
{
    json_t *line = json_pack("{s:s, s:s, s:s, s:f, s:I, s:I, s:s}", "path", report->path, "final",
                             report->final, "format", report->format != NULL ? report->format : "",
                             "duration_s", (double)report->scan.duration_us / 1e6, "bytes",
                             (json_int_t)report->bytes_after, "bytes_cut",
                             (json_int_t)report->bytes_cut, "error",
                             report->error != 0 ? td_err_name(report->error) : "");
    char *text = line != NULL ? json_dumps(line, JSON_COMPACT) : NULL;
    if (text != NULL)
        printf("%s\n", text);
    free(text);
    json_decref(line);
}

static void show(void *ctx, const struct td_recover_report *report)
{
    struct recover *r = ctx;
    r->files++;
    r->failed += report->error < 0;
    if (r->json) {
        print_json(report);
        return;
    }
    if (report->error < 0) {
        fprintf(stderr, "tapedeck: %s: %s.\n", report->path,
                report->error == -TD_E_DAMAGED ? "nothing playable is in it; left as it is"
                                               : td_err_text(report->error));
        return;
    }
    uint64_t frames = 0;
    for (unsigned i = 0; i < report->scan.track_count; i++)
        frames += report->scan.tracks[i].frames;
    printf("%s%s: kept %.3f s, %" PRIu64 " frames, %" PRIu64 " bytes; cut %" PRIu64 " bytes\n",
           report->final, r->dry_run ? " (dry run)" : "", (double)report->scan.duration_us / 1e6,
           frames, report->bytes_after, report->bytes_cut);
}

static void show_pool(void *ctx, const char *path, uint64_t bytes)
{
    struct recover *r = ctx;
    if (!r->json)
        printf("%s: %" PRIu64 " bytes from the crash pool\n", path, bytes);
}

static int recover_path(struct recover *r, const char *path)
{
    struct td_fs *fs = td_fs_posix();
    struct td_fs_stat st;
    int err = td_fs_stat_path(fs, path, &st);
    if (err == 0 && st.is_dir)
        return td_recover_folder(fs, path, r->dry_run, show, r);
    if (err < 0)
        return err;
    struct td_recover_report report;
    err = td_recover_file(fs, path, r->dry_run, &report);
    if (err == TD_RECOVER_LOCKED) {
        fprintf(stderr, "tapedeck: %s belongs to a running recorder; left alone.\n", path);
        r->failed++;
    } else if (err == TD_RECOVER_NOTHING) {
        fprintf(stderr, "tapedeck: %s is in no container that tapedeck writes; left alone.\n",
                path);
        r->failed++;
    } else {
        show(r, &report);
    }
    return 0;
}

static int run(const struct td_command *command, int argc, char **argv)
{
    struct recover r = {.dry_run = false};
    struct td_positional paths;
    int err = td_options_parse(command, argc, argv, &r, &paths);
    if (err != 0)
        return err == TD_OPTIONS_HELP ? TD_EXIT_DONE : TD_EXIT_USAGE;
    if (paths.count == 0)
        return td_usage_error(command, "say which files or folders.");
    if (!r.dry_run) {
        err = td_recover_pools(td_fs_posix(), r.runtime_dir, show_pool, &r);
        if (err < 0)
            fprintf(stderr, "tapedeck: the crash pool cannot be read: %s.\n", td_err_text(err));
    }
    for (size_t i = 0; i < paths.count; i++) {
        err = recover_path(&r, paths.items[i]);
        if (err < 0) {
            fprintf(stderr, "tapedeck: %s: %s.\n", paths.items[i], td_err_text(err));
            r.failed++;
        }
    }
    if (r.files == 0 && r.failed == 0 && !r.json)
        printf("nothing to recover\n");
    return r.failed > 0 ? TD_EXIT_FAILED : TD_EXIT_DONE;
}

const struct td_command td_command_recover = {
    .name = "recover",
    .arguments = "PATH...",
    .summary = "repair interrupted files in place",
    .details = "Replays what the crash pool of a killed process still holds, cuts the torn tail,\n"
               "completes the container and gives the file its final name. Folders are searched\n"
               "for growing files. Files of running recorders are left alone.",
    .options = options,
    .option_count = sizeof(options) / sizeof(*options),
    .run = run,
};
