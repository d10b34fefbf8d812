/* SPDX-License-Identifier: Apache-2.0 */
#include "webrtc/sdp.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/bytes.h"

/* The longest line we print: an fmtp with all of its text. */
#define LINE_MAX_BYTES 1024
/* An answer repeats the offered codecs and adds our transport to each section. */
#define TEXT_BYTES_MAX (2u * TD_SDP_BYTES_MAX)

/* The first error stays; everything after it is skipped. */
struct out {
    struct td_bytes bytes;
    int error;
};

TD_PRINTF(2, 3) static void put(struct out *out, const char *fmt, ...)
{
    char line[LINE_MAX_BYTES];
    va_list args;
    int n;

    if (out->error < 0)
        return;
    va_start(args, fmt);
    n = vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof(line))
        out->error = -TD_E_LIMIT;
    else
        out->error = td_bytes_append(&out->bytes, line, (size_t)n);
}

/* Ends the text; hands it over or frees it. */
static int finish(struct out *out, char **ret_text)
{
    int r = out->error;

    if (r == 0)
        r = td_bytes_append(&out->bytes, "", 1);
    if (r == 0) {
        /* td_bytes_done must not see what belongs to the caller now. */
        char *text = malloc(out->bytes.len);

        if (text != NULL) {
            memcpy(text, out->bytes.data, out->bytes.len);
            *ret_text = text;
        } else {
            r = -ENOMEM;
        }
    }
    td_bytes_done(&out->bytes);
    return r;
}

/* ---- what answers and offers share ---- */

static const char *setup_name(enum td_sdp_setup setup)
{
    switch (setup) {
    case TD_SDP_ACTIVE:
        return "active";
    case TD_SDP_PASSIVE:
        return "passive";
    case TD_SDP_ACTPASS:
    case TD_SDP_SETUP_NONE:
        break;
    }
    return "actpass";
}

/* RFC 8829 section 5.2.1: the session id need not mean anything; the same connection keeps it. */
static void put_head(struct out *out, const struct td_sdp_local *local)
{
    uint32_t id = td_crc32(0, local->ufrag, strlen(local->ufrag));

    put(out, "v=0\r\no=- %u %llu IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n", id,
        (unsigned long long)local->version);
    put(out, "a=fingerprint:%s\r\n", local->fingerprint);
}

static void put_transport(struct out *out, const struct td_sdp_local *local)
{
    put(out, "a=ice-ufrag:%s\r\na=ice-pwd:%s\r\n", local->ufrag, local->pwd);
    if (local->trickle)
        put(out, "a=ice-options:trickle\r\n");
    put(out, "a=fingerprint:%s\r\na=setup:%s\r\n", local->fingerprint, setup_name(local->setup));
}

static void put_candidates(struct out *out, const struct td_sdp_local *local)
{
    for (unsigned i = 0; i < local->candidate_count; i++)
        put(out, "a=%s\r\n", local->candidates[i]);
    if (!local->trickle)
        put(out, "a=end-of-candidates\r\n");
}

/* ---- answer ---- */

struct answer {
    struct out out;
    const struct td_sdp_local *local;
    td_sdp_takes_fn *takes;
    void *ctx;
    bool reject;
    bool accepted[TD_SDP_SECTIONS_MAX];
    bool candidates_written;
};

static bool is_media(const struct td_sdp_section *section)
{
    return section->kind == TD_SDP_AUDIO || section->kind == TD_SDP_VIDEO;
}

static bool takes(const struct answer *a, const struct td_sdp_section *section,
                  const struct td_sdp_codec *codec)
{
    return codec->name[0] != '\0' && strcasecmp(codec->name, "rtx") != 0 &&
           a->takes(a->ctx, section, codec);
}

static bool takes_any(const struct answer *a, const struct td_sdp_section *section)
{
    for (unsigned i = 0; i < section->codec_count; i++)
        if (takes(a, section, &section->codecs[i]))
            return true;
    return false;
}

/* The section alone: protocol, mux, codecs. */
static bool is_acceptable(const struct answer *a, const struct td_sdp_section *section)
{
    if (section->rejected)
        return false;
    if (section->kind == TD_SDP_APPLICATION)
        return strstr(section->proto, "DTLS/SCTP") != NULL;
    if (!is_media(section) || !section->rtcp_mux || strstr(section->proto, "RTP/SAVP") == NULL)
        return false;
    return !a->reject || takes_any(a, section);
}

