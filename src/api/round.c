/* SPDX-License-Identifier: Apache-2.0 */
#include "api/round.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

int td_round_init(struct td_round *r, struct td_fs *fs, struct td_catalog *catalog,
                  const char *data_dir)
{
    memset(r, 0, sizeof(*r));
    r->fs = fs;
    r->catalog = catalog;
    r->limit_us = TD_ROUND_US;
    atomic_init(&r->stop, false);
    int n = snprintf(r->data_dir, sizeof(r->data_dir), "%s", data_dir);
    if (n < 0 || (size_t)n >= sizeof(r->data_dir))
        return -ENAMETOOLONG;
    return td_reserve_init(&r->reserve, fs, data_dir);
}

static void free_patterns(struct td_round *r)
{
    for (size_t i = 0; i < r->retention.quota_count; i++)
        free((char *)r->quotas[i].room); /* made by us, and constant to the choice only */
    r->retention.quota_count = 0;
}

void td_round_done(struct td_round *r)
{
    free_patterns(r);
}

static uint64_t positive(int64_t value)
{
    return value > 0 ? (uint64_t)value : 0;
}

int td_round_ask(struct td_round *r, const struct td_config *config)
{
    r->rules = (struct td_headroom_rules){
        .min_free_bytes = positive(config->disk.min_free_bytes),
        .policy = config->disk.policy,
        .on_full = config->disk.on_full,
    };
    r->reserve_bytes = positive(config->disk.reserve_bytes);
    free_patterns(r);
    r->retention = (struct td_retention_rules){
        .max_age_us = config->disk.max_age_us,
        .max_total_bytes = positive(config->disk.max_total_bytes),
        .quotas = r->quotas,
    };
    const struct td_config_quotas *quotas = &config->disk.quotas;
    for (size_t i = 0; i < quotas->count && i < TD_RETENTION_QUOTAS_MAX; i++) {
        const char *room = quotas->items[i].room;
        char *pattern = strdup(room != NULL ? room : "");
        if (pattern == NULL)
            return -ENOMEM;
        r->quotas[r->retention.quota_count++] = (struct td_retention_quota){
            .room = pattern, .max_bytes = positive(quotas->items[i].max_bytes)};
    }
    return 0;
}

/* ---- measuring ---- */

/* Where the media is: a volume of its own may be mounted there. */
static int measure(struct td_round *r)
{
    char path[TD_PATH_MAX];
    struct td_fs_space space;
    int n = snprintf(path, sizeof(path), "%s/recordings", r->data_dir);
    int err = n < 0 || (size_t)n >= sizeof(path) ? -ENOENT : td_fs_space(r->fs, path, &space);
    if (err == -ENOENT) /* nothing was recorded yet */
        err = td_fs_space(r->fs, r->data_dir, &space);
    if (err < 0)
        return err;
    r->space = space;
    r->reserve_error = td_reserve_look(&r->reserve, r->reserve_bytes);
    struct td_headroom_view view = {
        .space = space,
        .reserve_missing_bytes = td_reserve_missing(&r->reserve),
        .was_low = r->low,
    };
    td_headroom_judge(&r->rules, &view, &r->headroom);
    r->low = r->headroom.low;
    r->exhausted = r->exhausted && r->low;
    return 0;
}

/* ---- removing ---- */

static void fail(struct td_round *r, int error)
{
    if (r->failures++ == 0)
        r->failure = error;
}

static uint64_t live_bytes(const struct td_round *r, const char *id)
{
    for (unsigned i = 0; i < r->live_count; i++) {
        if (strcmp(r->live[i].id, id) == 0)
            return r->live[i].bytes;
    }
    return 0;
}

struct gathering {
    const struct td_round *round;
    struct td_retention *retention;
};

static int add_row(void *ctx, const struct td_catalog_row *row)
{
    struct gathering *g = ctx;
    uint64_t live = row->final ? 0 : live_bytes(g->round, row->id);
    struct td_retention_item item = {
        .id = row->id,
        .room = row->room,
        .ended_us = row->ended_us != 0 ? row->ended_us : row->started_us,
        .bytes = row->bytes > live ? row->bytes : live,
        .hold = row->hold,
        .busy = !row->final,
    };
    return td_retention_add(g->retention, &item);
}

/* The row as it is now: it may have been held, or removed, since it was chosen. */
static int find_folder(void *ctx, const struct td_catalog_row *row)
{
    struct td_round_removal *removal = ctx;
    size_t len = strlen(row->folder);
    if (!row->final || row->hold)
        return 0;
    if (len >= sizeof(removal->folder))
        return -TD_E_USAGE;
    memcpy(removal->folder, row->folder, len + 1);
    memcpy(removal->id, row->id, strlen(row->id) + 1);
    return 0;
}

struct forgetting {
    struct td_catalog *catalog;
    const char *id;
};

static int forget_id(void *ctx, const char *folder)
{
    (void)folder;
    struct forgetting *f = ctx;
    int err = td_catalog_delete(f->catalog, f->id);
    return err < 0 ? err : 0; /* somebody else was faster: that is as good */
}

