/* SPDX-License-Identifier: Apache-2.0 */
#include "source/whip/whip.h"

#include <assert.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "source/binding.h"
#include "webrtc/peer.h"
#include "webrtc/sdp.h"

struct whip {
    struct td_source source; /* first */
    struct td_whip_config config;
    struct td_source_events events;
    char room[TD_SOURCE_TEXT_MAX];
    struct td_peer *peer;
    struct td_peer *sender; /* media loop: the peer until it closes, for feedback */
    struct td_sdp *offer;
    td_whip_answer_fn *answered; /* NULL once called */
    void *answer_ctx;
    char *candidates[TD_CANDIDATES_MAX];
    unsigned candidate_count;
    guint timer; /* connecting, or lost */
    bool announced;
    bool connected;
    bool ending;
    enum td_end_reason reason;
    struct td_fail fail;
};

/* ---- the end ---- */

static void answer_failed(struct whip *w)
{
    td_whip_answer_fn *answered = w->answered;
    w->answered = NULL;
    if (answered != NULL)
        answered(w->answer_ctx, NULL, &w->fail);
}

static void end(struct whip *w, enum td_end_reason reason, int code, const char *text)
{
    if (w->ending)
        return;
    w->ending = true;
    w->reason = reason;
    if (code != 0)
        (void)td_fail_set(&w->fail, code, "%s", text);
    if (w->timer != 0)
        g_source_remove(w->timer);
    w->timer = 0;
    answer_failed(w);
    td_peer_close(w->peer);
}

static void on_peer_silenced(void *ctx)
{
    struct whip *w = ctx;
    w->sender = NULL;
}

static void on_peer_closed(void *ctx)
{
    struct whip *w = ctx;
    w->peer = NULL;
    w->events.ended(w->events.ctx, w->reason, &w->fail);
}

static gboolean on_timeout(gpointer data)
{
    struct whip *w = data;
    w->timer = 0;
    if (w->connected)
        end(w, TD_END_DISCONNECTED, -TD_E_CLOSED, "The publisher went away.");
    else
        end(w, TD_END_REFUSED, -TD_E_TIMEOUT, "The publisher did not connect within 10 s.");
    return G_SOURCE_REMOVE;
}

static gboolean on_unusable(gpointer data)
{
    struct whip *w = data;
    w->timer = 0;
    end(w, TD_END_FAILED, 0, "");
    return G_SOURCE_REMOVE;
}

/* ---- tracks ---- */

static void announce_section(struct whip *w, const struct td_sdp_section *section, uint32_t handle)
{
    bool video = section->kind == TD_SDP_VIDEO;
    struct td_track_binding binding;
    if (!td_binding_read(section, handle, &binding))
        return;
    struct td_track_info info = {
        .handle = handle,
        .kind = video ? TD_MEDIA_VIDEO : TD_MEDIA_AUDIO,
        .role = video ? TD_ROLE_CAMERA : TD_ROLE_MICROPHONE,
        /* Several codecs may be offered; the packets tell which one is sent. */
        .codec = binding.payload_count == 1 ? binding.payloads[0].codec : TD_CODEC_NONE,
    };
    memcpy(info.participant, w->room, sizeof(info.participant));
    (void)snprintf(info.sid, sizeof(info.sid), "%s", section->mid);
    w->events.track_added(w->events.ctx, &info);
    w->events.track_bound(w->events.ctx, &binding);
}

/* One camera and one microphone: the first section of each kind (the rest stays unrecorded). */
static void announce(struct whip *w)
{
    w->announced = true;
    w->events.accepted(w->events.ctx, "", w->room);
    w->events.participant(w->events.ctx, w->room, true);
    bool have[2] = {false, false};
    for (unsigned i = 0; i < w->offer->section_count; i++) {
        const struct td_sdp_section *section = &w->offer->sections[i];
        bool video = section->kind == TD_SDP_VIDEO;
        if (!td_binding_sends(section) || have[video])
            continue;
        have[video] = true;
        announce_section(w, section, i + 1);
    }
}

/* ---- negotiation ---- */

/* DTLS: left to the publisher where it can, so that its ClientHello is its first packet. */
static bool we_connect(const struct whip *w)
{
    return td_binding_transport(w->offer)->setup == TD_SDP_PASSIVE;
}

static int write_answer(struct whip *w, char **ret_text)
{
    struct td_sdp_local local = {
        .ufrag = td_peer_ufrag(w->peer),
        .pwd = td_peer_pwd(w->peer),
        .fingerprint = td_certificate_fingerprint(w->config.certificate),
        .setup = we_connect(w) ? TD_SDP_ACTIVE : TD_SDP_PASSIVE,
        .trickle = true,
        .opus_stereo = true, /* browsers send mono unless told */
        .candidates = (const char *const *)w->candidates,
        .candidate_count = w->candidate_count,
    };
    return td_sdp_answer(w->offer, &local, td_binding_takes, NULL, true, ret_text);
}

