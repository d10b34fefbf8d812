/* SPDX-License-Identifier: Apache-2.0 */
#include "source/livekit/livekit.h"

#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "source/binding.h"
#include "source/livekit/request.h"
#include "source/livekit/signal.h"
#include "source/livekit/tracks.h"
#include "source/livekit/trickle.h"
#include "webrtc/peer.h"
#include "webrtc/sdp.h"

#define PROTOCOL "16"      /* leave actions, async room id; fact sheet 1.4 */
#define MEDIA_TIMEOUT_S 15 /* the server gives up on a peer connection after this too */

struct livekit {
    struct td_source source; /* first */
    struct td_livekit_config config;
    struct td_source_events events;
    struct td_livekit_tracks tracks;
    struct td_signal *signal;
    struct td_peer *peer;
    struct td_peer *sender;        /* media loop: the peer until it closes, for feedback */
    struct td_trickle local;       /* our candidates */
    char self[TD_SOURCE_TEXT_MAX]; /* our participant sid */
    bool joined;
    bool answered;
    bool signal_closed;
    bool peer_closed;
    bool ending;
    bool ended;
    enum td_end_reason reason;
    struct td_fail fail;
    guint media_timer;
};

/* ---- the end ---- */

static void maybe_end(struct livekit *l)
{
    if (!l->ending || l->ended || !l->signal_closed || !l->peer_closed)
        return;
    l->ended = true;
    l->events.ended(l->events.ctx, l->reason, &l->fail);
}

static void end(struct livekit *l, enum td_end_reason reason, const struct td_fail *fail)
{
    if (l->ending)
        return;
    l->ending = true;
    l->reason = reason;
    if (fail != NULL)
        l->fail = *fail;
    if (l->media_timer != 0)
        g_source_remove(l->media_timer);
    l->media_timer = 0;
    if (!l->signal_closed)
        td_request_leave(l->signal);
    if (!l->peer_closed)
        td_peer_close(l->peer);
}

static void end_with(struct livekit *l, enum td_end_reason reason, int code, const char *text)
{
    struct td_fail fail = {.code = 0};
    (void)td_fail_set(&fail, code, "%s", text);
    end(l, reason, &fail);
}

/* ---- what we send ---- */

static void lost(struct livekit *l)
{
    end_with(l, TD_END_FAILED, -TD_E_CLOSED, "The signalling connection is gone.");
}

static void send_or_end(struct livekit *l, const Lk__SignalRequest *request)
{
    if (td_signal_send(l->signal, request) < 0)
        lost(l);
}

static void send_settings(struct livekit *l, const struct td_livekit_track *track)
{
    char *sids[] = {(char *)track->info.sid};
    Lk__UpdateTrackSettings settings = LK__UPDATE_TRACK_SETTINGS__INIT;
    settings.n_track_sids = 1;
    settings.track_sids = sids;
    settings.quality = LK__VIDEO_QUALITY__HIGH; /* unset would mean LOW */
    Lk__SignalRequest request = LK__SIGNAL_REQUEST__INIT;
    request.message_case = LK__SIGNAL_REQUEST__MESSAGE_TRACK_SETTING;
    request.track_setting = &settings;
    send_or_end(l, &request);
}

static void send_subscription(struct livekit *l, const struct td_livekit_track *track, bool wanted)
{
    char *sids[] = {(char *)track->info.sid};
    Lk__ParticipantTracks of = LK__PARTICIPANT_TRACKS__INIT;
    of.participant_sid = (char *)track->participant_sid;
    of.n_track_sids = 1;
    of.track_sids = sids;
    Lk__ParticipantTracks *list[] = {&of};
    Lk__UpdateSubscription subscription = LK__UPDATE_SUBSCRIPTION__INIT;
    subscription.subscribe = wanted;
    subscription.n_participant_tracks = 1;
    subscription.participant_tracks = list;
    Lk__SignalRequest request = LK__SIGNAL_REQUEST__INIT;
    request.message_case = LK__SIGNAL_REQUEST__MESSAGE_SUBSCRIPTION;
    request.subscription = &subscription;
    send_or_end(l, &request);
}

