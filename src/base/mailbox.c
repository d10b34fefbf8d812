/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mailbox.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct mailbox_message {
    td_message_fn *fn;
    void *target;
    alignas(max_align_t) unsigned char payload[TD_MESSAGE_BYTES];
};

struct td_mailbox {
    pthread_mutex_t lock; /* a leaf lock: never held while a message runs */
    int fd;               /* readable exactly while count > 0, both changed under the lock */
    size_t capacity;
    size_t head;
    size_t count;
    atomic_uint_fast64_t refused;
    struct mailbox_message ring[];
};

int td_mailbox_new(size_t capacity, struct td_mailbox **ret_mailbox)
{
    assert(capacity > 0);
    struct td_mailbox *m = NULL;
    if (capacity > (SIZE_MAX - sizeof(*m)) / sizeof(m->ring[0])) {
        return -TD_E_LIMIT;
    }
    m = calloc(1, sizeof(*m) + capacity * sizeof(m->ring[0]));
    if (m == NULL) {
        return -ENOMEM;
    }
    m->capacity = capacity;
    m->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (m->fd < 0) {
        int r = -errno;
        free(m);
        return r;
    }
    int r = pthread_mutex_init(&m->lock, NULL);
    if (r != 0) {
        (void)close(m->fd); /* an eventfd holds nothing that a failed close could lose */
        free(m);
        return -r;
    }
    *ret_mailbox = m;
    return 0;
}

struct td_mailbox *td_mailbox_free(struct td_mailbox *m)
{
    if (m != NULL) {
        (void)pthread_mutex_destroy(&m->lock); /* fails only while locked: a caller's error */
        (void)close(m->fd); /* an eventfd holds nothing that a failed close could lose */
        free(m);
    }
    return NULL;
}

int td_mailbox_fd(const struct td_mailbox *m)
{
    return m->fd;
}

static void mailbox_lock(struct td_mailbox *m)
{
    int r = pthread_mutex_lock(&m->lock);
    assert(r == 0);
}

static void mailbox_unlock(struct td_mailbox *m)
{
    int r = pthread_mutex_unlock(&m->lock);
    assert(r == 0);
}

int td_mailbox_post(struct td_mailbox *m, td_message_fn *fn, void *target, const void *payload,
                    size_t len)
{
    assert(fn != NULL && len <= TD_MESSAGE_BYTES && (payload != NULL || len == 0));
    mailbox_lock(m);
    if (m->count == m->capacity) {
        mailbox_unlock(m);
        atomic_fetch_add_explicit(&m->refused, 1, memory_order_relaxed);
        return -ENOBUFS;
    }
    struct mailbox_message *slot = &m->ring[(m->head + m->count) % m->capacity];
    slot->fn = fn;
    slot->target = target;
    if (len > 0) {
        memcpy(slot->payload, payload, len);
    }
    m->count++;
    if (m->count == 1) {
        /* Fails only when the counter would overflow, and it is at most 1. */
        int r = eventfd_write(m->fd, 1);
        assert(r == 0);
    }
    mailbox_unlock(m);
    return 0;
}

/* Takes the oldest message out; the last one takes the wake-up with it. */
static void mailbox_pop(struct td_mailbox *m, struct mailbox_message *ret_message)
{
    mailbox_lock(m);
    assert(m->count > 0);
    *ret_message = m->ring[m->head];
    m->head = (m->head + 1) % m->capacity;
    m->count--;
    if (m->count == 0) {
        /* Starting over at the front keeps the touched part of a large ring small. */
        m->head = 0;
        eventfd_t wakeups;
        int r = eventfd_read(m->fd, &wakeups);
        assert(r == 0);
    }
    mailbox_unlock(m);
}

size_t td_mailbox_drain(struct td_mailbox *m)
{
    mailbox_lock(m);
    size_t count = m->count;
    mailbox_unlock(m);
    for (size_t i = 0; i < count; i++) {
        struct mailbox_message message;
        mailbox_pop(m, &message);
        message.fn(message.target, message.payload);
    }
    return count;
}

uint64_t td_mailbox_refused(const struct td_mailbox *m)
{
    return atomic_load_explicit(&m->refused, memory_order_relaxed);
}
