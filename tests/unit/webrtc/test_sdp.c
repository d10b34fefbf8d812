/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "webrtc/sdp.h"

#define TEXT_MAX (64u << 10)

/* Reads a file; with `crlf` its lines end as they do on the wire. */
static char *load(const char *folder, const char *name, bool crlf)
{
    char path[1024];
    char *text = calloc(1, TEXT_MAX);
    size_t len = 0;
    FILE *file;
    int c;

    assert_non_null(text);
    assert_true(snprintf(path, sizeof(path), "%s/%s.sdp", folder, name) < (int)sizeof(path));
    file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("no %s", path);
    while ((c = fgetc(file)) != EOF) {
        assert_true(len + 3 < TEXT_MAX);
        if (c == '\n' && crlf)
            text[len++] = '\r';
        text[len++] = (char)c;
    }
    assert_int_equal(fclose(file), 0);
    return text;
}

static struct td_sdp *parse(const char *text)
{
    struct td_sdp *sdp = NULL;

    assert_int_equal(td_sdp_parse(text, strlen(text), &sdp), 0);
    return sdp;
}

static int parse_error(const char *text)
{
    struct td_sdp *sdp = NULL;
    int r = td_sdp_parse(text, strlen(text), &sdp);

    if (r == 0)
        (void)td_sdp_free(sdp); /* always NULL */
    else
        assert_null(sdp);
    return r;
}

/* Takes what the recorder does. */
static bool takes(void *ctx, const struct td_sdp_section *offered, const struct td_sdp_codec *codec)
{
    static const char *const names[] = {"opus", "PCMU", "PCMA", "VP8", "VP9", "H264", "AV1"};

    (void)offered;
    if (ctx != NULL)
        return strcasecmp(codec->name, ctx) == 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcasecmp(codec->name, names[i]) == 0)
            return true;
    return false;
}

static const char *const candidates[] = {
    "candidate:1 1 UDP 2015363327 127.0.0.1 40000 typ host",
};

static const struct td_sdp_local local = {
    .ufrag = "ourufrag",
    .pwd = "ourpasswordourpassword00",
    .fingerprint = "sha-256 01:02",
    .setup = TD_SDP_ACTIVE,
    .candidates = candidates,
    .candidate_count = 1,
    .version = 1,
};

/* ---- golden answers ---- */

