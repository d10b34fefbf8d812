/* SPDX-License-Identifier: Apache-2.0 */
#include "api/clients.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "api/head.h"
#include "base/clock.h"

#define CLIENT "td-client"
/* Connections that wait to be accepted. The library's 10 makes a burst of clients wait for a second
 * and more, until their SYN is sent again. */
#define BACKLOG 256
#define ACCEPTS_MAX 64u    /* in one turn of the loop */
#define SWEEP_MS_MAX 1000u /* how late a cut may be */
#define SWEEP_MS_MIN 20u
#define REARM_MS 1000u       /* without descriptors there is nothing to accept with */
#define COMPLAIN_US 60000000 /* between two lines on the same trouble */
#define KEEPALIVE_IDLE_S 60  /* a client that vanished without a word is noticed by TCP … */
#define KEEPALIVE_INTERVAL_S 10
#define KEEPALIVE_PROBES 3
#define DRAIN_BYTES_MAX (256u << 10) /* read after a refusal, so that the client gets to see it */
#define REFUSAL_BYTES_MAX 1024u
#define HALF_CLOSED 0x2000 /* POLLRDHUP, which GLib has no name for */

struct client {
    struct td_clients *clients;
    struct client *next;
    struct client *prev;
    GSocketConnection *connection;
    GSource *head;              /* waits for more of the request's head */
    size_t seen;                /* of it */
    SoupServerMessage *message; /* NULL until libsoup has the connection */
    int64_t since_us;
    bool reading;  /* the request is not whole */
    bool finished; /* "finished" was emitted */
    bool cut;
    uint64_t written; /* of the body, to the socket */
    uint64_t seen_written;
    int seen_queue;
    int64_t moved_us; /* when either of them last changed */
};

struct td_clients {
    struct td_clients_config config;
    struct td_clients_counts counts;
    GSocket *socket;
    GSource *readable; /* NULL while we do not accept */
    guint rearm;
    guint sweep;
    struct client *first;
    struct client *accepting; /* whose request-started is about to come */
    int64_t complained_us;
    char address[128];
    char peeked[TD_HEAD_BYTES_MAX]; /* of the client that is being looked at */
};

/* ---- one connection ---- */

static GSocket *socket_of(const struct client *client)
{
    return g_socket_connection_get_socket(client->connection);
}

static void free_client(struct client *client)
{
    struct td_clients *c = client->clients;
    if (client->prev != NULL)
        client->prev->next = client->next;
    else
        c->first = client->next;
    if (client->next != NULL)
        client->next->prev = client->prev;
    c->counts.now--;
    if (c->counts.now == 0 && c->sweep != 0) {
        g_source_remove(c->sweep);
        c->sweep = 0;
    }
    if (client->head != NULL) {
        g_source_destroy(client->head);
        g_source_unref(client->head);
    }
    if (client->message != NULL) {
        g_signal_handlers_disconnect_by_data(client->message, client);
        g_object_set_data(G_OBJECT(client->message), CLIENT, NULL);
        g_object_unref(client->message);
    }
    g_object_unref(client->connection);
    free(client);
}

static void on_whole(SoupServerMessage *message, gpointer data)
{
    (void)message;
    struct client *client = data;
    client->reading = false;
    client->moved_us = td_clock_now_us();
}

static void on_written(SoupServerMessage *message, guint len, gpointer data)
{
    (void)message;
    struct client *client = data;
    client->written += len;
}

static void on_finished(SoupServerMessage *message, gpointer data)
{
    (void)message;
    struct client *client = data;
    client->finished = true;
}

static void on_disconnected(SoupServerMessage *message, gpointer data)
{
    struct client *client = data;
    /* libsoup does not say so when it is the server that goes. */
    if (!client->finished)
        g_signal_emit_by_name(message, "finished");
    free_client(client);
}

void td_clients_started(struct td_clients *c, SoupServerMessage *message)
{
    struct client *client = c->accepting;
    if (client == NULL)
        return; /* a second request, which no connection of ours has */
    c->accepting = NULL;
    client->message = g_object_ref(message);
    g_object_set_data(G_OBJECT(message), CLIENT, client);
    g_signal_connect(message, "got-body", G_CALLBACK(on_whole), client);
    g_signal_connect(message, "wrote-headers", G_CALLBACK(on_whole), client);
    g_signal_connect(message, "wrote-body-data", G_CALLBACK(on_written), client);
    g_signal_connect(message, "finished", G_CALLBACK(on_finished), client);
    g_signal_connect(message, "disconnected", G_CALLBACK(on_disconnected), client);
}

