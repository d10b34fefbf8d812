/* SPDX-License-Identifier: Apache-2.0 */
#include "webrtc/ice.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <gio/gio.h>
#include <nice/agent.h>
#include <nice/interfaces.h>

#include "base/clock.h"
#include "base/limits.h"
#include "webrtc/ice_candidate.h"

/* RFC 8445 section 14.2 allows 5 ms from check to check where the path can take it; the library's
 * 20 ms would delay the first media by as much for each pair tried. */
#define PACING_MS 5u
/* First retransmission of a check. 500 ms (RFC 8445 section 14.3) is what a start costs whose first
 * check came before the server knew us; browsers go below 100 ms. */
#define CHECK_TIMEOUT_MS 100u
#define CHECK_RETRANSMISSIONS 6u
/* Receive buffer: a key frame of a busy room comes as one burst between two ticks. */
#define SOCKET_BUFFER_BYTES (2 << 20)
/* Dispatches of one drain; a flood must not starve the loop's other tickers. */
#define DISPATCHES_MAX 64
/* Datagrams taken from the selected socket in one drain, for the same reason. */
#define DATAGRAMS_MAX 512
/* First byte of STUN (RFC 7983 section 7): what the library has to see. */
#define STUN_FIRST_MAX 3
/* Descriptors of one context: a socket for each local address and its wake-up. With more of them
 * the wait is not cached, which costs time only. */
#define POLL_MAX 32

struct td_ice {
    GMainContext *context; /* owned by the loop's thread from open to close */
    NiceAgent *agent;
    guint stream;
    struct td_ice_events events;
    int64_t now_us;
    /* What the context waits for, asked once and polled at each tick until something is ready. */
    bool prepared;
    gint priority;
    gint poll_count;
    int64_t due_us;
    GPollFD polls[POLL_MAX];
    bool loopback_told; /* loopback candidates are told to the other side */
    bool loopback_only;
    bool has_servers;
    bool draining;
    bool has_pair;
    bool pair_changed; /* since `media` was asked for */
    GSocket *media;    /* of the selected pair; NULL = the library reads everything */
    NiceComponentState component_state;
    enum td_ice_state state_told;
    /* Signals come from inside calls of ours too; drain hands on what they left here. */
    char *candidates[TD_CANDIDATES_MAX];
    unsigned candidate_count;
    unsigned candidates_told;
    bool gathered;
    bool gathered_told;
    unsigned remote_count;
    uint64_t ignored; /* remote candidates we cannot use */
};

/* ---- signals to events ---- */

static enum td_ice_state current_state(const struct td_ice *ice)
{
    switch (ice->component_state) {
    case NICE_COMPONENT_STATE_CONNECTING:
        return TD_ICE_CHECKING;
    case NICE_COMPONENT_STATE_CONNECTED:
    case NICE_COMPONENT_STATE_READY:
        /* Valid pairs come before a selected one, and only that one can send. */
        return ice->has_pair ? TD_ICE_CONNECTED : TD_ICE_CHECKING;
    case NICE_COMPONENT_STATE_FAILED:
        return TD_ICE_FAILED;
    default:
        return TD_ICE_NEW;
    }
}

static void tell(struct td_ice *ice)
{
    enum td_ice_state state = current_state(ice);

    while (ice->candidates_told < ice->candidate_count) {
        const char *candidate = ice->candidates[ice->candidates_told++];

        ice->events.candidate(ice->events.ctx, candidate);
    }
    if (ice->gathered && !ice->gathered_told) {
        ice->gathered_told = true;
        ice->events.candidate(ice->events.ctx, NULL);
    }
    if (state != ice->state_told) {
        ice->state_told = state;
        ice->events.state(ice->events.ctx, state);
    }
}

static void on_state(NiceAgent *agent, guint stream, guint component, guint state, gpointer data)
{
    struct td_ice *ice = data;

    (void)agent;
    (void)component;
    if (stream == ice->stream)
        ice->component_state = (NiceComponentState)state;
}

static void on_pair(NiceAgent *agent, guint stream, guint component, NiceCandidate *local,
                    NiceCandidate *remote, gpointer data)
{
    struct td_ice *ice = data;

    (void)agent;
    (void)component;
    (void)local;
    (void)remote;
    if (stream == ice->stream)
        ice->has_pair = true;
    ice->pair_changed = true;
}