static void test_answers(void **state)
{
    static const struct {
        const char *offer;
        bool trickle;
        bool reject;
        bool stereo;
    } rows[] = {
        {"livekit-first", true, false, false}, {"livekit-tracks", true, false, false},
        {"chrome-whip", false, true, true},    {"obs-whip", false, true, true},
        {"gstreamer-whip", false, true, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct td_sdp_local ours = local;
        char *text = load(TD_TEST_OFFERS, rows[i].offer, true);
        char *expected = load(TD_TEST_ANSWERS, rows[i].offer, true);
        struct td_sdp *offer = parse(text);
        char *answer = NULL;

        ours.trickle = rows[i].trickle;
        ours.opus_stereo = rows[i].stereo;
        assert_int_equal(td_sdp_answer(offer, &ours, takes, NULL, rows[i].reject, &answer), 0);
        assert_string_equal(answer, expected);
        assert_null(td_sdp_free(offer));
        free(answer);
        free(expected);
        free(text);
    }
}

/* ---- what an offer says ---- */

static void test_livekit(void **state)
{
    char *text = load(TD_TEST_OFFERS, "livekit-tracks", true);
    struct td_sdp *sdp = parse(text);
    const struct td_sdp_section *s = sdp->sections;

    (void)state;
    assert_true(sdp->ice_lite);
    assert_int_equal(sdp->section_count, 4);
    assert_int_equal(s[0].kind, TD_SDP_APPLICATION);
    assert_int_equal(s[0].sctp_port, 5000);
    assert_int_equal(s[0].max_message_bytes, 65535);
    assert_int_equal(s[0].candidate_count, 2);
    assert_string_equal(s[0].candidates[0], "candidate:3645062541 1 udp 2130706431 127.0.0.1 7882 "
                                            "typ host ufrag VkQmNpXrTsLw");
    assert_int_equal(s[1].kind, TD_SDP_AUDIO);
    assert_string_equal(s[1].mid, "1");
    assert_string_equal(s[1].ufrag, "VkQmNpXrTsLw");
    assert_string_equal(s[1].pwd, "kQzXcVbNmAsDfGhJkLqWeRtYuIoP1234");
    assert_memory_equal(s[1].fingerprint, "sha-256 A1:B2", 13); /* of the session */
    assert_int_equal(s[1].setup, TD_SDP_ACTPASS);
    assert_string_equal(s[1].stream_id, "PA_4cR8xYpQwErT|TR_AMa1b2c3d4e5f6");
    assert_string_equal(s[1].track_id, "TR_AMa1b2c3d4e5f6");
    assert_int_equal(s[1].ssrc_count, 1);
    assert_int_equal(s[1].ssrcs[0], 1823719437);
    assert_int_equal(s[1].rtx_ssrc, 0);
    assert_int_equal(s[1].codec_count, 4);
    assert_string_equal(s[1].codecs[0].name, "opus");
    assert_int_equal(s[1].codecs[0].clock_hz, 48000);
    assert_int_equal(s[1].codecs[0].channels, 2);
    assert_string_equal(s[1].codecs[0].fmtp, "minptime=10;useinbandfec=1");
    assert_true(s[1].codecs[0].nack && !s[1].codecs[0].nack_pli);
    assert_int_equal(s[1].codecs[2].channels, 1);
    assert_true(s[1].rtcp_mux && s[1].rtcp_rsize && s[1].bundled && !s[1].rejected);
    assert_int_equal(s[2].direction, TD_SDP_SENDONLY);
    assert_int_equal(s[2].ssrc_count, 1); /* without the RTX one */
    assert_int_equal(s[2].ssrcs[0], 2731298451u);
    assert_int_equal(s[2].rtx_ssrc, 401293847);
    assert_true(s[2].codecs[0].nack && s[2].codecs[0].nack_pli && s[2].codecs[0].ccm_fir);
    assert_int_equal(s[3].direction, TD_SDP_RECVONLY);
    assert_string_equal(s[3].stream_id, "");
    assert_int_equal(s[3].ssrc_count, 0);
    assert_null(td_sdp_free(sdp));
    free(text);
}

static void test_gstreamer(void **state)
{
    char *text = load(TD_TEST_OFFERS, "gstreamer-whip", false); /* bare newlines are taken too */
    struct td_sdp *sdp = parse(text);
    const struct td_sdp_section *s = sdp->sections;

    (void)state;
    assert_int_equal(sdp->section_count, 3);
    assert_true(s[0].codecs[0].nack_pli && s[0].codecs[1].nack_pli);     /* rtcp-fb:* */
    assert_string_equal(s[0].stream_id, "user3344942761@host-c94b53db"); /* from a=ssrc */
    assert_string_equal(s[0].track_id, "webrtctransceiver0");
    assert_int_equal(s[0].rtx_ssrc, 1845098234);
    assert_false(s[1].rejected); /* port 0, but bundle-only */
    assert_null(td_sdp_free(sdp));
    free(text);
}

static bool has_line(const char *text, const char *line)
{
    char wanted[256];

    assert_true(snprintf(wanted, sizeof(wanted), "\r\n%s\r\n", line) < (int)sizeof(wanted));
    return strstr(text, wanted) != NULL;
}

static void test_offer(void **state)
{
    static const struct td_sdp_sender senders[] = {
        {TD_SDP_AUDIO, 11, 111, "opus", 48000, 2, "minptime=10;useinbandfec=1", "s", "a"},
        {TD_SDP_VIDEO, 22, 96, "VP8", 90000, 1, NULL, "s", "v"},
    };
    struct td_sdp_local ours = local;
    struct td_sdp *offer;
    struct td_sdp *back;
    char *text = NULL;
    char *answer = NULL;

    (void)state;
    ours.setup = TD_SDP_ACTPASS;
    assert_int_equal(td_sdp_offer(&ours, senders, 2, &text), 0);
    offer = parse(text);
    assert_int_equal(offer->section_count, 2);
    assert_int_equal(offer->sections[0].direction, TD_SDP_SENDONLY);
    assert_int_equal(offer->sections[0].ssrcs[0], 11);
    assert_string_equal(offer->sections[1].track_id, "v");
    assert_int_equal(offer->sections[0].setup, TD_SDP_ACTPASS);
    assert_true(offer->sections[1].bundled);
    assert_int_equal(offer->sections[0].candidate_count, 1);
    assert_true(has_line(text, "a=group:BUNDLE 0 1"));
    assert_true(has_line(text, "a=rtpmap:111 opus/48000/2"));
    assert_true(has_line(text, "a=rtpmap:96 VP8/90000"));
    assert_int_equal(td_sdp_answer(offer, &local, takes, NULL, true, &answer), 0);
    back = parse(answer);
    assert_int_equal(back->sections[0].direction, TD_SDP_RECVONLY);
    assert_int_equal(back->sections[1].direction, TD_SDP_RECVONLY);
    assert_int_equal(back->sections[0].setup, TD_SDP_ACTIVE);
    assert_true(has_line(answer, "a=end-of-candidates"));
    assert_null(td_sdp_free(back));
    assert_null(td_sdp_free(offer));
    free(answer);
    free(text);
    assert_int_equal(td_sdp_offer(&ours, senders, 0, &text), -TD_E_LIMIT);
}

/* ---- what is taken and what is not ---- */

#define HEAD "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
#define AUDIO(mid)                                                                                 \
    "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:" mid "\r\na=rtcp-mux\r\n"                           \
    "a=rtpmap:111 opus/48000/2\r\n"
#define VIDEO(mid)                                                                                 \
    "m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=mid:" mid "\r\na=rtcp-mux\r\n"                         \
    "a=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\n"

static const struct {
    const char *offer;
    const char *only; /* the codec taken, NULL = all of ours */
    bool reject;
    int error;
    const char *has[3];
    const char *lacks[2];
} taken[] = {
    /* nothing of ours: rejected or inactive */
    {HEAD "a=group:BUNDLE 0 1\r\n" AUDIO("0") VIDEO("1"),
     "opus",
     true,
     0,
     {"a=group:BUNDLE 0", "m=video 0 UDP/TLS/RTP/SAVPF 96 97", "a=mid:1"},
     {"a=rtpmap:96 VP8/90000"}},
    {HEAD "a=group:BUNDLE 0 1\r\n" AUDIO("0") VIDEO("1"),
     "opus",
     false,
     0,
     {"a=group:BUNDLE 0 1", "m=video 9 UDP/TLS/RTP/SAVPF 96 97", "a=inactive"},
     {NULL}},
    {HEAD "a=group:BUNDLE 0\r\n" VIDEO("0"), "opus", true, -TD_E_UNSUPPORTED, {NULL}, {NULL}},
    /* RTX is never taken, not even when it is all that is wanted */
    {HEAD "a=group:BUNDLE 0\r\n" VIDEO("0"), "rtx", true, -TD_E_UNSUPPORTED, {NULL}, {NULL}},
    /* outside the group there is no second transport */
    {HEAD "a=group:BUNDLE 0\r\n" AUDIO("0") VIDEO("1"),
     NULL,
     true,
     0,
     {"a=group:BUNDLE 0", "m=video 0 UDP/TLS/RTP/SAVPF 96 97"},
     {NULL}},
    /* no group at all: one section alone */
    {HEAD AUDIO("0") VIDEO("1"), NULL, true, 0, {"a=mid:0", "a=recvonly"}, {"a=group:BUNDLE 0"}},
    /* one section without a mid */
    {HEAD "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=rtcp-mux\r\n",
     NULL,
     true,
     0,
     {"m=audio 9 UDP/TLS/RTP/SAVPF 0", "a=rtpmap:0 PCMU/8000", "a=recvonly"},
     {NULL}},
    /* no rtcp-mux, plain RTP, unknown kind */
    {HEAD "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n",
     NULL,
     true,
     -TD_E_UNSUPPORTED,
     {NULL},
     {NULL}},
    {HEAD "m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=rtcp-mux\r\n",
     NULL,
     true,
     -TD_E_UNSUPPORTED,
     {NULL},
     {NULL}},
    {HEAD "m=text 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=rtcp-mux\r\n",
     NULL,
     false,
     -TD_E_UNSUPPORTED,
     {NULL},
     {NULL}},
    {HEAD, NULL, true, -TD_E_UNSUPPORTED, {NULL}, {NULL}},
    /* they receive only: nothing comes */
    {HEAD "a=group:BUNDLE 0\r\na=recvonly\r\n" AUDIO("0"),
     NULL,
     true,
     0,
     {"a=inactive"},
     {"a=recvonly"}},
};

static void test_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        struct td_sdp *offer = parse(taken[i].offer);
        char *answer = NULL;

        print_message("# row %zu\n", i);
        assert_int_equal(td_sdp_answer(offer, &local, takes, (void *)(uintptr_t)taken[i].only,
                                       taken[i].reject, &answer),
                         taken[i].error);
        for (size_t k = 0; k < 3 && taken[i].has[k] != NULL; k++)
            assert_true(has_line(answer, taken[i].has[k]));
        for (size_t k = 0; k < 2 && taken[i].lacks[k] != NULL; k++)
            assert_false(has_line(answer, taken[i].lacks[k]));
        free(answer);
        assert_null(td_sdp_free(offer));
    }
}

