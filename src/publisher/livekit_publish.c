/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "publisher/link.h"
#include "source/binding.h"
#include "source/livekit/request.h"
#include "source/livekit/signal.h"
#include "source/livekit/trickle.h"
#include "webrtc/peer.h"
#include "webrtc/sdp.h"

/* Dual peer connections; the subscriber's is the primary one, and a participant that never
 * connects it is thrown out after 60 s: fact sheet sections 1.4 and 1.5. */
#define QUERY "protocol=16&auto_subscribe=0&adaptive_stream=0&version=" TD_VERSION "&os=linux"

struct livekit;

/* One of the two peer connections. */
struct side {
    struct livekit *owner;
    Lk__SignalTarget target;
    struct td_peer *peer; /* NULL = not opened yet, or gone */
    struct td_trickle local;
};

struct livekit {
    struct td_link link; /* first */
    struct td_link_config config;
    struct td_link_events events;
    struct td_signal *signal;
    struct side publisher;
    struct side subscriber;
    bool joined;
    unsigned published; /* bits of the tracks that the server knows */
    bool offered;
    bool signal_closed;
    bool ending;
    bool ended;
    enum td_link_end end;
    struct td_fail fail;
    guint timer; /* until connected */
};

/* ---- the end ---- */

static void maybe_end(struct livekit *l)
{
    if (!l->ending || l->ended || !l->signal_closed || l->publisher.peer != NULL ||
        l->subscriber.peer != NULL)
        return;
    l->ended = true;
    l->events.ended(l->events.ctx, l->end, &l->fail);
}

static void end(struct livekit *l, enum td_link_end how, int code, const char *text)
{
    if (l->ending)
        return;
    l->ending = true;
    l->end = how;
    if (code < 0)
        (void)td_fail_set(&l->fail, code, "%s", text);
    if (l->timer != 0)
        g_source_remove(l->timer);
    l->timer = 0;
    td_pump_detach(l->config.pump);
    if (!l->signal_closed)
        td_request_leave(l->signal);
    if (l->publisher.peer != NULL)
        td_peer_close(l->publisher.peer);
    if (l->subscriber.peer != NULL)
        td_peer_close(l->subscriber.peer);
    maybe_end(l);
}

static gboolean on_timeout(gpointer data)
{
    struct livekit *l = data;
    l->timer = 0;
    end(l, TD_LINK_LOST, -TD_E_TIMEOUT,
        l->joined ? "No media connection within 10 s: check that UDP reaches the server."
                  : "The server did not answer within 10 s: check the URL and that it runs.");
    return G_SOURCE_REMOVE;
}

/* ---- what we send ---- */

static void lost(struct livekit *l)
{
    end(l, TD_LINK_LOST, -TD_E_CLOSED, "The signalling connection is gone.");
}

static void send_or_end(struct livekit *l, const Lk__SignalRequest *request)
{
    if (td_signal_send(l->signal, request) < 0)
        lost(l);
}

static void send_candidate(void *ctx, const char *json)
{
    struct side *side = ctx;
    if (td_request_trickle(side->owner->signal, side->target, json) < 0)
        lost(side->owner);
}

static void add_track(struct livekit *l, const struct td_pump_track *track)
{
    bool video = track->kind == TD_MEDIA_VIDEO;
    char camera[] = "camera";
    char microphone[] = "microphone";
    Lk__VideoLayer layer = LK__VIDEO_LAYER__INIT;
    layer.quality = LK__VIDEO_QUALITY__HIGH;
    layer.width = l->config.width;
    layer.height = l->config.height;
    layer.ssrc = track->rtp.ssrc;
    Lk__VideoLayer *layers[] = {&layer};
    Lk__AddTrackRequest add = LK__ADD_TRACK_REQUEST__INIT;
    add.cid = (char *)track->id;
    add.name = video ? camera : microphone;
    add.type = video ? LK__TRACK_TYPE__VIDEO : LK__TRACK_TYPE__AUDIO;
    add.source = video ? LK__TRACK_SOURCE__CAMERA : LK__TRACK_SOURCE__MICROPHONE;
    add.disable_dtx = !video;
    if (video) {
        add.width = l->config.width;
        add.height = l->config.height;
        add.n_layers = 1;
        add.layers = layers;
    }
    Lk__SignalRequest request = LK__SIGNAL_REQUEST__INIT;
    request.message_case = LK__SIGNAL_REQUEST__MESSAGE_ADD_TRACK;
    request.add_track = &add;
    send_or_end(l, &request);
}

static void send_offer(struct livekit *l)
{
    char *offer = NULL;
    int r = td_link_offer(&l->config, l->publisher.peer, NULL, 0, true, &offer);
    if (r < 0) {
        end(l, TD_LINK_REFUSED, r, "No offer could be made.");
        return;
    }
    l->offered = true;
    if (td_request_offer(l->signal, offer, 0) < 0)
        lost(l);
    free(offer);
    if (!l->ending)
        td_trickle_open(&l->publisher.local, send_candidate, &l->publisher);
}