static bool is_loopback(const NiceAddress *address)
{
    char text[NICE_ADDRESS_STRING_LEN];

    nice_address_to_string(address, text);
    return strncmp(text, "127.", 4) == 0 || strcmp(text, "::1") == 0;
}

static void on_candidate(NiceAgent *agent, NiceCandidate *candidate, gpointer data)
{
    struct td_ice *ice = data;
    gchar *text;

    if (candidate->transport != NICE_CANDIDATE_TRANSPORT_UDP ||
        ice->candidate_count == TD_CANDIDATES_MAX)
        return;
    /* Used in any case, but a server elsewhere would check its own loopback. */
    if (!ice->loopback_told && is_loopback(&candidate->addr))
        return;
    text = nice_agent_generate_local_candidate_sdp(agent, candidate);
    if (text == NULL)
        return;
    if (g_str_has_prefix(text, "a="))
        memmove(text, text + 2, strlen(text) - 1); /* with its NUL */
    ice->candidates[ice->candidate_count++] = text;
}

static void on_gathered(NiceAgent *agent, guint stream, gpointer data)
{
    struct td_ice *ice = data;

    (void)agent;
    (void)stream;
    ice->gathered = true;
}

static void on_datagram(NiceAgent *agent, guint stream, guint component, guint len, gchar *bytes,
                        gpointer data)
{
    struct td_ice *ice = data;

    (void)agent;
    (void)stream;
    (void)component;
    tell(ice); /* so that "connected" comes before the first datagram */
    ice->events.datagram(ice->events.ctx, (const uint8_t *)bytes, len, ice->now_us);
}

/* ---- opening ---- */

/* Async calls of GIO answer to the thread's default context, which must be ours then. The call may
 * change what the context waits for. */
static void enter(struct td_ice *ice)
{
    ice->prepared = false;
    g_main_context_push_thread_default(ice->context);
}

static void leave(struct td_ice *ice)
{
    g_main_context_pop_thread_default(ice->context);
}

static bool add_address(struct td_ice *ice, const char *text)
{
    NiceAddress *address = nice_address_new();
    bool ok = nice_address_set_from_string(address, text) &&
              nice_agent_add_local_address(ice->agent, address);

    nice_address_free(address);
    return ok;
}

/* The library leaves loopback out. A server that runs beside us may be announced by 127.0.0.1 or by
 * the host's own address, and a socket bound to one cannot always reach the other: take both. */
static int add_addresses(struct td_ice *ice, bool loopback_only, bool tell_loopback)
{
    unsigned added = 0;
    unsigned outside = 0;
    GList *all;

    ice->loopback_only = loopback_only;
    if (loopback_only) {
        ice->loopback_told = true;
        return add_address(ice, "127.0.0.1") ? 0 : -TD_E_LIBRARY;
    }
    all = nice_interfaces_get_local_ips(TRUE);
    for (GList *i = all; i != NULL; i = i->next) {
        const char *text = i->data;

        if (!add_address(ice, text))
            continue;
        added++;
        if (strncmp(text, "127.", 4) != 0 && strcmp(text, "::1") != 0)
            outside++;
    }
    g_list_free_full(all, g_free);
    ice->loopback_told = tell_loopback || outside == 0;
    return added > 0 ? 0 : -ENETDOWN;
}

static void add_servers(struct td_ice *ice, const struct td_ice_config *config)
{
    bool stun = false;

    for (unsigned i = 0; i < config->server_count; i++) {
        const struct td_ice_server *s = &config->servers[i];

        if (s->host[0] == '\0' || s->port == 0)
            continue;
        if (!s->turn && !stun) { /* the library takes one STUN server */
            g_object_set(ice->agent, "stun-server", s->host, "stun-server-port", (guint)s->port,
                         NULL);
            stun = true;
        } else if (s->turn) {
            /* Refused (too many): the other servers and paths remain. */
            (void)nice_agent_set_relay_info(
                ice->agent, ice->stream, 1, s->host, s->port, s->username, s->password,
                s->tcp ? NICE_RELAY_TYPE_TURN_TCP : NICE_RELAY_TYPE_TURN_UDP);
        }
    }
}

