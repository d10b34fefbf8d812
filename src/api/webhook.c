/* SPDX-License-Identifier: Apache-2.0 */
#include "api/webhook.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/delivery.h"
#include "api/letter.h"
#include "api/letterbook.h"
#include "api/mailbag.h"
#include "auth/signature.h"
#include "base/clock.h"

#define WAIT_US_MIN TD_US_PER_S
#define WAIT_US_MAX (60 * TD_US_PER_S) /* the wall clock may be set */
#define WARN_EVERY_US (10 * TD_US_PER_S)
#define HOST_MAX 64
#define FAILING_MAX 256u
#define GONE 410 /* RFC 9110 section 15.5.11: it will not come back */

enum flight_state {
    FLIGHT_FREE,
    FLIGHT_SENDING,
    FLIGHT_DONE,    /* its fate is not written yet */
    FLIGHT_MARKING, /* it is being written */
};

struct flight {
    struct td_webhook *webhook;
    enum flight_state state;
    int64_t id;
    char recording[TD_ID_MAX];
    char *url;
    char host[HOST_MAX]; /* of the URL, for the log */
    int64_t made_us;
    unsigned tries;
    struct td_delivery *delivery;
    enum td_mailbag_fate fate;
    int64_t next_us;
};

struct td_webhook {
    struct td_webhook_config config;
    SoupSession *session;
    struct flight flights[TD_WEBHOOK_FLIGHTS_MAX];
    unsigned refs; /* the owner's, and one for each call on the store thread */
    bool freed;
    bool stopped; /* nothing is sent any more */
    bool looking;
    bool again; /* look once more after this look */
    bool idle;  /* the last look found nothing to send now */
    bool deaf;  /* the catalogue did not answer; said once */
    guint timer;
    guint linger_timer;
    void (*stop_done)(void *ctx);
    void *stop_ctx;
    int64_t warned_us;
    uint64_t unwarned;
    struct td_webhook_stats stats;
    struct td_letterbook book;
    GHashTable *failing; /* set of the URLs whose last try failed */
};

static void pump(struct td_webhook *w);
static void wait_until(struct td_webhook *w, int64_t wall_us);

/* ---- life ---- */

int td_webhook_new(const struct td_webhook_config *config, struct td_webhook **ret_webhook)
{
    struct td_webhook *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return -ENOMEM;
    w->config = *config;
    w->refs = 1;
    w->session = td_delivery_session();
    td_letterbook_init(&w->book, config->config);
    w->failing = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (unsigned i = 0; i < TD_WEBHOOK_FLIGHTS_MAX; i++)
        w->flights[i].webhook = w;
    pump(w);
    *ret_webhook = w;
    return 0;
}

static void clear_timer(guint *timer)
{
    if (*timer != 0)
        g_source_remove(*timer);
    *timer = 0;
}

static void unref(struct td_webhook *w)
{
    if (--w->refs > 0)
        return;
    g_object_unref(w->session);
    td_letterbook_done(&w->book);
    g_hash_table_destroy(w->failing);
    for (unsigned i = 0; i < TD_WEBHOOK_FLIGHTS_MAX; i++)
        g_free(w->flights[i].url);
    free(w);
}

static void halt(struct td_webhook *w)
{
    w->stopped = true;
    clear_timer(&w->timer);
    clear_timer(&w->linger_timer);
    for (unsigned i = 0; i < TD_WEBHOOK_FLIGHTS_MAX; i++) {
        struct flight *f = &w->flights[i];
        f->delivery = td_delivery_free(f->delivery);
        if (f->state == FLIGHT_SENDING)
            f->state = FLIGHT_FREE;
    }
}

struct td_webhook *td_webhook_free(struct td_webhook *w)
{
    if (w == NULL)
        return NULL;
    halt(w);
    w->freed = true;
    w->stop_done = NULL;
    unref(w);
    return NULL;
}

static unsigned flying(const struct td_webhook *w)
{
    unsigned count = 0;
    for (unsigned i = 0; i < TD_WEBHOOK_FLIGHTS_MAX; i++)
        count += w->flights[i].state != FLIGHT_FREE;
    return count;
}

/* After each reply of the store thread and each end of a flight. */
static void maybe_stopped(struct td_webhook *w)
{
    if (w->stop_done == NULL)
        return;
    if (!w->stopped && w->idle && !w->looking && flying(w) == 0)
        halt(w); /* nothing is left to linger for */
    if (!w->stopped || w->refs > 1)
        return;
    void (*done)(void *ctx) = w->stop_done;
    w->stop_done = NULL;
    done(w->stop_ctx);
}

/* ---- calls on the store thread ---- */

