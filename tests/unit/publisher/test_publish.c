/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a publishing does when its connection comes about, is lost, or is refused: with a link that
 * does as it is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <glib.h>

#include "base/clock.h"
#include "codec/pattern.h"
#include "publisher/publish.h"

#define WAIT_US (20 * TD_US_PER_S)

struct rig {
    struct td_loop *loop;
    struct td_mailbox *control;
    struct td_pattern *pattern;
    struct td_publish *publish;
    unsigned ended;
    int end_code;
    enum td_publish_state seen[32]; /* states, as they were told */
    unsigned seen_count;
    /* the link */
    bool open_fails;
    unsigned opened;
    unsigned freed;
    unsigned stops;
    unsigned doubts;
    struct td_link link;
    struct td_link_events events;
    struct td_fail fail;
};

/* The only link there is at a time stands in the rig. */
static struct rig *rig_of(struct td_link *link)
{
    return (struct rig *)((char *)link - offsetof(struct rig, link));
}

static struct rig *opening;
static const struct td_link_ops fake_link;

static int fake_open(const struct td_link_config *config, const struct td_link_events *events,
                     struct td_fail *ret_fail, struct td_link **ret_link)
{
    struct rig *rig = opening;
    assert_non_null(config->pump);
    assert_int_equal(config->width, 320);
    if (rig->open_fails)
        return td_fail_set(ret_fail, -TD_E_USAGE, "no");
    assert_int_equal(rig->opened, rig->freed); /* one at a time */
    rig->opened++;
    rig->events = *events;
    rig->fail = (struct td_fail){.code = 0};
    rig->link.ops = &fake_link;
    *ret_link = &rig->link;
    return 0;
}

static void end_link(struct rig *rig, enum td_link_end how, int code)
{
    rig->fail.code = code;
    rig->events.ended(rig->events.ctx, how, &rig->fail);
}

static void fake_stop(struct td_link *link)
{
    struct rig *rig = rig_of(link);
    rig->stops++;
    end_link(rig, TD_LINK_STOPPED, 0);
}

static void fake_doubt(struct td_link *link)
{
    struct rig *rig = rig_of(link);
    if (rig->doubts++ == 0)
        end_link(rig, TD_LINK_LOST, -TD_E_CLOSED);
}

static struct td_link *fake_free(struct td_link *link)
{
    rig_of(link)->freed++;
    return NULL;
}

static const struct td_link_ops fake_link = {
    .name = "fake",
    .open = fake_open,
    .stop = fake_stop,
    .doubt = fake_doubt,
    .free = fake_free,
};

static void on_changed(void *ctx, struct td_publish *publish)
{
    struct rig *rig = ctx;
    struct td_publish_status s;
    td_publish_status(publish, &s);
    assert_true(rig->seen_count < 32);
    rig->seen[rig->seen_count++] = s.state;
}

static void on_ended(void *ctx, struct td_publish *publish, const struct td_fail *fail)
{
    struct rig *rig = ctx;
    rig->ended++;
    rig->end_code = fail->code;
    rig->publish = td_publish_free(publish); /* allowed here */
}

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    assert_non_null(rig);
    assert_int_equal(td_loop_new("media", &rig->loop), 0);
    assert_int_equal(td_mailbox_new(64, &rig->control), 0);
    rig->pattern = calloc(1, sizeof(*rig->pattern));
    assert_non_null(rig->pattern);
    td_pattern_config_default(&rig->pattern->config);
    rig->pattern->config.width = 320;
    rig->pattern->packets = calloc(1, sizeof(*rig->pattern->packets));
    rig->pattern->packet_count = 1;
    opening = rig;
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;
    assert_null(rig->publish);
    assert_int_equal(rig->opened, rig->freed);
    rig->loop = td_loop_free(rig->loop);
    rig->control = td_mailbox_free(rig->control);
    rig->pattern = td_pattern_free(rig->pattern);
    opening = NULL;
    free(rig);
    return 0;
}

static int start(struct rig *rig, struct td_fail *fail)
{
    struct td_publish_config config = {
        .kind = &fake_link,
        .link = {.url = "u", .identity = "i", .loop = rig->loop, .control = rig->control},
        .pattern = rig->pattern,
        .ctx = rig,
        .changed = on_changed,
        .ended = on_ended,
    };
    return td_publish_new(&config, fail, &rig->publish);
}

static void begin(struct rig *rig)
{
    struct td_fail fail = {.code = 0};
    assert_int_equal(start(rig, &fail), 0);
    assert_int_equal(rig->opened, 1);
}

/* Runs the control loop until the counter has the value. */
static void wait_for(const unsigned *counter, unsigned value)
{
    int64_t end_us = td_clock_now_us() + WAIT_US;
    while (*counter < value) {
        assert_true(td_clock_now_us() < end_us);
        g_main_context_iteration(NULL, TRUE);
    }
    assert_int_equal(*counter, value);
}

