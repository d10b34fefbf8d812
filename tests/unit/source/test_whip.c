/* SPDX-License-Identifier: Apache-2.0 */
#include "source/whip/whip.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define TRANSPORT                                                                                  \
    "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n"                                   \
    "a=fingerprint:sha-256 "                                                                       \
    "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:"   \
    "EE:FF\r\na=setup:actpass\r\n"
#define HEAD "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n"
#define AUDIO(direction)                                                                           \
    "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=rtcp-mux\r\n"             \
    "a=rtpmap:111 opus/48000/2\r\na=" direction "\r\n"
#define VIDEO(codec)                                                                               \
    "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=rtcp-mux\r\n"              \
    "a=rtpmap:96 " codec "/90000\r\na=sendonly\r\n"

static int check(const char *offer)
{
    struct td_fail fail = {.code = 0};
    int r = td_whip_check(offer, strlen(offer), &fail);
    assert_int_equal(fail.code, r);
    assert_int_equal(fail.text[0] != '\0', r < 0);
    return r;
}

static void test_check(void **state)
{
    (void)state;
    assert_int_equal(check(HEAD AUDIO("sendonly") TRANSPORT VIDEO("VP8") TRANSPORT), 0);
    assert_int_equal(check(HEAD AUDIO("sendrecv") TRANSPORT), 0);
    assert_int_equal(check(HEAD VIDEO("H264") TRANSPORT), 0);
    assert_int_equal(check(HEAD VIDEO("H263") TRANSPORT), -TD_E_UNSUPPORTED);
    assert_int_equal(check(HEAD AUDIO("recvonly") TRANSPORT), -TD_E_UNSUPPORTED);
    assert_int_equal(check(HEAD AUDIO("sendonly")), -TD_E_PARSE); /* nowhere to send it from */
    assert_int_equal(check(HEAD), -TD_E_PARSE);
    assert_int_equal(check("x"), -TD_E_PARSE);
    assert_int_equal(check(""), -TD_E_PARSE);
}

struct heard {
    unsigned answers;
    bool with_answer;
    unsigned ended;
    enum td_end_reason reason;
    unsigned added;
    unsigned bound;
};

static void on_answer(void *ctx, const char *answer, const struct td_fail *fail)
{
    struct heard *h = ctx;
    h->answers++;
    h->with_answer = answer != NULL;
    assert_true(answer != NULL || fail != NULL);
}

static void on_accepted(void *ctx, const char *sid, const char *name)
{
    (void)ctx;
    (void)sid;
    assert_string_equal(name, "room");
}

static void on_participant(void *ctx, const char *identity, bool present)
{
    (void)ctx;
    assert_string_equal(identity, "room");
    assert_true(present);
}

static void on_added(void *ctx, const struct td_track_info *track)
{
    (void)track;
    ((struct heard *)ctx)->added++;
}

static void on_bound(void *ctx, const struct td_track_binding *binding)
{
    (void)binding;
    ((struct heard *)ctx)->bound++;
}

static void on_ended(void *ctx, enum td_end_reason reason, const struct td_fail *fail)
{
    struct heard *h = ctx;
    (void)fail;
    h->ended++;
    h->reason = reason;
}

static void on_packet(void *ctx, uint8_t *bytes, size_t len, int64_t now_us)
{
    (void)ctx;
    (void)bytes;
    (void)len;
    (void)now_us;
}

static void wait_for(struct td_mailbox *control, const unsigned *count)
{
    while (*count == 0) {
        struct pollfd polled = {.fd = td_mailbox_fd(control), .events = POLLIN};
        assert_int_equal(poll(&polled, 1, 20000), 1);
        (void)td_mailbox_drain(control);
    }
}

static void test_trickle(void **state)
{
    (void)state;
    struct heard h = {.answers = 0};
    struct td_loop *loop = NULL;
    struct td_mailbox *control = NULL;
    struct td_certificate *certificate = NULL;
    assert_int_equal(td_loop_new("media", &loop), 0);
    assert_int_equal(td_mailbox_new(256, &control), 0);
    assert_int_equal(td_certificate_new(&certificate), 0);
    struct td_whip_config config = {.room = "room",
                                    .loopback_only = true,
                                    .loop = loop,
                                    .control = control,
                                    .certificate = certificate,
                                    .transport = &td_ice_nice};
    struct td_source_events events = {.ctx = &h,
                                      .accepted = on_accepted,
                                      .participant = on_participant,
                                      .track_added = on_added,
                                      .track_bound = on_bound,
                                      .ended = on_ended};
    struct td_media_sink sink = {.ctx = &h, .packet = on_packet};
    struct td_fail fail = {.code = 0};
    struct td_source *source = NULL;
    static const char offer[] = HEAD AUDIO("sendonly") TRANSPORT VIDEO("VP8") TRANSPORT;
    assert_int_equal(
        td_whip_new(&config, offer, strlen(offer), &events, &sink, on_answer, &h, &fail, &source),
        0);
    assert_int_equal(h.answers, 0); /* later, from the loop */
    wait_for(control, &h.answers);
    assert_true(h.with_answer);
    assert_int_equal(h.added, 2);
    assert_int_equal(h.bound, 2);
    static const struct {
        const char *fragment;
        int result;
    } rows[] = {
        {"", 0},
        {"a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\nm=audio 9 x 0\r\na=mid:0\r\n"
         "a=candidate:1 1 udp 2130706431 127.0.0.1 9 typ host\r\na=end-of-candidates\r\n",
         0},
        {"a=candidate:1 1 udp 2130706431 127.0.0.1 9 typ host", 0}, /* no line end, no \r */
        {"a=mid:0\n\n\na=something-new:1\n", 0},
        {"a=ice-ufrag:other\r\n", -TD_E_UNSUPPORTED}, /* a restart */
        {"a=ice-ufrag:abcde\r\n", -TD_E_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        assert_int_equal(td_whip_trickle(source, rows[i].fragment, strlen(rows[i].fragment)),
                         rows[i].result);
    char longest[2000];
    memset(longest, 'x', sizeof(longest));
    assert_int_equal(td_whip_trickle(source, longest, sizeof(longest)), -TD_E_PARSE);
    td_whip_delete(source);
    td_whip_delete(source);
    assert_int_equal(td_whip_trickle(source, "", 0), -TD_E_STATE);
    wait_for(control, &h.ended);
    assert_int_equal(h.reason, TD_END_LEFT);
    assert_int_equal(h.ended, 1);
    assert_int_equal(h.answers, 1);
    source = td_source_free(source);
    loop = td_loop_free(loop);
    (void)td_mailbox_drain(control);
    control = td_mailbox_free(control);
    certificate = td_certificate_free(certificate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_trickle),
    };
    return cmocka_run_group_tests_name("source/whip", tests, NULL, NULL);
}