/* Takes a reference for the time of the call. */
static int post(struct td_webhook *w, int (*job)(void *arg), void *arg, td_message_fn *done)
{
    int r = td_catalog_post(w->config.store, job, arg, w->config.control, done, arg);
    if (r == 0)
        w->refs++;
    return r;
}

static void heard(struct td_webhook *w, int result)
{
    if (result < 0 && !w->deaf)
        td_log_line(w->config.log, TD_LOG_ERROR, "event=outbox_failed error=%s",
                    td_err_name(result));
    w->deaf = result < 0;
}

/* The reply to a call: whether anybody still wants it. */
static bool arrived(struct td_webhook *w)
{
    bool wanted = !w->freed;
    unref(w);
    return wanted;
}

struct mark {
    struct flight *flight;
    struct td_mailbag_mark order;
};

static int run_mark(void *arg)
{
    struct mark *m = arg;
    return td_mailbag_mark_job(&m->order);
}

static void on_marked(void *target, const void *payload)
{
    struct mark *m = target;
    struct flight *f = m->flight;
    struct td_webhook *w = f->webhook;
    int r = *(const int *)payload;
    free(m);
    if (!arrived(w))
        return;
    heard(w, r);
    if (r < 0) {
        f->state = FLIGHT_DONE;
        wait_until(w, 0);
    } else {
        f->state = FLIGHT_FREE;
        pump(w);
    }
    maybe_stopped(w);
}

/* As long as this cannot be written the flight keeps its place, so that the letter is not sent
 * again and again: `on_timer` comes back to it. */
static void mark(struct flight *f)
{
    struct mark *m = malloc(sizeof(*m));
    if (m != NULL)
        *m = (struct mark){.flight = f,
                           .order = {.catalog = f->webhook->config.catalog,
                                     .id = f->id,
                                     .fate = f->fate,
                                     .next_us = f->next_us}};
    if (m != NULL && post(f->webhook, run_mark, m, on_marked) == 0) {
        f->state = FLIGHT_MARKING;
        return;
    }
    free(m);
    wait_until(f->webhook, 0);
}

/* ---- the end of a try ---- */

/* Where a URL goes, without what may be secret in it. */
static void host_of(const char *url, char ret_host[static HOST_MAX])
{
    GUri *uri = g_uri_parse(url, SOUP_HTTP_URI_FLAGS, NULL);
    const char *host = uri != NULL ? g_uri_get_host(uri) : NULL;
    (void)snprintf(ret_host, HOST_MAX, "%s:%d", host != NULL ? host : "",
                   uri != NULL ? g_uri_get_port(uri) : 0);
    g_clear_pointer(&uri, g_uri_unref);
}

static void warn_failed(struct td_webhook *w, const struct flight *f, unsigned status,
                        const char *why)
{
    int64_t now_us = td_clock_now_us();
    bool quiet = w->warned_us != 0 && now_us - w->warned_us < WARN_EVERY_US;
    td_log_line(
        w->config.log, quiet ? TD_LOG_DEBUG : TD_LOG_WARN,
        "event=webhook_failed recording=%s host=%s tries=%u status=%u error=\"%s\" unsaid=%" PRIu64,
        f->recording, f->host, f->tries + 1, status, why, quiet ? 0 : w->unwarned);
    w->unwarned = quiet ? w->unwarned + 1 : 0;
    w->warned_us = quiet ? w->warned_us : now_us;
}

static void settle(struct flight *f, unsigned status, const char *why)
{
    struct td_webhook *w = f->webhook;
    f->delivery = NULL;
    f->state = FLIGHT_DONE;
    if (status >= 200 && status < 300) {
        (void)g_hash_table_remove(w->failing, f->url); /* it need not be there */
        f->fate = TD_MAILBAG_DELIVERED;
        w->stats.delivered++;
        if (f->tries > 0)
            td_log_line(w->config.log, TD_LOG_INFO, "event=webhook_delivered recording=%s tries=%u",
                        f->recording, f->tries + 1);
    } else {
        w->stats.failed++;
        warn_failed(w, f, status, why);
        if (g_hash_table_size(w->failing) < FAILING_MAX)
            (void)g_hash_table_add(w->failing, g_strdup(f->url)); /* it may be there already */
        f->next_us = td_letter_next_us(f->made_us, td_clock_wall_us(), f->tries, g_random_int());
        f->fate = status == GONE || f->next_us == INT64_MAX ? TD_MAILBAG_GIVEN_UP
                                                            : TD_MAILBAG_LATER;
    }
    if (f->fate == TD_MAILBAG_GIVEN_UP) {
        w->stats.given_up++;
        td_log_line(w->config.log, TD_LOG_ERROR,
                    "event=webhook_given_up recording=%s host=%s tries=%u status=%u", f->recording,
                    f->host, f->tries + 1, status);
    }
    mark(f);
}