static int open_agent(struct td_ice *ice, const struct td_ice_config *config)
{
    ice->context = g_main_context_new();
    if (!g_main_context_acquire(ice->context))
        return -TD_E_LIBRARY;
    ice->agent = nice_agent_new_full(ice->context, NICE_COMPATIBILITY_RFC5245,
                                     NICE_AGENT_OPTION_REGULAR_NOMINATION |
                                         NICE_AGENT_OPTION_ICE_TRICKLE |
                                         NICE_AGENT_OPTION_CONSENT_FRESHNESS);
    if (ice->agent == NULL)
        return -TD_E_LIBRARY;
    g_object_set(ice->agent, "upnp", FALSE, "ice-tcp", FALSE, "controlling-mode",
                 (gboolean)config->controlling, "stun-pacing-timer", PACING_MS,
                 "stun-initial-timeout", CHECK_TIMEOUT_MS, "stun-max-retransmissions",
                 CHECK_RETRANSMISSIONS, NULL);
    ice->stream = nice_agent_add_stream(ice->agent, 1);
    if (ice->stream == 0)
        return -TD_E_LIBRARY;
    if (!nice_agent_set_local_credentials(ice->agent, ice->stream, config->ufrag, config->pwd))
        return -TD_E_LIBRARY;
    g_signal_connect(ice->agent, "component-state-changed", G_CALLBACK(on_state), ice);
    g_signal_connect(ice->agent, "new-selected-pair-full", G_CALLBACK(on_pair), ice);
    g_signal_connect(ice->agent, "new-candidate-full", G_CALLBACK(on_candidate), ice);
    g_signal_connect(ice->agent, "candidate-gathering-done", G_CALLBACK(on_gathered), ice);
    if (!nice_agent_attach_recv(ice->agent, ice->stream, 1, ice->context, on_datagram, ice))
        return -TD_E_LIBRARY;
    add_servers(ice, config);
    return add_addresses(ice, config->loopback_only, config->tell_loopback);
}

static struct td_ice *ice_close(struct td_ice *ice)
{
    if (ice == NULL)
        return NULL;
    assert(!ice->draining);
    if (ice->agent != NULL) {
        enter(ice);
        g_clear_object(&ice->media);
        g_signal_handlers_disconnect_by_data(ice->agent, ice);
        (void)nice_agent_attach_recv(ice->agent, ice->stream, 1, ice->context, NULL, NULL);
        nice_agent_remove_stream(ice->agent, ice->stream);
        g_object_unref(ice->agent);
        leave(ice);
    }
    if (ice->context != NULL) {
        g_main_context_release(ice->context);
        g_main_context_unref(ice->context);
    }
    for (unsigned i = 0; i < ice->candidate_count; i++)
        g_free(ice->candidates[i]);
    free(ice);
    return NULL;
}

static int ice_open(const struct td_ice_config *config, const struct td_ice_events *events,
                    struct td_ice **ret_ice)
{
    struct td_ice *ice;
    int r;

    assert(config != NULL && events != NULL && ret_ice != NULL);
    assert(config->ufrag != NULL && config->pwd != NULL);
    ice = calloc(1, sizeof(*ice));
    if (ice == NULL)
        return -ENOMEM;
    ice->events = *events;
    ice->has_servers = config->server_count > 0;
    r = open_agent(ice, config);
    if (r < 0) {
        (void)ice_close(ice); /* always NULL */
        return r;
    }
    *ret_ice = ice;
    return 0;
}

/* ---- working ---- */