static int livekit_select(struct td_source *source, uint32_t handle, bool wanted)
{
    struct livekit *l = (struct livekit *)source;
    const struct td_livekit_track *track = td_livekit_tracks_find(&l->tracks, handle);
    if (track == NULL || l->ending)
        return 0; /* it has just gone: its removal was told or will be */
    if (!l->config.subscribe_all || !wanted)
        send_subscription(l, track, wanted);
    if (wanted && track->info.kind == TD_MEDIA_VIDEO)
        send_settings(l, track);
    return 0;
}

static void send_candidate(void *ctx, const char *json)
{
    struct livekit *l = ctx;
    if (td_request_trickle(l->signal, LK__SIGNAL_TARGET__SUBSCRIBER, json) < 0)
        lost(l);
}

/* ---- negotiation ---- */

static int apply_remote(struct livekit *l, const struct td_sdp *offer)
{
    const struct td_sdp_section *section = td_binding_transport(offer);
    if (section == NULL)
        return -TD_E_PARSE;
    struct td_peer_remote remote = {
        .ufrag = section->ufrag,
        .pwd = section->pwd,
        .fingerprint = section->fingerprint,
        .dtls_client = true, /* we answer active */
        .lite = offer->ice_lite,
    };
    int r = td_peer_set_remote(l->peer, &remote);
    for (unsigned i = 0; r == 0 && i < section->candidate_count; i++)
        r = td_peer_add_candidate(l->peer, section->candidates[i]);
    return r;
}

static int send_answer(struct livekit *l, const struct td_sdp *offer, uint32_t id)
{
    struct td_sdp_local local = {
        .ufrag = td_peer_ufrag(l->peer),
        .pwd = td_peer_pwd(l->peer),
        .fingerprint = td_certificate_fingerprint(l->config.certificate),
        .setup = TD_SDP_ACTIVE,
        .trickle = true,
        .candidates = (const char *const *)l->local.waiting,
        .candidate_count = l->local.waiting_count,
    };
    char *text = NULL;
    int r = td_sdp_answer(offer, &local, td_binding_takes, NULL, false, &text);
    if (r < 0)
        return r;
    r = td_request_answer(l->signal, text, id);
    free(text);
    return r;
}

static gboolean on_media_timeout(gpointer data)
{
    struct livekit *l = data;
    l->media_timer = 0;
    end_with(l, TD_END_FAILED, -TD_E_TIMEOUT,
             "No media connection within 15 s: check that UDP from the server reaches this host.");
    return G_SOURCE_REMOVE;
}

static void on_offer(struct livekit *l, const Lk__SessionDescription *description)
{
    struct td_sdp *offer = NULL;
    int r = td_sdp_parse(description->sdp, strlen(description->sdp), &offer);
    if (r == 0) {
        td_livekit_tracks_offer(&l->tracks, offer); /* before packets can come */
        r = send_answer(l, offer, description->id);
    }
    if (r == 0) /* after the answer: our checks must not be the first the server hears of us */
        r = apply_remote(l, offer);
    td_sdp_free(offer);
    if (r < 0) {
        end_with(l, TD_END_FAILED, r, "The server's offer could not be answered.");
        return;
    }
    if (l->answered)
        return;
    l->answered = true;
    l->media_timer = g_timeout_add_seconds(MEDIA_TIMEOUT_S, on_media_timeout, l);
    td_trickle_open(&l->local, send_candidate, l);
}

/* ---- what the server says ---- */

/* Said once: the counter goes on with every update. */
static void note_refused(struct livekit *l, uint64_t before)
{
    if (before == 0 && l->tracks.refused > 0)
        td_log_line(l->config.log, TD_LOG_WARN,
                    "event=room_too_large text=\"more than %u tracks or %u participants; the "
                    "rest is left out\"",
                    TD_TRACKS_MAX, TD_PARTICIPANTS_MAX);
}

static void on_join(struct livekit *l, const Lk__JoinResponse *join)
{
    if (l->joined)
        return;
    l->joined = true;
    if (join->participant != NULL)
        (void)snprintf(l->self, sizeof(l->self), "%s", join->participant->sid);
    l->events.accepted(l->events.ctx, join->room != NULL ? join->room->sid : "",
                       join->room != NULL ? join->room->name : "");
    for (size_t i = 0; i < join->n_other_participants; i++)
        td_livekit_tracks_participant(&l->tracks, join->other_participants[i]);
    note_refused(l, 0);
}