/* All our candidates are known: the one answer carries them (RFC 9725 section 4.3). */
static void give_answer(struct whip *w)
{
    if (w->answered == NULL || w->ending)
        return;
    char *text = NULL;
    int r = write_answer(w, &text);
    if (r < 0) {
        end(w, TD_END_FAILED, r, "The offer could not be answered.");
        return;
    }
    announce(w); /* before a packet can come */
    td_whip_answer_fn *answered = w->answered;
    w->answered = NULL;
    answered(w->answer_ctx, text, NULL);
    free(text);
}

static void on_peer_candidate(void *ctx, const char *candidate)
{
    struct whip *w = ctx;
    if (candidate == NULL) {
        give_answer(w);
        return;
    }
    if (w->candidate_count == TD_CANDIDATES_MAX || w->answered == NULL)
        return;
    char *copy = strdup(candidate);
    if (copy != NULL)
        w->candidates[w->candidate_count++] = copy;
}

static void on_peer_state(void *ctx, enum td_peer_state state, int error)
{
    struct whip *w = ctx;
    switch (state) {
    case TD_PEER_CONNECTED:
        w->connected = true;
        if (w->timer != 0)
            g_source_remove(w->timer);
        w->timer = 0;
        w->events.connected(w->events.ctx);
        break;
    case TD_PEER_FAILED:
        if (w->connected)
            end(w, TD_END_DISCONNECTED, -TD_E_CLOSED, "The publisher went away.");
        else
            end(w, TD_END_FAILED, error < 0 ? error : -TD_E_CLOSED,
                "The publisher could not be reached.");
        break;
    case TD_PEER_CLOSED:
        end(w, TD_END_DISCONNECTED, 0, "");
        break;
    case TD_PEER_NEW:
    case TD_PEER_CONNECTING:
        break;
    }
}

static int check_offer(const struct td_sdp *offer, struct td_fail *ret_fail)
{
    const struct td_sdp_section *transport = td_binding_transport(offer);
    if (transport == NULL || transport->fingerprint[0] == '\0')
        return td_fail_set(ret_fail, -TD_E_PARSE,
                           "The offer has no ICE credentials or no DTLS "
                           "fingerprint.");
    for (unsigned i = 0; i < offer->section_count; i++) {
        struct td_track_binding binding;
        if (td_binding_sends(&offer->sections[i]) &&
            td_binding_read(&offer->sections[i], 0, &binding))
            return 0;
    }
    return td_fail_set(ret_fail, -TD_E_UNSUPPORTED,
                       "The offer sends nothing that can be recorded (H.264, VP8, Opus).");
}

static int read_offer(const char *text, size_t len, struct td_fail *ret_fail,
                      struct td_sdp **ret_offer)
{
    struct td_sdp *offer = NULL;
    int r = td_sdp_parse(text, len, &offer);
    if (r < 0)
        return td_fail_set(ret_fail, -TD_E_PARSE, "The offer is not a valid session description.");
    r = check_offer(offer, ret_fail);
    if (r == 0)
        *ret_offer = offer;
    else
        td_sdp_free(offer);
    return r;
}

int td_whip_check(const char *offer, size_t offer_len, struct td_fail *ret_fail)
{
    struct td_sdp *parsed = NULL;
    int r = read_offer(offer, offer_len, ret_fail, &parsed);
    td_sdp_free(parsed);
    return r;
}

static int set_remote(struct whip *w)
{
    const struct td_sdp_section *transport = td_binding_transport(w->offer);
    struct td_peer_remote remote = {
        .ufrag = transport->ufrag,
        .pwd = transport->pwd,
        .fingerprint = transport->fingerprint,
        .dtls_client = we_connect(w),
    };
    int r = td_peer_set_remote(w->peer, &remote);
    for (unsigned i = 0; r == 0 && i < transport->candidate_count; i++)
        r = td_peer_add_candidate(w->peer, transport->candidates[i]);
    return r;
}

/* ---- source ---- */

static int whip_select(struct td_source *source, uint32_t handle, bool wanted)
{
    /* A publisher sends what it sends. */
    (void)source;
    (void)handle;
    (void)wanted;
    return 0;
}

static void whip_stop(struct td_source *source)
{
    end((struct whip *)source, TD_END_STOPPED, 0, "");
}

