/* SPDX-License-Identifier: Apache-2.0 */
#include "relic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "puppet.h"
#include "recorder/layout.h"

static struct relic relics[RELIC_MAX];

const struct relic *relic_of(enum relic_kind kind)
{
    return &relics[kind];
}

const char *relic_path(const char *folder, const char *name, char ret_path[TD_PATH_MAX])
{
    assert_int_equal(td_layout_path(ret_path, "%s/%s", folder, name), 0);
    return ret_path;
}

struct taking {
    struct relic *relic;
    const char *folder;
};

static int take_file(void *ctx, const char *name)
{
    struct taking *taking = ctx;
    char path[TD_PATH_MAX];
    assert_true(taking->relic->count < RELIC_FILES_MAX);
    struct relic_file *file = &taking->relic->files[taking->relic->count++];
    (void)snprintf(file->name, sizeof(file->name), "%s", name);
    file->bytes = file_read(relic_path(taking->folder, name, path), &file->len);
    return 0;
}

/* Whether manifest.json names `parts` growing parts by now. */
static bool is_listed(const char *folder, unsigned parts)
{
    char path[TD_PATH_MAX];
    struct td_manifest m;
    size_t len = 0;
    char *text = NULL;
    if (td_fs_slurp(td_fs_posix(), relic_path(folder, "manifest.json", path), 1u << 20, &text,
                    &len) < 0)
        return false;
    assert_int_equal(td_manifest_read(text, len, &m), 0);
    free(text);
    unsigned found = 0;
    for (size_t i = 0; i < m.output_count; i++)
        found += m.outputs[i].part_count > 0;
    bool begun = strcmp(m.state, parts > 0 ? "recording" : "waiting") == 0;
    td_manifest_done(&m);
    return begun && found == parts;
}

static void play(struct puppet *p, enum relic_kind kind)
{
    if (kind == RELIC_TS || kind == RELIC_BOTH)
        puppet_enter(p, "alice", TD_CODEC_H264);
    else
        puppet_enter(p, "alice", TD_CODEC_VP8);
    if (kind == RELIC_EMPTY)
        return;
    puppet_play(p, 1, 2, -RELIC_MS, 0, true);
    if (kind != RELIC_BOTH)
        return;
    puppet_track(p, 3, "bob", TD_CODEC_OPUS);
    puppet_track(p, 4, "bob", TD_CODEC_VP8);
    puppet_play(p, 3, 4, -RELIC_MS, 0, true);
}

static void make(enum relic_kind kind)
{
    static struct puppet p;
    puppet_open(&p);
    struct td_session_config config = puppet_config(&p);
    config.request = "{\"source\":\"livekit\",\"room\":\"my room\",\"hold\":false}";
    config.source = "livekit";
    puppet_begin(&p, &config);
    play(&p, kind);
    unsigned parts = kind == RELIC_BOTH ? 2 : kind == RELIC_EMPTY ? 0 : 1;
    puppet_wait_frames(&p, parts * RELIC_MS * 75 / 1000);
    const struct td_capture_stats *stats = puppet_status(&p).stats;
    PUPPET_WAIT(&p, is_listed(p.folder, parts) && stats->written_bytes >= stats->bytes);
    struct taking taking = {.relic = &relics[kind], .folder = p.folder};
    assert_int_equal(td_fs_list(td_fs_posix(), p.folder, take_file, &taking), 0);
    puppet_stop(&p);
    puppet_close(&p);
}

int relics_make(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < RELIC_MAX; kind++)
        make((enum relic_kind)kind);
    return 0;
}

int relics_drop(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < RELIC_MAX; kind++) {
        for (unsigned i = 0; i < relics[kind].count; i++)
            free(relics[kind].files[i].bytes);
        relics[kind].count = 0;
    }
    return 0;
}

void relic_put(enum relic_kind kind, const char *folder, size_t cut)
{
    char path[TD_PATH_MAX];
    assert_int_equal(td_fs_mkdirs(td_fs_posix(), folder, 0700), 0);
    for (unsigned i = 0; i < relics[kind].count; i++) {
        const struct relic_file *file = &relics[kind].files[i];
        bool growing = strstr(file->name, ".recording.") != NULL &&
                       strstr(file->name, ".idx") == NULL;
        assert_true(!growing || file->len > cut);
        file_write(relic_path(folder, file->name, path), file->bytes,
                   growing ? file->len - cut : file->len);
    }
}

void relic_manifest(const char *folder, struct td_manifest *ret_manifest)
{
    char path[TD_PATH_MAX];
    size_t len = 0;
    char *text = file_read(relic_path(folder, "manifest.json", path), &len);
    assert_int_equal(td_manifest_read(text, len, ret_manifest), 0);
    free(text);
}

void relic_change(const char *folder, void (*change)(void *ctx, struct td_manifest *m), void *ctx)
{
    char path[TD_PATH_MAX];
    struct td_manifest m;
    char *text = NULL;
    size_t len = 0;
    relic_manifest(folder, &m);
    change(ctx, &m);
    assert_int_equal(td_manifest_write(&m, &text, &len), 0);
    assert_int_equal(
        td_fs_replace(td_fs_posix(), relic_path(folder, "manifest.json", path), text, len), 0);
    free(text);
    td_manifest_done(&m);
}

unsigned relic_lines(const char *folder, const char *text)
{
    char path[TD_PATH_MAX];
    size_t len = 0;
    if (!file_exists(relic_path(folder, "timeline.jsonl", path)))
        return 0;
    char *lines = file_read(path, &len);
    unsigned count = puppet_count_lines(lines, text);
    free(lines);
    return count;
}