static void on_update(struct livekit *l, const Lk__ParticipantUpdate *update)
{
    uint64_t refused = l->tracks.refused;
    for (size_t i = 0; i < update->n_participants; i++) {
        if (strcmp(update->participants[i]->sid, l->self) != 0)
            td_livekit_tracks_participant(&l->tracks, update->participants[i]);
    }
    note_refused(l, refused);
}

static void on_leave(struct livekit *l, const Lk__LeaveRequest *leave)
{
    switch (leave->reason) {
    case LK__DISCONNECT_REASON__ROOM_CLOSED:
    case LK__DISCONNECT_REASON__ROOM_DELETED:
        end(l, TD_END_ROOM_CLOSED, NULL);
        break;
    case LK__DISCONNECT_REASON__PARTICIPANT_REMOVED:
        end_with(l, TD_END_LEFT, -TD_E_CLOSED, "The recorder was removed from the room.");
        break;
    case LK__DISCONNECT_REASON__DUPLICATE_IDENTITY:
        end_with(l, TD_END_LEFT, -TD_E_CLOSED,
                 "Another client joined with the recorder's identity.");
        break;
    case LK__DISCONNECT_REASON__SERVER_SHUTDOWN:
        end_with(l, TD_END_DISCONNECTED, -TD_E_CLOSED, "The server is shutting down.");
        break;
    default:
        end_with(l, TD_END_FAILED, -TD_E_CLOSED, "The server ended the session.");
        break;
    }
}

static void on_trickle(struct livekit *l, const Lk__TrickleRequest *trickle)
{
    char candidate[TD_TRICKLE_TEXT_MAX];
    if (trickle->target != LK__SIGNAL_TARGET__SUBSCRIBER ||
        td_trickle_parse(trickle->candidate_init, candidate) != 1)
        return;
    int r = td_peer_add_candidate(l->peer, candidate);
    if (r < 0)
        td_log_line(l->config.log, TD_LOG_DEBUG, "event=candidate_refused error=%s",
                    td_err_name(r));
}

static void on_message(void *ctx, const Lk__SignalResponse *message)
{
    struct livekit *l = ctx;
    if (l->ending)
        return;
    switch (message->message_case) {
    case LK__SIGNAL_RESPONSE__MESSAGE_JOIN:
        on_join(l, message->join);
        break;
    case LK__SIGNAL_RESPONSE__MESSAGE_OFFER:
        on_offer(l, message->offer);
        break;
    case LK__SIGNAL_RESPONSE__MESSAGE_TRICKLE:
        on_trickle(l, message->trickle);
        break;
    case LK__SIGNAL_RESPONSE__MESSAGE_UPDATE:
        on_update(l, message->update);
        break;
    case LK__SIGNAL_RESPONSE__MESSAGE_LEAVE:
        on_leave(l, message->leave);
        break;
    case LK__SIGNAL_RESPONSE__MESSAGE_SUBSCRIPTION_RESPONSE:
        td_log_line(l->config.log, TD_LOG_WARN, "event=subscription_refused track=%s code=%u",
                    message->subscription_response->track_sid, message->subscription_response->err);
        break;
    default: /* new kinds appear regularly; none of them concerns a recorder */
        break;
    }
}

static void on_signal_closed(void *ctx, const struct td_fail *fail)
{
    struct livekit *l = ctx;
    l->signal_closed = true;
    bool refused = fail->code == -TD_E_REFUSED || fail->code == -TD_E_TIMEOUT;
    end(l, refused ? TD_END_REFUSED : TD_END_FAILED, fail);
    maybe_end(l);
}

/* ---- the peer ---- */

static void on_peer_state(void *ctx, enum td_peer_state state, int error)
{
    struct livekit *l = ctx;
    char text[TD_FAIL_TEXT_MAX];
    switch (state) {
    case TD_PEER_CONNECTED:
        if (l->media_timer != 0)
            g_source_remove(l->media_timer);
        l->media_timer = 0;
        l->events.connected(l->events.ctx);
        break;
    case TD_PEER_FAILED:
        (void)snprintf(text, sizeof(text), "The media connection failed (%s).", td_err_text(error));
        end_with(l, TD_END_FAILED, error < 0 ? error : -TD_E_CLOSED, text);
        break;
    case TD_PEER_CLOSED:
        end_with(l, TD_END_DISCONNECTED, -TD_E_CLOSED, "The server closed the media connection.");
        break;
    case TD_PEER_NEW:
    case TD_PEER_CONNECTING:
        break;
    }
}

