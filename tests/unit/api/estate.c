/* SPDX-License-Identifier: Apache-2.0 */
#include "estate.h"

#include <glib-unix.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "recorder/layout.h"

static gboolean on_mail(gint fd, GIOCondition condition, gpointer data)
{
    (void)fd;
    (void)condition;
    (void)td_mailbox_drain(data);
    return G_SOURCE_CONTINUE;
}

static void set_text(char **place, const char *text)
{
    free(*place);
    *place = strdup(text);
    assert_non_null(*place);
}

void estate_open(struct estate *e)
{
    memset(e, 0, sizeof(*e));
    shelf_init(&e->shelf);
    shelf_open(&e->shelf);
    td_log_init(&e->log, -1, TD_LOG_ERROR);
    assert_int_equal(td_certificate_new(&e->certificate), 0);
    assert_int_equal(td_config_init(&e->config), 0);
    set_text(&e->config.data_dir, e->shelf.f.disk);
    set_text(&e->config.ws_url, "ws://127.0.0.1:1"); /* nobody listens there */
    set_text(&e->config.api_key, "key");
    set_text(&e->config.api_secret, "secret-that-is-long-enough-for-us");
}

void estate_close(struct estate *e)
{
    if (e->recordings != NULL)
        estate_stop(e, false);
    e->certificate = td_certificate_free(e->certificate);
    td_config_done(&e->config);
    while (g_main_context_iteration(NULL, FALSE))
        continue;
    shelf_done(&e->shelf);
}

static void on_changed(void *ctx, struct td_recording *recording, json_t *doc, bool final)
{
    struct estate *e = ctx;
    size_t len = strlen(e->heard);
    int n = snprintf(e->heard + len, sizeof(e->heard) - len, "%s%s=%s%s", len > 0 ? " " : "",
                     td_recording_id(recording), json_string_value(json_object_get(doc, "state")),
                     final ? "!" : "");
    assert_true(n > 0 && (size_t)n < sizeof(e->heard) - len);
}

static void on_recovered(void *ctx)
{
    ((struct estate *)ctx)->recovered = true;
}

static bool awaits(const void *ctx, const char *room)
{
    const struct estate *e = ctx;
    return e->recovery != NULL && td_recovery_awaits(e->recovery, room);
}

static void make_recorder(struct estate *e)
{
    fixture_store(&e->shelf.f, 64, -1);
    td_budget_init(&e->budget, NULL, 0);
    e->recorder = (struct td_recorder){
        .fs = td_fs_posix(), .store = e->shelf.f.store, .log = &e->log, .budget = &e->budget};
    assert_int_equal(td_mailbox_new(4096, &e->recorder.control), 0);
    assert_int_equal(td_loop_new("media", &e->recorder.loop), 0);
    e->mailbox_source =
        g_unix_fd_add(td_mailbox_fd(e->recorder.control), G_IO_IN, on_mail, e->recorder.control);
}

void estate_start(struct estate *e, bool recovers)
{
    make_recorder(e);
    struct td_recordings_config recordings = {.recorder = &e->recorder,
                                              .certificate = e->certificate,
                                              .config = &e->config,
                                              .catalog = e->shelf.catalog};
    assert_int_equal(td_recordings_new(&recordings, &e->recordings), 0);
    struct td_recordings_observer observer = {.ctx = e, .changed = on_changed};
    td_recordings_observe(e->recordings, &observer);
    td_recordings_await(e->recordings, awaits, e);
    e->recovered = false;
    e->heard[0] = '\0';
    if (!recovers)
        return;
    struct td_recovery_config recovery = {.recorder = &e->recorder,
                                          .config = &e->config,
                                          .catalog = e->shelf.catalog,
                                          .recordings = e->recordings,
                                          .replayed = true,
                                          .done = on_recovered,
                                          .ctx = e};
    assert_int_equal(td_recovery_start(&recovery, &e->recovery), 0);
}

static void on_all_ended(void *ctx)
{
    *(bool *)ctx = true;
}