static void on_delivered(void *ctx, unsigned status, const char *why)
{
    struct flight *f = ctx;
    settle(f, status, why);
}

/* ---- a try ---- */

static const struct td_config_webhook *find_hook(const struct td_config *config, const char *url)
{
    for (size_t i = 0; i < config->webhooks.count; i++) {
        if (strcmp(config->webhooks.items[i].url, url) == 0)
            return &config->webhooks.items[i];
    }
    return NULL;
}

static int sign(const struct td_config *config, const struct td_config_webhook *hook,
                const char *body, char **ret_value)
{
    const char *id = hook->api_key != NULL ? hook->api_key : config->api_key;
    const char *secret = hook->api_key != NULL ? hook->api_secret : config->api_secret;
    if (id == NULL || secret == NULL)
        return -EINVAL;
    struct td_jwt_key key = {.id = id, .secret = secret, .secret_len = strlen(secret)};
    return td_signature_make(&key, body, strlen(body), td_clock_wall_us() / TD_US_PER_S, ret_value);
}

static void begin(struct flight *f, const char *url, const char *body)
{
    struct td_webhook *w = f->webhook;
    const struct td_config_webhook *hook = find_hook(w->config.config, url);
    char *value = NULL;
    g_free(f->url);
    f->url = g_strdup(url);
    host_of(url, f->host);
    f->state = FLIGHT_SENDING;
    if (hook == NULL) {
        settle(f, 0, "this URL is not configured any more");
        return;
    }
    if (sign(w->config.config, hook, body, &value) < 0) {
        settle(f, 0, "no key to sign with");
        return;
    }
    int r = td_delivery_new(w->session, url, value, body, on_delivered, f, &f->delivery);
    free(value);
    if (r < 0)
        settle(f, 0, r == -EINVAL ? "not an http URL" : td_err_text(r));
}

/* ---- looking into the outbox ---- */

struct look {
    struct td_webhook *webhook;
    struct td_mailbag *bag;
};

static struct flight *free_flight(struct td_webhook *w)
{
    for (unsigned i = 0; i < TD_WEBHOOK_FLIGHTS_MAX; i++) {
        if (w->flights[i].state == FLIGHT_FREE)
            return &w->flights[i];
    }
    return NULL;
}

/* How many were begun. */
static unsigned send_found(struct td_webhook *w, const struct td_mailbag *bag)
{
    unsigned count = 0;
    for (unsigned i = 0; i < bag->count && !w->stopped; i++) {
        const struct td_mailbag_letter *l = &bag->letters[i];
        struct flight *f = free_flight(w);
        if (f == NULL)
            break;
        f->id = l->id;
        f->made_us = l->made_us;
        f->tries = l->tries;
        memcpy(f->recording, l->recording, sizeof(f->recording));
        begin(f, l->url, l->body);
        count++;
    }
    return count;
}

static gboolean on_timer(gpointer data)
{
    struct td_webhook *w = data;
    w->timer = 0;
    for (unsigned i = 0; i < TD_WEBHOOK_FLIGHTS_MAX; i++) {
        if (w->flights[i].state == FLIGHT_DONE)
            mark(&w->flights[i]);
    }
    pump(w);
    return G_SOURCE_REMOVE;
}

static void wait_until(struct td_webhook *w, int64_t wall_us)
{
    clear_timer(&w->timer);
    if (w->stopped || (wall_us == INT64_MAX && flying(w) == 0))
        return; /* the next letter kicks */
    int64_t wait_us = wall_us == INT64_MAX ? WAIT_US_MAX : wall_us - td_clock_wall_us();
    /* What is due now is under way, or waits for a place: the end of a flight looks again. */
    if (wait_us <= 0 || flying(w) > 0)
        wait_us = WAIT_US_MIN;
    wait_us = CLAMP(wait_us, TD_US_PER_MS, WAIT_US_MAX);
    w->timer = g_timeout_add((guint)(wait_us / TD_US_PER_MS) + 1, on_timer, w);
}

static void on_looked(void *target, const void *payload)
{
    struct look *look = target;
    struct td_webhook *w = look->webhook;
    struct td_mailbag *bag = look->bag;
    int r = *(const int *)payload;
    free(look);
    if (!arrived(w)) {
        td_mailbag_free(bag);
        return;
    }
    w->looking = false;
    heard(w, r);
    if (r < 0) {
        wait_until(w, 0);
    } else {
        w->stats.pending = bag->pending;
        w->stats.oldest_us = bag->oldest_us;
        w->idle = send_found(w, bag) == 0;
        wait_until(w, bag->next_us);
    }
    td_mailbag_free(bag);
    if (w->again)
        pump(w);
    maybe_stopped(w);
}