/* All accepted sections share one transport: those of the BUNDLE group, or one alone. */
static unsigned choose(struct answer *a, const struct td_sdp *offer)
{
    const struct td_sdp_section *first = NULL;
    unsigned count = 0;

    for (unsigned i = 0; i < offer->section_count; i++) {
        const struct td_sdp_section *section = &offer->sections[i];

        if (!is_acceptable(a, section))
            continue;
        if (first != NULL && !(first->bundled && section->bundled))
            continue;
        if (first == NULL)
            first = section;
        a->accepted[i] = true;
        count++;
    }
    return count;
}

static void put_bundle(struct answer *a, const struct td_sdp *offer)
{
    bool any = false;

    for (unsigned i = 0; i < offer->section_count; i++) {
        if (!a->accepted[i] || !offer->sections[i].bundled)
            continue;
        put(&a->out, "%s %s", any ? "" : "a=group:BUNDLE", offer->sections[i].mid);
        any = true;
    }
    if (any)
        put(&a->out, "\r\n");
}

static void put_mid(struct answer *a, const struct td_sdp_section *section)
{
    put(&a->out, "c=IN IP4 0.0.0.0\r\n");
    if (section->mid[0] != '\0')
        put(&a->out, "a=mid:%s\r\n", section->mid);
}

static void put_rejected(struct answer *a, const struct td_sdp_section *section)
{
    put(&a->out, "m=%s 0 %s %s\r\n", section->media, section->proto, section->formats);
    put_mid(a, section);
    put(&a->out, "a=inactive\r\n");
}

static void put_application(struct answer *a, const struct td_sdp_section *section)
{
    put(&a->out, "m=%s 9 %s %s\r\n", section->media, section->proto, section->formats);
    put_mid(a, section);
    put_transport(&a->out, a->local);
    if (section->sctp_port != 0)
        put(&a->out, "a=sctp-port:%u\r\n", section->sctp_port);
    if (section->max_message_bytes != 0)
        put(&a->out, "a=max-message-size:%u\r\n", section->max_message_bytes);
}

/* "stereo=" as a parameter of its own: "sprop-stereo=" is another one (RFC 7587 section 6.1). */
static bool says_stereo(const char *fmtp)
{
    const char *at = fmtp;

    while ((at = strstr(at, "stereo=")) != NULL) {
        if (at == fmtp || at[-1] == ';' || at[-1] == ' ')
            return true;
        at++;
    }
    return false;
}

static void put_codec(struct answer *a, const struct td_sdp_codec *codec)
{
    unsigned pt = codec->payload_type;
    bool stereo = a->local->opus_stereo && strcasecmp(codec->name, "opus") == 0 &&
                  !says_stereo(codec->fmtp);

    put(&a->out, "a=rtpmap:%u %s/%u", pt, codec->name, codec->clock_hz);
    if (codec->channels > 1)
        put(&a->out, "/%u", codec->channels);
    put(&a->out, "\r\n");
    if (codec->nack)
        put(&a->out, "a=rtcp-fb:%u nack\r\n", pt);
    if (codec->nack_pli)
        put(&a->out, "a=rtcp-fb:%u nack pli\r\n", pt);
    if (codec->ccm_fir)
        put(&a->out, "a=rtcp-fb:%u ccm fir\r\n", pt);
    if (codec->fmtp[0] != '\0' || stereo)
        put(&a->out, "a=fmtp:%u %s%s%s\r\n", pt, codec->fmtp,
            stereo && codec->fmtp[0] != '\0' ? ";" : "", stereo ? "stereo=1" : "");
}

static void put_media(struct answer *a, const struct td_sdp_section *section)
{
    bool ours = takes_any(a, section);
    bool receive = ours &&
                   (section->direction == TD_SDP_SENDRECV || section->direction == TD_SDP_SENDONLY);

    put(&a->out, "m=%s 9 %s", section->media, section->proto);
    for (unsigned i = 0; i < section->codec_count; i++)
        if (!ours || takes(a, section, &section->codecs[i]))
            put(&a->out, " %u", section->codecs[i].payload_type);
    put(&a->out, "\r\n");
    put_mid(a, section);
    put_transport(&a->out, a->local);
    put(&a->out, "a=rtcp-mux\r\n%s", section->rtcp_rsize ? "a=rtcp-rsize\r\n" : "");
    put(&a->out, "a=%s\r\n", receive ? "recvonly" : "inactive");
    for (unsigned i = 0; i < section->codec_count; i++)
        if (section->codecs[i].name[0] != '\0' && (!ours || takes(a, section, &section->codecs[i])))
            put_codec(a, &section->codecs[i]);
}