static void on_peer_candidate(void *ctx, const char *candidate)
{
    struct livekit *l = ctx;
    if (candidate != NULL && !l->ending)
        td_trickle_add(&l->local, candidate);
}

static void on_peer_silenced(void *ctx)
{
    struct livekit *l = ctx;
    l->sender = NULL;
}

static void on_peer_closed(void *ctx)
{
    struct livekit *l = ctx;
    l->peer_closed = true;
    l->peer = NULL;
    maybe_end(l);
}

/* The peer may be gone well before the source has ended. */
static int livekit_send_rtcp(struct td_source *source, const uint8_t *bytes, size_t len)
{
    struct td_peer *sender = ((struct livekit *)source)->sender;
    return sender != NULL ? td_peer_send_rtcp(sender, bytes, len) : -TD_E_STATE;
}

/* ---- making and freeing ---- */

static void livekit_stop(struct td_source *source)
{
    end((struct livekit *)source, TD_END_STOPPED, NULL);
}

static struct td_source *livekit_free(struct td_source *source)
{
    struct livekit *l = (struct livekit *)source;
    td_signal_free(l->signal);
    td_livekit_tracks_done(&l->tracks);
    td_trickle_done(&l->local);
    free(l);
    return NULL;
}

static const struct td_source_ops livekit_ops = {
    .name = "livekit",
    .select = livekit_select,
    .stop = livekit_stop,
    .free = livekit_free,
    .send_rtcp = livekit_send_rtcp,
};

static int open_peer(struct livekit *l, const struct td_media_sink *sink, struct td_fail *ret_fail)
{
    struct td_peer_config config = {
        .loop = l->config.loop,
        .control = l->config.control,
        .certificate = l->config.certificate,
        .transport = l->config.transport,
        .tell_loopback = td_signal_is_local(l->config.url),
        .controlling = false, /* the server offers */
    };
    struct td_peer_events events = {
        .ctx = l,
        .state = on_peer_state,
        .candidate = on_peer_candidate,
        .closed = on_peer_closed,
        .silenced = on_peer_silenced,
        .media_ctx = sink->ctx,
        .packet = sink->packet,
    };
    int r = td_peer_new(&config, &events, &l->peer);
    l->sender = l->peer; /* before the media loop is told of this source */
    return r < 0 ? td_fail_set(ret_fail, r, "No media transport: %s.", td_err_text(r)) : 0;
}

static int open_signal(struct livekit *l, struct td_fail *ret_fail)
{
    char *token = NULL;
    struct td_livekit_credentials credentials = {
        .token = l->config.token,
        .api_key = l->config.api_key,
        .api_secret = l->config.api_secret,
        .room = l->config.room,
        .identity = l->config.identity,
        .role = TD_JWT_RECORDER,
    };
    int r = td_request_token(&credentials, ret_fail, &token);
    if (r < 0)
        return r;
    char query[256];
    (void)snprintf(query, sizeof(query),
                   "protocol=" PROTOCOL "&auto_subscribe=%d&adaptive_stream=0"
                   "&subscriber_allow_pause=0&version=" TD_VERSION "&os=linux",
                   l->config.subscribe_all);
    struct td_signal_config config = {
        .url = l->config.url,
        .token = token,
        .query = query,
        .log = l->config.log,
    };
    struct td_signal_events events = {
        .ctx = l,
        .message = on_message,
        .closed = on_signal_closed,
    };
    r = td_signal_open(&config, &events, ret_fail, &l->signal);
    free(token);
    return r;
}

int td_livekit_new(const struct td_livekit_config *config, const struct td_source_events *events,
                   const struct td_media_sink *sink, struct td_fail *ret_fail,
                   struct td_source **ret_source)
{
    struct livekit *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return td_fail_set(ret_fail, -ENOMEM, "Out of memory.");
    l->source.ops = &livekit_ops;
    l->config = *config;
    l->events = *events;
    td_livekit_tracks_init(&l->tracks, &l->events);
    int r = open_signal(l, ret_fail);
    /* Candidates are gathered while the server is still being asked. */
    if (r == 0)
        r = open_peer(l, sink, ret_fail);
    if (r < 0) {
        (void)livekit_free(&l->source);
        return r;
    }
    *ret_source = &l->source;
    return 0;
}