static int run_look(void *arg)
{
    const struct look *look = arg;
    return td_mailbag_fill_job(look->bag);
}

/* A URL that is down gets one letter at a time: it must not take the places of the others. */
static void limit_failing(void *url, void *value, void *bag)
{
    (void)value;
    td_mailbag_limit(bag, url, 1);
}

static struct td_mailbag *ask(const struct td_webhook *w)
{
    struct td_mailbag *bag = td_mailbag_new(w->config.catalog, td_clock_wall_us());
    if (bag == NULL)
        return NULL;
    g_hash_table_foreach(w->failing, limit_failing, bag);
    for (unsigned i = 0; i < TD_WEBHOOK_FLIGHTS_MAX; i++) {
        if (w->flights[i].state == FLIGHT_FREE)
            continue;
        bag->busy[bag->busy_count++] = w->flights[i].id;
        td_mailbag_take(bag, w->flights[i].url);
    }
    bag->want = TD_WEBHOOK_FLIGHTS_MAX - bag->busy_count;
    return bag;
}

static void pump(struct td_webhook *w)
{
    w->again = w->looking;
    if (w->stopped || w->looking || free_flight(w) == NULL)
        return;
    struct look *look = malloc(sizeof(*look));
    if (look != NULL) {
        *look = (struct look){.webhook = w, .bag = ask(w)};
        w->looking = look->bag != NULL && post(w, run_look, look, on_looked) == 0;
    }
    if (w->looking)
        return;
    if (look != NULL)
        td_mailbag_free(look->bag);
    free(look);
    wait_until(w, 0);
}

void td_webhook_kick(struct td_webhook *w)
{
    pump(w);
}

void td_webhook_stats(const struct td_webhook *w, struct td_webhook_stats *ret_stats)
{
    *ret_stats = w->stats;
}

/* ---- stopping ---- */

static gboolean on_linger(gpointer data)
{
    struct td_webhook *w = data;
    w->linger_timer = 0;
    halt(w);
    maybe_stopped(w);
    return G_SOURCE_REMOVE;
}

void td_webhook_stop(struct td_webhook *w, int64_t linger_us, void (*done)(void *ctx), void *ctx)
{
    w->stop_done = done;
    w->stop_ctx = ctx;
    w->idle = false; /* until a look that begins now says so */
    pump(w);
    w->linger_timer = g_timeout_add((guint)(linger_us / TD_US_PER_MS), on_linger, w);
}

/* ---- writing ---- */

static size_t on_letters(void *ctx, const json_t *doc, bool final, struct td_catalog_letter *ret,
                         size_t max)
{
    struct td_webhook *w = ctx;
    int count = td_letterbook_write(&w->book, doc, final, td_clock_wall_us(), ret, max);
    if (count >= 0)
        return (size_t)count;
    td_log_line(w->config.log, TD_LOG_ERROR, "event=webhook_not_written error=%s",
                td_err_name(count));
    return 0;
}

static void on_changed(void *ctx, struct td_recording *recording, json_t *doc, bool last)
{
    (void)recording;
    (void)doc;
    (void)last;
    td_webhook_kick(ctx);
}

struct td_recordings_observer td_webhook_observer(struct td_webhook *w)
{
    return (struct td_recordings_observer){.ctx = w, .changed = on_changed, .letters = on_letters};
}

/* ---- replaying ---- */

struct replay {
    struct td_webhook *webhook;
    struct td_mailbag_replay order;
    td_webhook_replayed_fn *done;
    void *ctx;
};

static int run_replay(void *arg)
{
    struct replay *replay = arg;
    return td_mailbag_replay_job(&replay->order);
}

static void on_replayed(void *target, const void *payload)
{
    struct replay *replay = target;
    struct td_webhook *w = replay->webhook;
    int count = *(const int *)payload;
    if (arrived(w)) {
        pump(w);
        maybe_stopped(w);
    }
    replay->done(replay->ctx, count);
    free(replay->order.recording);
    free(replay);
}

int td_webhook_replay(struct td_webhook *w, const char *recording, bool delivered,
                      td_webhook_replayed_fn *done, void *ctx)
{
    char *copy = recording != NULL ? strdup(recording) : NULL;
    struct replay *replay = calloc(1, sizeof(*replay));
    int r = -ENOMEM;
    if (replay != NULL && (recording == NULL || copy != NULL)) {
        *replay = (struct replay){
            .webhook = w,
            .order = {.catalog = w->config.catalog, .recording = copy, .delivered = delivered},
            .done = done,
            .ctx = ctx};
        r = post(w, run_replay, replay, on_replayed);
    }
    if (r < 0) {
        free(copy);
        free(replay);
    }
    return r;
}
