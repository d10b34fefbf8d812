/* SPDX-License-Identifier: Apache-2.0 */
#include "api/pending.h"

static void on_finished(SoupServerMessage *message, gpointer data)
{
    struct td_pending *p = data;
    g_signal_handler_disconnect(message, p->handler);
    g_object_unref(message);
    p->message = NULL;
}

void td_pending_init(struct td_pending *p, SoupServerMessage *message)
{
    p->message = g_object_ref(message);
    p->handler = g_signal_connect(message, "finished", G_CALLBACK(on_finished), p);
    soup_server_message_pause(message);
}

void td_pending_done(struct td_pending *p)
{
    if (p->message == NULL)
        return;
    g_signal_handler_disconnect(p->message, p->handler);
    soup_server_message_unpause(p->message);
    g_object_unref(p->message);
    p->message = NULL;
}