/* One that libsoup never got to know. */
static void drop_client(struct client *client)
{
    (void)g_io_stream_close(G_IO_STREAM(client->connection), NULL, NULL); /* nothing is buffered */
    free_client(client);
}

/* `drop`: what the kernel still holds for the client is given up too. */
static void cut(struct client *client, bool drop)
{
    if (client->cut)
        return;
    client->cut = true;
    GSocket *s = socket_of(client);
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    /* Both only fail where there is no connection any more. */
    if (drop)
        (void)setsockopt(g_socket_get_fd(s), SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    (void)g_socket_shutdown(s, TRUE, TRUE, NULL);
    /* A paused message would not notice: it is given something to write, which then fails. */
    soup_message_body_append(soup_server_message_get_response_body(client->message),
                             SOUP_MEMORY_STATIC, "\n", 1);
    soup_server_message_unpause(client->message);
}

void td_clients_cut(SoupServerMessage *message)
{
    struct client *client = g_object_get_data(G_OBJECT(message), CLIENT);
    if (client != NULL)
        cut(client, false);
}

/* ---- slow and gone ones ---- */

static bool has_ended(int fd)
{
    GPollFD ended = {.fd = fd, .events = HALF_CLOSED};
    return g_poll(&ended, 1, 0) > 0;
}

static void look_at(struct client *client, int64_t now_us)
{
    struct td_clients *c = client->clients;
    int fd = g_socket_get_fd(socket_of(client));
    int queue = 0; /* bytes that the client has not taken */
    if (client->cut)
        return;
    if (client->reading) {
        if (now_us - client->since_us < c->config.read_us)
            return;
        c->counts.too_slow++;
        if (client->message != NULL)
            cut(client, false);
        else
            drop_client(client);
        return;
    }
    if (ioctl(fd, SIOCOUTQ, &queue) < 0)
        queue = 0;
    if (queue != client->seen_queue || client->written != client->seen_written) {
        client->seen_queue = queue;
        client->seen_written = client->written;
        client->moved_us = now_us;
    } else if (queue > 0 && now_us - client->moved_us >= c->config.stall_us) {
        c->counts.too_slow++;
        cut(client, true);
    } else if (queue == 0 && has_ended(fd)) {
        /* Nothing is on its way, and nobody is there to send to. A client that closed only its half
         * counts as gone, as it does for other servers: none that waits for an answer does so. */
        cut(client, true);
    }
}

static gboolean on_sweep(gpointer data)
{
    struct td_clients *c = data;
    int64_t now_us = td_clock_now_us();
    for (struct client *client = c->first, *next = NULL; client != NULL; client = next) {
        next = client->next;
        look_at(client, now_us);
    }
    return G_SOURCE_CONTINUE;
}

static guint sweep_ms(const struct td_clients_config *config)
{
    int64_t shortest_us = config->read_us < config->stall_us ? config->read_us : config->stall_us;
    int64_t ms = shortest_us / 4 / TD_US_PER_MS;
    return ms < SWEEP_MS_MIN ? SWEEP_MS_MIN : ms > SWEEP_MS_MAX ? SWEEP_MS_MAX : (guint)ms;
}

/* ---- the head of a request ---- */

static void hand_over(struct td_clients *c, struct client *client)
{
    GSocketAddress *local = g_socket_connection_get_local_address(client->connection, NULL);
    GSocketAddress *remote = g_socket_connection_get_remote_address(client->connection, NULL);
    c->accepting = client;
    if (local != NULL && remote != NULL) /* else it is gone already */
        (void)soup_server_accept_iostream(c->config.server, G_IO_STREAM(client->connection), local,
                                          remote, NULL);
    if (c->accepting == client) {
        c->accepting = NULL;
        drop_client(client);
    }
    g_clear_object(&local);
    g_clear_object(&remote);
}

static void make_refusal(unsigned status, char ret_text[static REFUSAL_BYTES_MAX])
{
    char problem[REFUSAL_BYTES_MAX / 2];
    GDateTime *now = g_date_time_new_now_utc();
    char *date = soup_date_time_to_string(now, SOUP_DATE_HTTP);
    const char *title = soup_status_get_phrase(status);
    int len = snprintf(problem, sizeof(problem),
                       "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,"
                       "\"code\":\"bad_request\",\"detail\":\"%s\"}",
                       title, status,
                       status == 431 ? "Request line and header fields are too large."
                                     : "This is not a request that can be understood.");
    (void)snprintf(ret_text, REFUSAL_BYTES_MAX,
                   "HTTP/1.1 %u %s\r\nServer: tapedeck\r\nDate: %s\r\nConnection: close\r\n"
                   "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
                   "Content-Type: application/problem+json\r\nContent-Length: %d\r\n\r\n%s",
                   status, title, date, len, problem);
    g_free(date);
    g_date_time_unref(now);
}

static void refuse(struct client *client, unsigned status)
{
    char text[REFUSAL_BYTES_MAX];
    int fd = g_socket_get_fd(socket_of(client));
    make_refusal(status, text);
    client->clients->counts.malformed++;
    /* The first bytes on this connection: the kernel has room for them, or the client is gone. */
    if (send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) > 0) {
        char bytes[4096];
        size_t drained = 0;
        for (ssize_t n = 1; n > 0 && drained < DRAIN_BYTES_MAX; drained += (size_t)n)
            n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    }
    drop_client(client);
}