static void grow_buffers(struct td_ice *ice)
{
    GPtrArray *sockets = nice_agent_get_sockets(ice->agent, ice->stream, 1);
    int bytes = SOCKET_BUFFER_BYTES;

    if (sockets == NULL)
        return;
    for (guint i = 0; i < sockets->len; i++) {
        int fd = g_socket_get_fd(g_ptr_array_index(sockets, i));

        /* Above net.core.rmem_max only with CAP_NET_ADMIN; else the most we may have, which is
         * what the second call gets. A smaller buffer is a risk of loss, not an error. */
        if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
            (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    }
    g_ptr_array_unref(sockets);
}

static int ice_gather(struct td_ice *ice)
{
    bool ok;

    enter(ice);
    ok = nice_agent_gather_candidates(ice->agent, ice->stream);
    leave(ice);
    if (!ok)
        return -ENETDOWN;
    grow_buffers(ice);
    return 0;
}

static void ice_control(struct td_ice *ice)
{
    enter(ice);
    g_object_set(ice->agent, "controlling-mode", TRUE, NULL);
    leave(ice);
}

static int ice_set_remote(struct td_ice *ice, const char *ufrag, const char *pwd)
{
    bool ok;

    if (ufrag == NULL || pwd == NULL || !g_utf8_validate(ufrag, -1, NULL) ||
        !g_utf8_validate(pwd, -1, NULL))
        return -TD_E_PARSE;
    enter(ice);
    ok = nice_agent_set_remote_credentials(ice->agent, ice->stream, ufrag, pwd);
    leave(ice);
    return ok ? 0 : -TD_E_LIBRARY;
}

static int ice_restart(struct td_ice *ice, const char *ufrag, const char *pwd)
{
    bool ok;

    enter(ice);
    ok = nice_agent_restart_stream(ice->agent, ice->stream) &&
         nice_agent_set_local_credentials(ice->agent, ice->stream, ufrag, pwd);
    leave(ice);
    if (!ok)
        return -TD_E_LIBRARY;
    /* The sockets stay, and with them the candidates, which the other side forgot. */
    ice->candidates_told = 0;
    ice->gathered_told = false;
    ice->remote_count = 0;
    return 0;
}

static NiceCandidate *to_nice(const struct td_ice *ice, const struct td_ice_candidate *c)
{
    static const NiceCandidateType types[] = {
        [TD_ICE_HOST] = NICE_CANDIDATE_TYPE_HOST,
        [TD_ICE_SERVER_REFLEXIVE] = NICE_CANDIDATE_TYPE_SERVER_REFLEXIVE,
        [TD_ICE_PEER_REFLEXIVE] = NICE_CANDIDATE_TYPE_PEER_REFLEXIVE,
        [TD_ICE_RELAYED] = NICE_CANDIDATE_TYPE_RELAYED,
    };
    NiceCandidate *nice = nice_candidate_new(types[c->type]);

    nice->component_id = 1;
    nice->stream_id = ice->stream;
    nice->transport = NICE_CANDIDATE_TRANSPORT_UDP;
    nice->priority = c->priority;
    g_strlcpy(nice->foundation, c->foundation, sizeof(nice->foundation));
    if (!nice_address_set_from_string(&nice->addr, c->address)) {
        nice_candidate_free(nice);
        return NULL;
    }
    nice_address_set_port(&nice->addr, c->port);
    return nice;
}

static int end_of_candidates(struct td_ice *ice)
{
    enter(ice);
    /* False when nothing waits for it, which is as good. */
    (void)nice_agent_peer_candidate_gathering_done(ice->agent, ice->stream);
    leave(ice);
    return 0;
}

static int ice_add_remote(struct td_ice *ice, const char *candidate)
{
    struct td_ice_candidate parsed;
    GSList one = {.next = NULL};
    int added;
    int r;

    if (candidate == NULL || candidate[0] == '\0' || strstr(candidate, "end-of-candidates") != NULL)
        return end_of_candidates(ice);
    r = td_ice_candidate_parse(candidate, &parsed);
    if (r < 0)
        return r;
    /* ICE-TCP, mDNS names and a second component (RTCP without mux) are not for us. */
    if (!parsed.udp || parsed.name || parsed.component != 1 || parsed.port == 0) {
        ice->ignored++;
        return 0;
    }
    if (ice->remote_count == TD_CANDIDATES_MAX) {
        ice->ignored++;
        return -TD_E_LIMIT;
    }
    one.data = to_nice(ice, &parsed);
    if (one.data == NULL)
        return -TD_E_PARSE;
    /* A check from our loopback to another address of this machine may arrive and its answer not:
     * the system drops it as a martian. The other side then holds on to that one pair: the library,
     * whom a check reached before the answer did, never pairs its other addresses with ours. */
    if (ice->loopback_only && !is_loopback(&((NiceCandidate *)one.data)->addr)) {
        nice_candidate_free(one.data);
        ice->ignored++;
        return 0;
    }
    enter(ice);
    added = nice_agent_set_remote_candidates(ice->agent, ice->stream, 1, &one);
    leave(ice);
    nice_candidate_free(one.data);
    if (added < 0)
        return -TD_E_LIBRARY;
    ice->remote_count++;
    return 0;
}

static int ice_send(struct td_ice *ice, const uint8_t *bytes, size_t len)
{
    GOutputVector vector = {.buffer = bytes, .size = len};
    NiceOutputMessage message = {.buffers = &vector, .n_buffers = 1};
    GError *error = NULL;
    gint n;
    int r;

    if (!ice->has_pair)
        return -EAGAIN;
    n = nice_agent_send_messages_nonblocking(ice->agent, ice->stream, 1, &message, 1, NULL, &error);
    if (n == 1)
        return 0;
    r = error == NULL || g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK) ? -EAGAIN
                                                                                    : -EIO;
    g_clear_error(&error);
    return r;
}