void estate_stop(struct estate *e, bool leaves)
{
    estate_let_go(e);
    e->all_ended = false;
    td_recordings_stop_all(e->recordings, "shutdown", leaves, on_all_ended, &e->all_ended);
    e->recovery = td_recovery_free(e->recovery);
    ESTATE_UNTIL(e->all_ended);
    e->recordings = td_recordings_free(e->recordings);
    e->recorder.loop = td_loop_free(e->recorder.loop);
    fixture_store_done(&e->shelf.f);
    (void)td_mailbox_drain(e->recorder.control);
    assert_true(g_source_remove(e->mailbox_source));
    e->recorder.control = td_mailbox_free(e->recorder.control);
    td_budget_done(&e->budget);
}

static void set_id(void *ctx, struct td_manifest *m)
{
    TD_MANIFEST_SET(m->id, (const char *)ctx);
}

void estate_relic(struct estate *e, enum relic_kind kind, unsigned n, char ret_id[TD_ID_MAX],
                  char ret_folder[TD_PATH_MAX])
{
    (void)snprintf(ret_id, TD_ID_MAX, "rec_%u", n);
    int r = td_layout_path(ret_folder, "%s/recordings/my_room_20261121T09300%uZ_%s",
                           e->shelf.f.disk, n, ret_id);
    assert_int_equal(r, 0);
    relic_put(kind, ret_folder, 50);
    relic_change(ret_folder, set_id, ret_id);
}

void estate_row(struct estate *e, const char *id, const char *folder, const char *room,
                const char *state)
{
    json_t *doc = json_pack("{s:s,s:s,s:s,s:s,s:s,s:[{s:s,s:i}]}", "id", id, "room", room, "state",
                            state, "reason", "", "folder", td_layout_name(folder), "outputs",
                            "name", "alice.recording.ts", "bytes", 1234);
    char *text = json_dumps(doc, 0);
    struct td_catalog_row row = {
        .id = id,
        .room = room,
        .state = state,
        .source = "livekit",
        .folder = td_layout_name(folder),
        .doc = text,
        .request = "{\"source\":\"livekit\",\"room\":\"my room\"}",
        .started_us = INT64_C(1795253400000000),
    };
    assert_int_equal(td_catalog_put(e->shelf.catalog, &row, NULL, 0), 0);
    free(text);
    json_decref(doc);
}

const char *estate_column(struct estate *e, const char *id, const char *column)
{
    char sql[256];
    (void)snprintf(sql, sizeof(sql),
                   "SELECT coalesce((SELECT %s FROM recordings WHERE id = '%s'), '')", column, id);
    return sql_text(e->shelf.path, sql);
}

unsigned estate_rows(struct estate *e)
{
    return (unsigned)sql_number(e->shelf.path, "SELECT count(*) FROM recordings");
}

const char *estate_doc(struct estate *e, const char *id, const char *key)
{
    static char text[1024];
    json_t *doc = json_loads(estate_column(e, id, "doc"), 0, NULL);
    const char *value = json_string_value(json_object_get(doc, key));
    (void)snprintf(text, sizeof(text), "%s", value != NULL ? value : "(none)");
    json_decref(doc);
    return text;
}

static int hold_up(void *arg)
{
    struct estate *e = arg;
    atomic_store(&e->held, true);
    int64_t until_us = td_clock_now_us() + ESTATE_WAIT_US;
    while (!atomic_load(&e->may_go) && td_clock_now_us() < until_us)
        g_usleep(500);
    return 0;
}

void estate_hold(struct estate *e)
{
    atomic_store(&e->may_go, false);
    atomic_store(&e->held, false);
    assert_int_equal(td_catalog_post(e->recorder.store, hold_up, e, NULL, NULL, NULL), 0);
    int64_t until_us = td_clock_now_us() + ESTATE_WAIT_US;
    while (!atomic_load(&e->held))
        assert_true(td_clock_now_us() < until_us);
}

void estate_let_go(struct estate *e)
{
    atomic_store(&e->may_go, true);
}