static void put_section(struct answer *a, const struct td_sdp_section *section, bool accepted)
{
    if (!accepted) {
        put_rejected(a, section);
        return;
    }
    if (section->kind == TD_SDP_APPLICATION)
        put_application(a, section);
    else
        put_media(a, section);
    if (!a->candidates_written)
        put_candidates(&a->out, a->local);
    a->candidates_written = true;
}

int td_sdp_answer(const struct td_sdp *offer, const struct td_sdp_local *local,
                  td_sdp_takes_fn *takes_fn, void *ctx, bool reject, char **ret_text)
{
    struct answer a = {.local = local, .takes = takes_fn, .ctx = ctx, .reject = reject};

    assert(offer != NULL && local != NULL && takes_fn != NULL && ret_text != NULL);
    assert(local->ufrag != NULL && local->pwd != NULL && local->fingerprint != NULL);
    assert(offer->section_count <= TD_SDP_SECTIONS_MAX);
    if (choose(&a, offer) == 0)
        return -TD_E_UNSUPPORTED;
    td_bytes_init(&a.out.bytes, TEXT_BYTES_MAX, NULL);
    put_head(&a.out, local);
    put_bundle(&a, offer);
    for (unsigned i = 0; i < offer->section_count; i++)
        put_section(&a, &offer->sections[i], a.accepted[i]);
    return finish(&a.out, ret_text);
}

/* ---- offer ---- */

static void put_sender(struct out *out, const struct td_sdp_local *local,
                       const struct td_sdp_sender *s, unsigned mid)
{
    unsigned pt = s->payload_type;

    put(out, "m=%s 9 UDP/TLS/RTP/SAVPF %u\r\nc=IN IP4 0.0.0.0\r\na=mid:%u\r\n",
        s->kind == TD_SDP_AUDIO ? "audio" : "video", pt, mid);
    put_transport(out, local);
    put(out, "a=rtcp-mux\r\na=rtcp-rsize\r\na=sendonly\r\n");
    put(out, "a=rtpmap:%u %s/%u", pt, s->codec_name, s->clock_hz);
    if (s->channels > 1)
        put(out, "/%u", s->channels);
    put(out, "\r\n");
    if (s->kind == TD_SDP_VIDEO)
        put(out, "a=rtcp-fb:%u nack\r\na=rtcp-fb:%u nack pli\r\na=rtcp-fb:%u ccm fir\r\n", pt, pt,
            pt);
    if (s->fmtp != NULL && s->fmtp[0] != '\0')
        put(out, "a=fmtp:%u %s\r\n", pt, s->fmtp);
    put(out, "a=msid:%s %s\r\n", s->stream_id, s->track_id);
    put(out, "a=ssrc:%u cname:%s\r\n", s->ssrc, s->stream_id);
    put(out, "a=ssrc:%u msid:%s %s\r\n", s->ssrc, s->stream_id, s->track_id);
}

int td_sdp_offer(const struct td_sdp_local *local, const struct td_sdp_sender *senders,
                 unsigned count, char **ret_text)
{
    struct out out = {.error = 0};

    assert(local != NULL && ret_text != NULL && (senders != NULL || count == 0));
    if (count == 0 || count > TD_SDP_SECTIONS_MAX)
        return -TD_E_LIMIT;
    td_bytes_init(&out.bytes, TEXT_BYTES_MAX, NULL);
    put_head(&out, local);
    put(&out, "a=group:BUNDLE");
    for (unsigned i = 0; i < count; i++)
        put(&out, " %u", i);
    put(&out, "\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS *\r\n");
    for (unsigned i = 0; i < count; i++) {
        put_sender(&out, local, &senders[i], i);
        if (i == 0)
            put_candidates(&out, local);
    }
    return finish(&out, ret_text);
}