/* ---- hostile input ---- */

static void test_malformed(void **state)
{
    static const struct {
        const char *text;
        int error;
    } rows[] = {
        {"", -TD_E_PARSE},
        {"\r\n\r\n", -TD_E_PARSE},
        {"o=- 1 1 IN IP4 0.0.0.0\r\nv=0\r\n", -TD_E_PARSE},
        {"v=1\r\n", -TD_E_PARSE},
        {HEAD "rubbish\r\n", -TD_E_PARSE},
        {HEAD "x\r\n", -TD_E_PARSE},
        {HEAD "=x\r\n", -TD_E_PARSE},
        {HEAD "m=audio\r\n", -TD_E_PARSE},
        {HEAD "m=audio 9\r\n", -TD_E_PARSE},
        {HEAD "m=audio 9 RTP/AVP\r\n", -TD_E_PARSE},
        {HEAD "m=audio 70000 RTP/AVP 0\r\n", -TD_E_PARSE},
        {HEAD "m=audio -1 RTP/AVP 0\r\n", -TD_E_PARSE},
        {HEAD "m=audio 9 RTP/AVP 128\r\n", -TD_E_PARSE},
        {HEAD "m=audio 9 RTP/AVP x\r\n", -TD_E_PARSE},
        {HEAD AUDIO("0") "a=rtpmap:111 opus\r\n", -TD_E_PARSE},
        {HEAD AUDIO("0") "a=rtpmap:111 /1/1\r\n", -TD_E_PARSE},
        {HEAD AUDIO("0") "a=rtpmap:111 opus/99999999999/1\r\n", -TD_E_PARSE},
        {HEAD AUDIO("0") "a=ssrc:x cname:y\r\n", -TD_E_PARSE},
        {HEAD AUDIO("0") "a=ssrc:4294967296 cname:y\r\n", -TD_E_PARSE},
        {HEAD AUDIO("0") AUDIO("0"), -TD_E_PARSE}, /* a mid twice */
        {HEAD AUDIO(""), -TD_E_PARSE},
        {HEAD AUDIO("a b"), -TD_E_PARSE},
        {HEAD AUDIO("0\ra=x"), -TD_E_PARSE},
        {HEAD AUDIO("0\x01"), -TD_E_PARSE},
        {HEAD AUDIO("01234567890123456789012345678901"), -TD_E_LIMIT},
        {HEAD AUDIO("0") "a=rtpmap:111 a123456789012345678901234/1\r\n", -TD_E_LIMIT},
        {HEAD AUDIO("0") "a=ice-ufrag\r\na=rtpmap\r\na=fmtp:\r\na=rtcp-fb:\r\na=ssrc-group\r\n"
                         "a=msid\r\na=candidate\r\na\r\n",
         -TD_E_PARSE},
        {HEAD AUDIO("0") "a=ice-ufrag\r\na=rtpmap\r\na=fmtp:\r\na=rtcp-fb:\r\na=ssrc-group\r\n"
                         "a=msid\r\na=candidate\r\na=\r\n",
         0},
    };
    struct td_sdp *sdp = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        print_message("# row %zu\n", i);
        assert_int_equal(parse_error(rows[i].text), rows[i].error);
    }
    assert_int_equal(td_sdp_parse("v=0\r\ns=a\0b\r\n", 12, &sdp), -TD_E_PARSE);
    assert_null(sdp);
    assert_null(td_sdp_free(NULL));
}