static struct td_source *whip_free(struct td_source *source)
{
    struct whip *w = (struct whip *)source;
    while (w->candidate_count > 0)
        free(w->candidates[--w->candidate_count]);
    td_sdp_free(w->offer);
    free(w);
    return NULL;
}

/* The peer may be gone well before the source has ended. */
static int whip_send_rtcp(struct td_source *source, const uint8_t *bytes, size_t len)
{
    struct td_peer *sender = ((struct whip *)source)->sender;
    return sender != NULL ? td_peer_send_rtcp(sender, bytes, len) : -TD_E_STATE;
}

static const struct td_source_ops whip_ops = {
    .name = "whip",
    .select = whip_select,
    .stop = whip_stop,
    .free = whip_free,
    .send_rtcp = whip_send_rtcp,
};

static int open_peer(struct whip *w, const struct td_media_sink *sink)
{
    struct td_peer_config config = {
        .loop = w->config.loop,
        .control = w->config.control,
        .certificate = w->config.certificate,
        .transport = w->config.transport,
        .controlling = false, /* the offerer controls (RFC 8445 section 6.1.1) */
        .loopback_only = w->config.loopback_only,
        .tell_loopback = w->config.tell_loopback,
    };
    struct td_peer_events events = {
        .ctx = w,
        .state = on_peer_state,
        .candidate = on_peer_candidate,
        .closed = on_peer_closed,
        .silenced = on_peer_silenced,
        .media_ctx = sink->ctx,
        .packet = sink->packet,
    };
    int r = td_peer_new(&config, &events, &w->peer);
    w->sender = w->peer; /* before the media loop is told of this source */
    return r;
}

int td_whip_new(const struct td_whip_config *config, const char *offer, size_t offer_len,
                const struct td_source_events *events, const struct td_media_sink *sink,
                td_whip_answer_fn *answered, void *ctx, struct td_fail *ret_fail,
                struct td_source **ret_source)
{
    struct whip *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return td_fail_set(ret_fail, -ENOMEM, "Out of memory.");
    w->source.ops = &whip_ops;
    w->config = *config;
    w->events = *events;
    w->answered = answered;
    w->answer_ctx = ctx;
    (void)snprintf(w->room, sizeof(w->room), "%s", config->room);
    int r = read_offer(offer, offer_len, ret_fail, &w->offer);
    if (r == 0 && (r = open_peer(w, sink)) < 0)
        (void)td_fail_set(ret_fail, r, "No media transport: %s.", td_err_text(r));
    if (r < 0) {
        (void)whip_free(&w->source);
        return r;
    }
    *ret_source = &w->source;
    r = set_remote(w);
    if (r < 0) {
        (void)td_fail_set(&w->fail, r, "The offer could not be used: %s.", td_err_text(r));
        w->timer = g_idle_add(on_unusable, w); /* callbacks never come from within this call */
        return 0;
    }
    w->timer = g_timeout_add((guint)(TD_WHIP_CONNECT_TIMEOUT_US / TD_US_PER_MS), on_timeout, w);
    return 0;
}

/* ---- trickle ---- */

static int one_line(struct whip *w, const char *line, size_t len)
{
    static const char candidate[] = "a=candidate:";
    static const char ufrag[] = "a=ice-ufrag:";
    char text[TD_SDP_TEXT_MAX];
    if (len >= sizeof(text))
        return -TD_E_PARSE;
    memcpy(text, line, len);
    text[len] = '\0';
    if (strncmp(text, ufrag, sizeof(ufrag) - 1) == 0) {
        const struct td_sdp_section *transport = td_binding_transport(w->offer);
        return strcmp(text + sizeof(ufrag) - 1, transport->ufrag) == 0 ? 0 : -TD_E_UNSUPPORTED;
    }
    if (strncmp(text, candidate, sizeof(candidate) - 1) == 0)
        return td_peer_add_candidate(w->peer, text + 2);
    return 0;
}

int td_whip_trickle(struct td_source *source, const char *fragment, size_t len)
{
    struct whip *w = (struct whip *)source;
    if (w->ending)
        return -TD_E_STATE;
    size_t at = 0;
    while (at < len) {
        const char *line = fragment + at;
        const char *newline = memchr(line, '\n', len - at);
        size_t line_len = newline != NULL ? (size_t)(newline - line) : len - at;
        at += line_len + 1;
        while (line_len > 0 && line[line_len - 1] == '\r')
            line_len--;
        int r = one_line(w, line, line_len);
        if (r < 0)
            return r;
    }
    return 0;
}

void td_whip_delete(struct td_source *source)
{
    end((struct whip *)source, TD_END_LEFT, 0, "");
}
