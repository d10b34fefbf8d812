/* SPDX-License-Identifier: Apache-2.0 */
#include "publisher/publish.h"

#include <assert.h>
#include <errno.h>
#include <glib.h>
#include <stdlib.h>

#include "base/clock.h"

#define WATCH_MS 250

struct td_publish {
    struct td_publish_config config;
    struct td_pump *pump;
    struct td_link *link;
    enum td_publish_state state;
    bool stopping;
    bool over; /* `ended` was told */
    guint watch_timer;
    guint again_timer;
    guint over_source;
    int64_t backoff_us;
    int64_t connected_us;
    uint64_t connections;
    uint64_t losses;
    enum td_link_end how;
    struct td_fail fail;
};

static void clear_source(guint *source)
{
    if (*source != 0)
        g_source_remove(*source);
    *source = 0;
}

static void set_state(struct td_publish *p, enum td_publish_state state)
{
    if (p->state == state)
        return;
    p->state = state;
    if (p->config.changed != NULL)
        p->config.changed(p->config.ctx, p);
}

static void finish(struct td_publish *p)
{
    p->over = true;
    set_state(p, TD_PUBLISH_ENDED);
    p->config.ended(p->config.ctx, p, &p->fail);
}

/* ---- one connection ---- */

/* A receiver that lives reports each second. Its silence is looked into, then taken for its end;
 * one that never reported at all may be of a kind that does not. */
static gboolean on_watch(gpointer data)
{
    struct td_publish *p = data;
    const struct td_pump_status *s = td_pump_status(p->pump);
    bool heard = s->heard_us > p->connected_us;
    int64_t silent_us = td_clock_now_us() - (heard ? s->heard_us : p->connected_us);
    if (silent_us > TD_PUBLISH_DOUBT_US && p->link->ops->doubt != NULL)
        p->link->ops->doubt(p->link);
    if (silent_us > TD_PUBLISH_SILENCE_US && heard && p->link->ops->lose != NULL)
        p->link->ops->lose(p->link);
    return G_SOURCE_CONTINUE;
}

static void on_connected(void *ctx)
{
    struct td_publish *p = ctx;
    p->connections++;
    p->connected_us = td_clock_now_us();
    p->backoff_us = TD_PUBLISH_BACKOFF_US_MIN;
    p->watch_timer = g_timeout_add(WATCH_MS, on_watch, p);
    set_state(p, TD_PUBLISH_SENDING);
}

static gboolean on_again(gpointer data);

static void wait_again(struct td_publish *p)
{
    guint ms = (guint)(p->backoff_us / TD_US_PER_MS);
    p->backoff_us *= 2;
    if (p->backoff_us > TD_PUBLISH_BACKOFF_US_MAX)
        p->backoff_us = TD_PUBLISH_BACKOFF_US_MAX;
    p->again_timer = g_timeout_add(ms, on_again, p);
    set_state(p, TD_PUBLISH_WAITING);
}

/* From the main loop, so that the link is no longer on the stack. */
static gboolean on_over(gpointer data)
{
    struct td_publish *p = data;
    p->over_source = 0;
    p->link = p->link->ops->free(p->link);
    if (!p->stopping && p->how == TD_LINK_LOST && p->connections > 0) {
        td_log_line(p->config.link.log, TD_LOG_WARN, "event=publish_lost identity=%s text=\"%s\"",
                    p->config.link.identity, p->fail.text);
        wait_again(p);
        return G_SOURCE_REMOVE;
    }
    if (p->stopping)
        td_fail_clear(&p->fail);
    finish(p);
    return G_SOURCE_REMOVE;
}

static void on_link_ended(void *ctx, enum td_link_end how, const struct td_fail *fail)
{
    struct td_publish *p = ctx;
    clear_source(&p->watch_timer);
    if (p->state == TD_PUBLISH_SENDING && !p->stopping)
        p->losses++;
    p->how = how;
    p->fail = *fail;
    p->over_source = g_idle_add(on_over, p);
}

static int connect_link(struct td_publish *p, struct td_fail *ret_fail)
{
    struct td_link_events events = {.ctx = p, .connected = on_connected, .ended = on_link_ended};
    int r = td_pump_prepare(p->pump);
    if (r < 0)
        return td_fail_set(ret_fail, r, "No random numbers: %s.", td_err_text(r));
    return p->config.kind->open(&p->config.link, &events, ret_fail, &p->link);
}

static gboolean on_again(gpointer data)
{
    struct td_publish *p = data;
    p->again_timer = 0;
    td_fail_clear(&p->fail);
    if (connect_link(p, &p->fail) < 0) {
        finish(p);
        return G_SOURCE_REMOVE;
    }
    set_state(p, TD_PUBLISH_CONNECTING);
    return G_SOURCE_REMOVE;
}

static gboolean on_stopped_waiting(gpointer data)
{
    struct td_publish *p = data;
    p->over_source = 0;
    td_fail_clear(&p->fail);
    finish(p);
    return G_SOURCE_REMOVE;
}

/* ---- public ---- */

int td_publish_new(const struct td_publish_config *config, struct td_fail *ret_fail,
                   struct td_publish **ret_publish)
{
    struct td_publish *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return td_fail_set(ret_fail, -ENOMEM, "Out of memory.");
    struct td_pump_config pump = {
        .loop = config->link.loop,
        .control = config->link.control,
        .pattern = config->pattern,
    };
    p->config = *config;
    p->backoff_us = TD_PUBLISH_BACKOFF_US_MIN;
    int r = td_pump_new(&pump, &p->pump);
    if (r < 0)
        (void)td_fail_set(ret_fail, r, "No publisher: %s.", td_err_text(r));
    p->config.link.pump = p->pump;
    p->config.link.width = config->pattern->config.width;
    p->config.link.height = config->pattern->config.height;
    p->config.link.channels = config->pattern->config.channels;
    if (r == 0)
        r = connect_link(p, ret_fail);
    if (r < 0) {
        p->over = true;
        (void)td_publish_free(p);
        return r;
    }
    *ret_publish = p;
    return 0;
}

void td_publish_stop(struct td_publish *p)
{
    if (p->stopping || p->over)
        return;
    p->stopping = true;
    clear_source(&p->watch_timer);
    if (p->again_timer != 0) {
        clear_source(&p->again_timer);
        p->over_source = g_idle_add(on_stopped_waiting, p);
    } else if (p->link != NULL && p->over_source == 0) {
        p->link->ops->stop(p->link);
    }
    set_state(p, TD_PUBLISH_ENDING);
}

struct td_publish *td_publish_free(struct td_publish *p)
{
    if (p == NULL)
        return NULL;
    assert(p->over && p->link == NULL);
    clear_source(&p->watch_timer);
    clear_source(&p->again_timer);
    clear_source(&p->over_source);
    p->pump = td_pump_free(p->pump);
    free(p);
    return NULL;
}

void td_publish_status(const struct td_publish *p, struct td_publish_status *ret_status)
{
    *ret_status = (struct td_publish_status){
        .state = p->state,
        .connections = p->connections,
        .losses = p->losses,
        .media = *td_pump_status(p->pump),
        .fail = &p->fail,
    };
}