/* True when it is gone. */
static bool remove_one(struct td_round *r, const struct td_retention_choice *choice)
{
    struct td_round_removal *removal = &r->removals[r->removal_count];
    *removal = (struct td_round_removal){.why = choice->why};
    struct td_catalog_query query = {.id = choice->id, .limit = 1};
    int err = td_catalog_each(r->catalog, &query, find_folder, removal);
    if (err >= 0 && removal->id[0] == '\0')
        return false;
    if (err >= 0) {
        struct forgetting forgetting = {.catalog = r->catalog, .id = removal->id};
        err = td_retention_remove(r->fs, r->data_dir, removal->folder, forget_id, &forgetting,
                                  &removal->bytes);
    }
    if (err < 0) {
        fail(r, err);
        r->unswept = true;
        return false;
    }
    r->removal_count++;
    return true;
}

/* False when it was cut short, after one removal at least. */
static bool remove_chosen(struct td_round *r, struct td_retention *retention)
{
    int64_t began_us = td_clock_now_us();
    struct td_retention_choice choice;
    while (!atomic_load(&r->stop) && r->failures < TD_ROUND_FAILURES_MAX &&
           td_retention_next(retention, &choice)) {
        if (!remove_one(r, &choice))
            td_retention_kept(retention);
        else if (r->removal_count == TD_ROUND_REMOVALS_MAX ||
                 td_clock_now_us() - began_us > r->limit_us)
            return false;
    }
    return true;
}

static int retain(struct td_round *r, uint64_t need_bytes, int64_t wall_us)
{
    r->retention.now_us = wall_us;
    r->retention.need_bytes = need_bytes;
    struct td_retention_rules rules = r->retention;
    if (!r->retain) { /* only space is wanted, at any time */
        rules.max_age_us = 0;
        rules.max_total_bytes = 0;
        rules.quota_count = 0;
    }
    struct td_retention *retention = NULL;
    int err = td_retention_new(&rules, &retention);
    if (err < 0)
        return err;
    struct gathering gathering = {.round = r, .retention = retention};
    err = td_catalog_walk(r->catalog, false, add_row, &gathering);
    if (err >= 0) {
        bool through = remove_chosen(r, retention);
        r->more = !through;
        if (need_bytes > 0)
            r->exhausted = through && td_retention_missing(retention) > 0;
    }
    td_retention_free(retention);
    return err < 0 ? err : 0;
}

static bool has_rules(const struct td_retention_rules *rules)
{
    return rules->max_age_us > 0 || rules->max_total_bytes > 0 || rules->quota_count > 0;
}

/* Removes what the rules ask for, and measures what came of it. */
static void clean(struct td_round *r, int64_t now_us, int64_t wall_us)
{
    bool drops = r->error == 0 && r->low && r->rules.policy == TD_POLICY_DROP_OLDEST &&
                 now_us >= r->settled_us;
    uint64_t need_bytes = drops ? r->headroom.missing_bytes : 0;
    if (need_bytes == 0 && !(r->retain && has_rules(&r->retention)))
        return;
    uint64_t before = r->space.free_bytes;
    int err = retain(r, need_bytes, wall_us);
    if (err < 0)
        fail(r, err);
    uint64_t removed = 0;
    for (unsigned i = 0; i < r->removal_count; i++)
        removed += r->removals[i].bytes;
    if (r->removal_count > 0 && r->error == 0)
        r->error = measure(r);
    if (!drops || !r->low)
        return;
    uint64_t came = r->space.free_bytes > before ? r->space.free_bytes - before : 0;
    bool late = came < removed / 2; /* half, for others write meanwhile */
    if (late || r->exhausted) {
        r->settled_us = now_us + TD_ROUND_SETTLE_US;
        r->more = false;
    }
}

static void keep_reserve(struct td_round *r)
{
    bool larger = r->reserve.held > r->reserve.bytes;
    if (r->error == 0 && r->reserve_error == 0 && (r->headroom.make || larger)) {
        int err = td_reserve_make(&r->reserve);
        r->more = r->more || err == TD_RESERVE_MORE;
        r->reserve_error = err < 0 ? err : 0;
    }
    r->reserve_held = r->reserve_bytes == 0 || td_reserve_is_held(&r->reserve);
}

void td_round_run(struct td_round *r, int64_t now_us, int64_t wall_us)
{
    r->more = false;
    r->removal_count = 0;
    r->failures = 0;
    r->failure = 0;
    r->reserve_error = 0;
    r->error = measure(r);
    clean(r, now_us, wall_us);
    if (r->retain && r->unswept) {
        int err = td_round_sweep(r->fs, r->data_dir, r->catalog);
        r->unswept = err < 0;
        if (err < 0)
            fail(r, err);
    }
    keep_reserve(r);
}

/* ---- at start ---- */

struct folder_forgetting {
    struct td_catalog *catalog;
    const char *folder;
    int error;
};

static int forget_row(void *ctx, const struct td_catalog_row *row)
{
    struct folder_forgetting *f = ctx;
    if (strcmp(row->folder, f->folder) != 0)
        return 0;
    int err = td_catalog_delete(f->catalog, row->id);
    f->error = err < 0 ? err : f->error;
    return 0;
}

static int forget_folder(void *ctx, const char *folder)
{
    struct folder_forgetting f = {.catalog = ctx, .folder = folder};
    int err = td_catalog_walk(f.catalog, false, forget_row, &f);
    return err < 0 ? err : f.error;
}

int td_round_sweep(struct td_fs *fs, const char *data_dir, struct td_catalog *catalog)
{
    return td_retention_sweep(fs, data_dir, forget_folder, catalog);
}