/* ---- the peers ---- */

static void on_publisher_state(void *ctx, enum td_peer_state state, int error)
{
    struct side *side = ctx;
    struct livekit *l = side->owner;
    char text[TD_FAIL_TEXT_MAX];
    if (l->ending)
        return;
    switch (state) {
    case TD_PEER_CONNECTED:
        g_source_remove(l->timer);
        l->timer = 0;
        if (td_pump_attach(l->config.pump, side->peer) < 0)
            end(l, TD_LINK_LOST, -ENOBUFS, "The media loop is overloaded.");
        else
            l->events.connected(l->events.ctx);
        break;
    case TD_PEER_FAILED:
        (void)snprintf(text, sizeof(text), "The media connection failed (%s).", td_err_text(error));
        end(l, TD_LINK_LOST, error < 0 ? error : -TD_E_CLOSED, text);
        break;
    case TD_PEER_CLOSED:
        end(l, TD_LINK_LOST, -TD_E_CLOSED, "The server closed the media connection.");
        break;
    case TD_PEER_NEW:
    case TD_PEER_CONNECTING:
        break;
    }
}

/* Nothing of what it carries is ours, but the server wants it to live. */
static void on_subscriber_state(void *ctx, enum td_peer_state state, int error)
{
    struct side *side = ctx;
    (void)error;
    if (state == TD_PEER_FAILED || state == TD_PEER_CLOSED)
        end(side->owner, TD_LINK_LOST, -TD_E_CLOSED, "The subscriber connection failed.");
}

static void on_candidate(void *ctx, const char *candidate)
{
    struct side *side = ctx;
    if (candidate != NULL && !side->owner->ending)
        td_trickle_add(&side->local, candidate);
}

static void on_peer_closed(void *ctx)
{
    struct side *side = ctx;
    side->peer = NULL;
    maybe_end(side->owner);
}

static int open_side(struct livekit *l, struct side *side, struct td_fail *ret_fail)
{
    bool publishes = side == &l->publisher;
    struct td_peer_events events = {
        .ctx = side,
        .state = publishes ? on_publisher_state : on_subscriber_state,
        .candidate = on_candidate,
        .closed = on_peer_closed,
    };
    return td_link_open_peer(&l->config, publishes, &events, ret_fail, &side->peer);
}

/* ---- what the server says ---- */

static void on_join(struct livekit *l)
{
    unsigned count;
    const struct td_pump_track *tracks = td_pump_tracks(l->config.pump, &count);
    if (l->joined)
        return;
    l->joined = true;
    for (unsigned i = 0; i < count && !l->ending; i++)
        add_track(l, &tracks[i]);
}

static void on_published(struct livekit *l, const Lk__TrackPublishedResponse *published)
{
    unsigned count;
    const struct td_pump_track *tracks = td_pump_tracks(l->config.pump, &count);
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(published->cid, tracks[i].id) == 0)
            l->published |= 1u << i;
    }
    if (l->published == (1u << count) - 1 && !l->offered)
        send_offer(l);
}

static void on_answer(struct livekit *l, const Lk__SessionDescription *description)
{
    struct td_sdp *answer = NULL;
    int r = l->offered ? td_sdp_parse(description->sdp, strlen(description->sdp), &answer)
                       : -TD_E_PARSE;
    if (r == 0)
        r = td_link_set_remote(l->publisher.peer, answer, true);
    td_sdp_free(answer);
    if (r < 0)
        end(l, TD_LINK_REFUSED, r, "The server's answer cannot be used.");
}

static int answer_offer(struct livekit *l, const struct td_sdp *offer, uint32_t id)
{
    struct td_sdp_local local = {
        .ufrag = td_peer_ufrag(l->subscriber.peer),
        .pwd = td_peer_pwd(l->subscriber.peer),
        .fingerprint = td_certificate_fingerprint(l->config.certificate),
        .setup = TD_SDP_ACTIVE,
        .trickle = true,
    };
    char *text = NULL;
    int r = td_link_set_remote(l->subscriber.peer, offer, false);
    if (r == 0)
        r = td_sdp_answer(offer, &local, td_binding_takes, NULL, false, &text);
    if (r == 0)
        if (td_request_answer(l->signal, text, id) < 0)
            lost(l);
    free(text);
    return r;
}

static void on_offer(struct livekit *l, const Lk__SessionDescription *description)
{
    struct td_sdp *offer = NULL;
    struct td_fail fail = {.code = 0};
    int r = td_sdp_parse(description->sdp, strlen(description->sdp), &offer);
    if (r == 0 && l->subscriber.peer == NULL)
        r = open_side(l, &l->subscriber, &fail);
    if (r == 0)
        r = answer_offer(l, offer, description->id);
    td_sdp_free(offer);
    if (r < 0)
        end(l, TD_LINK_LOST, r, "The server's offer could not be answered.");
    else if (!l->ending)
        td_trickle_open(&l->subscriber.local, send_candidate, &l->subscriber);
}