/* One turn of the context, in its four documented steps. The first two are kept from tick to tick:
 * all its sources are made and changed by this thread, so that while nothing is readable and no
 * timer is due, one poll(2) answers for the whole context. */
static bool turn(struct td_ice *ice, int64_t now_us)
{
    gint timeout_ms = 0;
    bool ready;

    if (!ice->prepared) {
        (void)g_main_context_prepare(ice->context, &ice->priority); /* query tells it too */
        ice->poll_count =
            g_main_context_query(ice->context, ice->priority, &timeout_ms, ice->polls, POLL_MAX);
        if (ice->poll_count > POLL_MAX)
            return g_main_context_iteration(ice->context, FALSE);
        ice->due_us = timeout_ms < 0 ? INT64_MAX : now_us + timeout_ms * TD_US_PER_MS;
        ice->prepared = true;
    }
    ready = g_poll(ice->polls, (guint)ice->poll_count, 0) > 0 || now_us >= ice->due_us;
    if (!ready)
        return false;
    ice->prepared = false;
    if (!g_main_context_check(ice->context, ice->priority, ice->polls, ice->poll_count))
        return false;
    g_main_context_dispatch(ice->context);
    return true;
}

/* The socket that media comes by. Relayed media comes wrapped: the library reads that. */
static GSocket *media_socket(struct td_ice *ice)
{
    if (ice->pair_changed) {
        ice->pair_changed = false;
        g_clear_object(&ice->media);
        if (!ice->has_servers)
            ice->media = nice_agent_get_selected_socket(ice->agent, ice->stream, 1);
    }
    if (ice->media != NULL && g_socket_is_closed(ice->media))
        g_clear_object(&ice->media);
    return ice->media;
}

/* Takes DTLS and SRTP from the selected socket without the library, which spends some 20 us on a
 * datagram, and stops at the first STUN message, which it leaves to it. Everything runs on this one
 * thread, so nobody reads between the look and the reading. */
static void drain_media(struct td_ice *ice, int64_t now_us)
{
    uint8_t bytes[TD_PACKET_BYTES_MAX];
    GSocket *socket = media_socket(ice);
    int fd = socket != NULL ? g_socket_get_fd(socket) : -1;

    for (int i = 0; fd >= 0 && i < DATAGRAMS_MAX; i++) {
        uint8_t first = 0;
        ssize_t n = recv(fd, &first, sizeof(first), MSG_PEEK | MSG_DONTWAIT);

        if (n < 0 || (n > 0 && first <= STUN_FIRST_MAX))
            return; /* empty, an error or STUN: the library's */
        n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC);
        if (n > 0 && (size_t)n <= sizeof(bytes))
            ice->events.datagram(ice->events.ctx, bytes, (size_t)n, now_us);
    }
}

static void ice_drain(struct td_ice *ice, int64_t now_us)
{
    assert(!ice->draining);
    ice->draining = true;
    ice->now_us = now_us;
    if (current_state(ice) == TD_ICE_CONNECTED && ice->state_told == TD_ICE_CONNECTED)
        drain_media(ice, now_us);
    if (ice->has_servers)
        g_main_context_push_thread_default(ice->context);
    for (int i = 0; i < DISPATCHES_MAX && turn(ice, now_us); i++)
        ;
    if (ice->has_servers)
        leave(ice);
    tell(ice);
    ice->draining = false;
}

const struct td_ice_ops td_ice_nice = {
    .name = "nice",
    .open = ice_open,
    .close = ice_close,
    .gather = ice_gather,
    .control = ice_control,
    .set_remote = ice_set_remote,
    .add_remote = ice_add_remote,
    .restart = ice_restart,
    .send = ice_send,
    .drain = ice_drain,
};