/* `head`, then `line` so many times; %zu in it counts. */
static char *repeat(const char *head, const char *line, size_t count)
{
    size_t capacity = strlen(head) + count * (strlen(line) + 24) + 1;
    char *text = malloc(capacity);
    size_t at;

    assert_non_null(text);
    at = (size_t)snprintf(text, capacity, "%s", head);
    for (size_t i = 0; i < count; i++) {
        const char *mark = strchr(line, '#');
        int before = mark != NULL ? (int)(mark - line) : (int)strlen(line);

        at += (size_t)snprintf(text + at, capacity - at, "%.*s", before, line);
        if (mark != NULL)
            at += (size_t)snprintf(text + at, capacity - at, "%zu%s", i, mark + 1);
    }
    return text;
}

static void test_many(void **state)
{
    static const struct {
        const char *head;
        const char *line;
        size_t count;
        int error;
    } rows[] = {
        {HEAD, "a=x\r\n", 50000, 0},
        {HEAD, "a=x\r\n", 300000, -TD_E_LIMIT}, /* more than TD_SDP_BYTES_MAX */
        {HEAD, "m=audio 0 X 0\r\n", TD_SDP_SECTIONS_MAX, 0},
        {HEAD, "m=audio 0 X 0\r\n", TD_SDP_SECTIONS_MAX + 1, -TD_E_LIMIT},
        {HEAD, "m=audio 0 X 0\r\na=mid:#\r\n", TD_SDP_SECTIONS_MAX, 0},
        {HEAD AUDIO("0"), "a=candidate:# 1 udp 1 127.0.0.1 9 typ host\r\n", 5000, 0},
        {HEAD AUDIO("0"), "a=ssrc:# cname:x\r\n", 5000, 0},
        {HEAD AUDIO("0"), "a=ssrc-group:FID # 9\r\n", 5000, 0},
        {HEAD "m=audio 9 X", " #", TD_SDP_CODECS_MAX, 0},
        {HEAD "m=audio 9 X", " #", TD_SDP_CODECS_MAX + 1, -TD_E_LIMIT},
        {HEAD "m=application 9 X", " word#", 20000, 0},
        {HEAD "a=group:BUNDLE", " #", 20000, 0},
        {HEAD "a=ice-ufrag:", "x", TD_SDP_TEXT_MAX - 1, 0},
        {HEAD "a=ice-ufrag:", "x", TD_SDP_TEXT_MAX, -TD_E_LIMIT},
        {HEAD AUDIO("0") "a=fmtp:111 ", "x", TD_SDP_FMTP_MAX - 1, 0},
        {HEAD AUDIO("0") "a=fmtp:111 ", "x", TD_SDP_FMTP_MAX, -TD_E_LIMIT},
        {HEAD AUDIO("0") "a=fmtp:9 ", "x", 60000, 0}, /* of no payload type of ours */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *text = repeat(rows[i].head, rows[i].line, rows[i].count);
        struct td_sdp *sdp = NULL;
        char *answer = NULL;
        int r = td_sdp_parse(text, strlen(text), &sdp);

        print_message("# row %zu\n", i);
        assert_int_equal(r, rows[i].error);
        if (r == 0 && td_sdp_answer(sdp, &local, takes, NULL, false, &answer) == 0)
            assert_int_equal(parse_error(answer), 0);
        free(answer);
        assert_null(td_sdp_free(sdp));
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),   cmocka_unit_test(test_livekit),
        cmocka_unit_test(test_gstreamer), cmocka_unit_test(test_offer),
        cmocka_unit_test(test_taken),     cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