static void on_trickle(struct livekit *l, const Lk__TrickleRequest *trickle)
{
    char candidate[TD_TRICKLE_TEXT_MAX];
    const struct side *side = trickle->target == LK__SIGNAL_TARGET__PUBLISHER ? &l->publisher
                                                                              : &l->subscriber;
    if (side->peer == NULL || td_trickle_parse(trickle->candidate_init, candidate) != 1)
        return;
    int r = td_peer_add_candidate(side->peer, candidate);
    if (r < 0)
        td_log_line(l->config.log, TD_LOG_DEBUG, "event=candidate_refused error=%s",
                    td_err_name(r));
}

static void on_leave(struct livekit *l, const Lk__LeaveRequest *leave)
{
    switch (leave->reason) {
    case LK__DISCONNECT_REASON__ROOM_CLOSED:
    case LK__DISCONNECT_REASON__ROOM_DELETED:
        end(l, TD_LINK_REFUSED, -TD_E_CLOSED, "The room was closed.");
        break;
    case LK__DISCONNECT_REASON__PARTICIPANT_REMOVED:
        end(l, TD_LINK_REFUSED, -TD_E_CLOSED, "The publisher was removed from the room.");
        break;
    case LK__DISCONNECT_REASON__DUPLICATE_IDENTITY:
        end(l, TD_LINK_REFUSED, -TD_E_CLOSED,
            "Another client joined with the publisher's identity.");
        break;
    default:
        end(l, TD_LINK_LOST, -TD_E_CLOSED, "The server ended the session.");
        break;
    }
}

static void on_message(void *ctx, const Lk__SignalResponse *message)
{
    struct livekit *l = ctx;
    if (l->ending)
        return;
    switch (message->message_case) {
    case LK__SIGNAL_RESPONSE__MESSAGE_JOIN:
        on_join(l);
        break;
    case LK__SIGNAL_RESPONSE__MESSAGE_TRACK_PUBLISHED:
        on_published(l, message->track_published);
        break;
    case LK__SIGNAL_RESPONSE__MESSAGE_ANSWER:
        on_answer(l, message->answer);
        break;
    case LK__SIGNAL_RESPONSE__MESSAGE_OFFER:
        on_offer(l, message->offer);
        break;
    case LK__SIGNAL_RESPONSE__MESSAGE_TRICKLE:
        on_trickle(l, message->trickle);
        break;
    case LK__SIGNAL_RESPONSE__MESSAGE_LEAVE:
        on_leave(l, message->leave);
        break;
    default: /* new kinds appear regularly; none of them concerns a publisher */
        break;
    }
}

static void on_signal_closed(void *ctx, const struct td_fail *fail)
{
    struct livekit *l = ctx;
    l->signal_closed = true;
    end(l, TD_LINK_LOST, fail->code < 0 ? fail->code : -TD_E_CLOSED,
        fail->code < 0 ? fail->text : "The server closed the signalling connection.");
    maybe_end(l);
}

/* ---- making and freeing ---- */

static void livekit_stop(struct td_link *link)
{
    end((struct livekit *)link, TD_LINK_STOPPED, 0, "");
}

static struct td_link *livekit_free(struct td_link *link)
{
    struct livekit *l = (struct livekit *)link;
    if (l == NULL)
        return NULL;
    td_signal_free(l->signal);
    td_trickle_done(&l->publisher.local);
    td_trickle_done(&l->subscriber.local);
    free(l);
    return NULL;
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
        .role = TD_JWT_PUBLISHER,
    };
    int r = td_request_token(&credentials, ret_fail, &token);
    if (r < 0)
        return r;
    struct td_signal_config config = {
        .url = l->config.url,
        .token = token,
        .query = QUERY,
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

static int livekit_open(const struct td_link_config *config, const struct td_link_events *events,
                        struct td_fail *ret_fail, struct td_link **ret_link)
{
    struct livekit *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return td_fail_set(ret_fail, -ENOMEM, "Out of memory.");
    l->link.ops = &td_link_livekit;
    l->config = *config;
    l->events = *events;
    l->publisher = (struct side){.owner = l, .target = LK__SIGNAL_TARGET__PUBLISHER};
    l->subscriber = (struct side){.owner = l, .target = LK__SIGNAL_TARGET__SUBSCRIBER};
    int r = open_signal(l, ret_fail);
    /* Candidates are gathered while the server is still being asked. */
    if (r == 0)
        r = open_side(l, &l->publisher, ret_fail);
    if (r < 0) {
        (void)livekit_free(&l->link);
        return r;
    }
    l->timer = g_timeout_add((guint)(TD_START_TIMEOUT_US / TD_US_PER_MS), on_timeout, l);
    *ret_link = &l->link;
    return 0;
}

/* A dead server is noticed by its signalling connection; it has no `doubt` and no `lose`. */
const struct td_link_ops td_link_livekit = {
    .name = "livekit",
    .open = livekit_open,
    .stop = livekit_stop,
    .free = livekit_free,
};