static void expect_states(const struct rig *rig, const enum td_publish_state *states, size_t count)
{
    assert_int_equal(rig->seen_count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(rig->seen[i], states[i]);
}
#define EXPECT_STATES(rig, ...)                                                                    \
    expect_states(rig, (const enum td_publish_state[]){__VA_ARGS__},                               \
                  sizeof((const enum td_publish_state[]){__VA_ARGS__}) /                           \
                      sizeof(enum td_publish_state))

static void test_cannot_open(void **state)
{
    struct rig *rig = *state;
    struct td_fail fail = {.code = 0};
    rig->open_fails = true;
    assert_int_equal(start(rig, &fail), -TD_E_USAGE);
    assert_string_equal(fail.text, "no");
    assert_null(rig->publish);
    assert_int_equal(rig->ended, 0);
}

/* Nobody is kept asking a server that was never there. */
static void test_first_connection_fails(void **state)
{
    struct rig *rig = *state;
    begin(rig);
    end_link(rig, TD_LINK_LOST, -TD_E_REFUSED);
    wait_for(&rig->ended, 1);
    assert_int_equal(rig->end_code, -TD_E_REFUSED);
    assert_int_equal(rig->opened, 1);
    EXPECT_STATES(rig, TD_PUBLISH_ENDED);
}

static void test_stopped_while_sending(void **state)
{
    struct rig *rig = *state;
    begin(rig);
    rig->events.connected(rig->events.ctx);
    td_publish_stop(rig->publish);
    td_publish_stop(rig->publish); /* twice is once */
    wait_for(&rig->ended, 1);
    assert_int_equal(rig->end_code, 0);
    assert_int_equal(rig->stops, 1);
    EXPECT_STATES(rig, TD_PUBLISH_SENDING, TD_PUBLISH_ENDING, TD_PUBLISH_ENDED);
}

static void test_stopped_before_connected(void **state)
{
    struct rig *rig = *state;
    begin(rig);
    td_publish_stop(rig->publish);
    wait_for(&rig->ended, 1);
    assert_int_equal(rig->end_code, 0);
    EXPECT_STATES(rig, TD_PUBLISH_ENDING, TD_PUBLISH_ENDED);
}

static void test_asks_again_when_lost(void **state)
{
    struct rig *rig = *state;
    struct td_publish_status s;
    begin(rig);
    rig->events.connected(rig->events.ctx);
    end_link(rig, TD_LINK_LOST, -TD_E_CLOSED);
    wait_for(&rig->opened, 2);
    end_link(rig, TD_LINK_LOST, -TD_E_REFUSED); /* not back yet */
    wait_for(&rig->opened, 3);
    rig->events.connected(rig->events.ctx);
    td_publish_status(rig->publish, &s);
    assert_int_equal(s.connections, 2);
    assert_int_equal(s.losses, 1);
    td_publish_stop(rig->publish);
    wait_for(&rig->ended, 1);
    assert_int_equal(rig->end_code, 0);
    EXPECT_STATES(rig, TD_PUBLISH_SENDING, TD_PUBLISH_WAITING, TD_PUBLISH_CONNECTING,
                  TD_PUBLISH_WAITING, TD_PUBLISH_CONNECTING, TD_PUBLISH_SENDING, TD_PUBLISH_ENDING,
                  TD_PUBLISH_ENDED);
}

static void test_refused_for_good(void **state)
{
    struct rig *rig = *state;
    begin(rig);
    rig->events.connected(rig->events.ctx);
    end_link(rig, TD_LINK_REFUSED, -TD_E_REFUSED);
    wait_for(&rig->ended, 1);
    assert_int_equal(rig->end_code, -TD_E_REFUSED);
    assert_int_equal(rig->opened, 1);
}

static void test_stopped_while_waiting(void **state)
{
    struct rig *rig = *state;
    begin(rig);
    rig->events.connected(rig->events.ctx);
    end_link(rig, TD_LINK_LOST, -TD_E_CLOSED);
    wait_for(&rig->seen_count, 2); /* waiting */
    td_publish_stop(rig->publish);
    wait_for(&rig->ended, 1);
    assert_int_equal(rig->end_code, 0);
    assert_int_equal(rig->opened, 1);
    EXPECT_STATES(rig, TD_PUBLISH_SENDING, TD_PUBLISH_WAITING, TD_PUBLISH_ENDING, TD_PUBLISH_ENDED);
}

/* Lost and stopped in the same moment: the stop wins. */
static void test_stopped_when_just_lost(void **state)
{
    struct rig *rig = *state;
    begin(rig);
    rig->events.connected(rig->events.ctx);
    end_link(rig, TD_LINK_LOST, -TD_E_CLOSED);
    td_publish_stop(rig->publish);
    wait_for(&rig->ended, 1);
    assert_int_equal(rig->end_code, 0);
    assert_int_equal(rig->opened, 1);
    assert_int_equal(rig->stops, 0);
}

/* A receiver that says nothing is looked into; here that finds it gone. */
static void test_silence_raises_doubt(void **state)
{
    struct rig *rig = *state;
    begin(rig);
    rig->events.connected(rig->events.ctx);
    wait_for(&rig->doubts, 1);
    wait_for(&rig->opened, 2);
    td_publish_stop(rig->publish);
    wait_for(&rig->ended, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_cannot_open, setup, teardown),
        cmocka_unit_test_setup_teardown(test_first_connection_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stopped_while_sending, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stopped_before_connected, setup, teardown),
        cmocka_unit_test_setup_teardown(test_asks_again_when_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused_for_good, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stopped_while_waiting, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stopped_when_just_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silence_raises_doubt, setup, teardown),
    };
    return cmocka_run_group_tests_name("publisher/publish", tests, NULL, NULL);
}
