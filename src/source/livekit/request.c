/* SPDX-License-Identifier: Apache-2.0 */
#include "source/livekit/request.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"

int td_request_token(const struct td_livekit_credentials *credentials, struct td_fail *ret_fail,
                     char **ret_token)
{
    if (credentials->token != NULL) {
        *ret_token = strdup(credentials->token);
        return *ret_token != NULL ? 0 : td_fail_set(ret_fail, -ENOMEM, "Out of memory.");
    }
    char identity[TD_ID_MAX];
    int r = td_id_new("rec", identity);
    if (r < 0)
        return td_fail_set(ret_fail, r, "No random numbers: %s.", td_err_text(r));
    struct td_jwt_key key = {
        .id = credentials->api_key,
        .secret = credentials->api_secret,
        .secret_len = strlen(credentials->api_secret),
    };
    struct td_jwt_request request = {
        .role = credentials->role,
        .identity = credentials->identity != NULL ? credentials->identity : identity,
        .room = credentials->room,
        .now_s = td_clock_wall_us() / TD_US_PER_S,
    };
    r = td_jwt_sign(&key, &request, ret_token);
    return r < 0 ? td_fail_set(ret_fail, r == -EINVAL ? -TD_E_USAGE : r,
                               "The room name, the identity or the key cannot be used: %s.",
                               td_err_text(r))
                 : 0;
}

/* The generated structures have no const; packing only reads. */
static void describe(Lk__SessionDescription *to, char *type, const char *sdp, uint32_t id)
{
    lk__session_description__init(to);
    to->type = type;
    to->sdp = (char *)sdp;
    to->id = id;
}

int td_request_offer(struct td_signal *s, const char *sdp, uint32_t id)
{
    char type[] = "offer";
    Lk__SessionDescription offer;
    describe(&offer, type, sdp, id);
    Lk__SignalRequest request = LK__SIGNAL_REQUEST__INIT;
    request.message_case = LK__SIGNAL_REQUEST__MESSAGE_OFFER;
    request.offer = &offer;
    return td_signal_send(s, &request);
}

int td_request_answer(struct td_signal *s, const char *sdp, uint32_t id)
{
    char type[] = "answer";
    Lk__SessionDescription answer;
    describe(&answer, type, sdp, id);
    Lk__SignalRequest request = LK__SIGNAL_REQUEST__INIT;
    request.message_case = LK__SIGNAL_REQUEST__MESSAGE_ANSWER;
    request.answer = &answer;
    return td_signal_send(s, &request);
}

int td_request_trickle(struct td_signal *s, Lk__SignalTarget target, const char *json)
{
    Lk__TrickleRequest trickle = LK__TRICKLE_REQUEST__INIT;
    trickle.candidate_init = (char *)json;
    trickle.target = target;
    Lk__SignalRequest request = LK__SIGNAL_REQUEST__INIT;
    request.message_case = LK__SIGNAL_REQUEST__MESSAGE_TRICKLE;
    request.trickle = &trickle;
    return td_signal_send(s, &request);
}

void td_request_leave(struct td_signal *s)
{
    Lk__LeaveRequest leave = LK__LEAVE_REQUEST__INIT;
    leave.reason = LK__DISCONNECT_REASON__CLIENT_INITIATED;
    Lk__SignalRequest request = LK__SIGNAL_REQUEST__INIT;
    request.message_case = LK__SIGNAL_REQUEST__MESSAGE_LEAVE;
    request.leave = &leave;
    if (td_signal_send(s, &request) < 0) {
        /* Not open any more: nobody waits for a goodbye. */
    }
    td_signal_close(s);
}