/* Wakes the loop only when there are more than `seen` bytes. */
static void wait_for_more(int fd, size_t seen)
{
    int bytes = (int)seen + 1;
    /* Without it we are woken more often, for as long as a request may take. */
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes));
}

/* Looks at what is there without taking it. False when the client is not ours any more. */
static bool look_at_head(struct client *client)
{
    struct td_clients *c = client->clients;
    int fd = g_socket_get_fd(socket_of(client));
    ssize_t n = recv(fd, c->peeked, sizeof(c->peeked), MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return true;
    size_t len = n > 0 ? (size_t)n : 0;
    if (len <= client->seen && (len == 0 || has_ended(fd))) {
        drop_client(client);
        return false;
    }
    unsigned answer = td_head_check(c->peeked, len, client->seen);
    if (answer == TD_HEAD_PARTIAL && len <= client->seen)
        answer = 431; /* the kernel has no room for more of it */
    wait_for_more(fd, answer == TD_HEAD_PARTIAL ? len : 0);
    client->seen = len;
    if (answer == TD_HEAD_WHOLE)
        hand_over(c, client);
    else if (answer != TD_HEAD_PARTIAL)
        refuse(client, answer);
    return answer == TD_HEAD_PARTIAL;
}

static gboolean on_head(GSocket *socket, GIOCondition condition, gpointer data)
{
    (void)socket;
    (void)condition;
    struct client *client = data;
    GSource *source = g_steal_pointer(&client->head);
    if (look_at_head(client)) {
        client->head = source;
        return G_SOURCE_CONTINUE;
    }
    g_source_unref(source);
    return G_SOURCE_REMOVE;
}

static void begin(struct client *client)
{
    /* Most requests are there when their connection is. */
    if (!look_at_head(client))
        return;
    client->head = g_socket_create_source(socket_of(client), G_IO_IN, NULL);
    g_source_set_callback(client->head, G_SOURCE_FUNC(on_head), client, NULL);
    g_source_attach(client->head, NULL);
}

/* ---- accepting ---- */

static void complain(struct td_clients *c, const char *event)
{
    int64_t now_us = td_clock_now_us();
    if (c->complained_us != 0 && now_us - c->complained_us < COMPLAIN_US)
        return;
    c->complained_us = now_us;
    td_log_line(c->config.log, TD_LOG_WARN,
                "topic=http event=%s connections=%u limit=%u turned_away=%" G_GUINT64_FORMAT, event,
                c->counts.now, c->config.max, c->counts.turned_away);
}

/* None of these may be refused by a TCP socket, and without them all is only slower to notice. */
static void set_options(GSocket *s)
{
    g_socket_set_keepalive(s, TRUE);
    (void)g_socket_set_option(s, IPPROTO_TCP, TCP_NODELAY, 1, NULL);
    (void)g_socket_set_option(s, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S, NULL);
    (void)g_socket_set_option(s, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S, NULL);
    (void)g_socket_set_option(s, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES, NULL);
}

static struct client *new_client(struct td_clients *c, GSocket *s)
{
    struct client *client = calloc(1, sizeof(*client));
    if (client == NULL)
        return NULL;
    client->clients = c;
    client->connection = g_socket_connection_factory_create_connection(s);
    client->since_us = td_clock_now_us();
    client->moved_us = client->since_us;
    client->reading = true;
    client->next = c->first;
    if (c->first != NULL)
        c->first->prev = client;
    c->first = client;
    c->counts.now++;
    if (c->sweep == 0)
        c->sweep = g_timeout_add(sweep_ms(&c->config), on_sweep, c);
    return client;
}

static void take(struct td_clients *c, GSocket *s)
{
    struct client *client = NULL;
    set_options(s);
    if (c->counts.now < c->config.max)
        client = new_client(c, s);
    if (client != NULL) {
        begin(client);
        return;
    }
    c->counts.turned_away++;
    complain(c, "too_many_connections");
    (void)g_socket_close(s, NULL); /* nothing was written to it */
}

static void watch(struct td_clients *c);

static gboolean on_rearm(gpointer data)
{
    struct td_clients *c = data;
    c->rearm = 0;
    watch(c);
    return G_SOURCE_REMOVE;
}

static gboolean on_readable(GSocket *socket, GIOCondition condition, gpointer data)
{
    (void)condition;
    struct td_clients *c = data;
    for (unsigned i = 0; i < ACCEPTS_MAX; i++) {
        GError *error = NULL;
        GSocket *s = g_socket_accept(socket, NULL, &error);
        if (s != NULL) {
            take(c, s);
            g_object_unref(s);
            continue;
        }
        bool idle = g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
        g_error_free(error);
        if (idle)
            return G_SOURCE_CONTINUE;
        /* Out of descriptors, most likely: it would be readable again at once. */
        complain(c, "cannot_accept");
        g_clear_pointer(&c->readable, g_source_unref);
        c->rearm = g_timeout_add(REARM_MS, on_rearm, c);
        return G_SOURCE_REMOVE;
    }
    return G_SOURCE_CONTINUE;
}

static void watch(struct td_clients *c)
{
    c->readable = g_socket_create_source(c->socket, G_IO_IN, NULL);
    g_source_set_callback(c->readable, G_SOURCE_FUNC(on_readable), c, NULL);
    g_source_attach(c->readable, NULL);
}

/* ---- listening ---- */

static bool note_address(struct td_clients *c, GError **error)
{
    GSocketAddress *address = g_socket_get_local_address(c->socket, error);
    if (address == NULL)
        return false;
    GInetSocketAddress *inet = G_INET_SOCKET_ADDRESS(address);
    char *host = g_inet_address_to_string(g_inet_socket_address_get_address(inet));
    bool v6 = strchr(host, ':') != NULL;
    (void)snprintf(c->address, sizeof(c->address), "%s%s%s:%u", v6 ? "[" : "", host, v6 ? "]" : "",
                   (unsigned)g_inet_socket_address_get_port(inet));
    g_free(host);
    g_object_unref(address);
    return true;
}

static bool listen_on(struct td_clients *c, GSocketAddress *address, GError **error)
{
    c->socket = g_socket_new(g_socket_address_get_family(address), G_SOCKET_TYPE_STREAM,
                             G_SOCKET_PROTOCOL_TCP, error);
    if (c->socket == NULL)
        return false;
    g_socket_set_blocking(c->socket, FALSE);
    g_socket_set_listen_backlog(c->socket, BACKLOG);
    return g_socket_bind(c->socket, address, TRUE, error) && g_socket_listen(c->socket, error) &&
           note_address(c, error);
}

int td_clients_new(const struct td_clients_config *config, GSocketAddress *address,
                   struct td_fail *ret_fail, struct td_clients **ret_clients)
{
    struct td_clients *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return td_fail_set(ret_fail, -ENOMEM, "Out of memory.");
    c->config = *config;
    GError *error = NULL;
    if (!listen_on(c, address, &error)) {
        int r = td_fail_set(ret_fail, -EADDRINUSE, "Cannot listen: %.160s.", error->message);
        g_error_free(error);
        td_clients_free(c);
        return r;
    }
    watch(c);
    *ret_clients = c;
    return 0;
}

struct td_clients *td_clients_free(struct td_clients *c)
{
    if (c == NULL)
        return NULL;
    for (struct client *client = c->first, *next = NULL; client != NULL; client = next) {
        next = client->next;
        if (client->message == NULL)
            drop_client(client);
    }
    g_assert(c->first == NULL);
    if (c->readable != NULL) {
        g_source_destroy(c->readable);
        g_source_unref(c->readable);
    }
    if (c->rearm != 0)
        g_source_remove(c->rearm);
    g_clear_object(&c->socket);
    free(c);
    return NULL;
}

void td_clients_limit(struct td_clients *c, unsigned max)
{
    c->config.max = max;
}

const char *td_clients_address(const struct td_clients *c)
{
    return c->address;
}

struct td_clients_counts td_clients_counts(const struct td_clients *c)
{
    return c->counts;
}
