/* SPDX-License-Identifier: Apache-2.0 */
#include "codecd/wire.h"

#include <assert.h>
#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

void td_wire_init(struct td_wire *w, int fd_in, int fd_out)
{
    *w = (struct td_wire){.fd_in = fd_in, .fd_out = fd_out};
    td_bytes_init(&w->body, TD_MSG_BODY_MAX, NULL);
}

void td_wire_done(struct td_wire *w)
{
    td_bytes_done(&w->body);
}

/* 1, or 0 when the other side closed before the first byte, -TD_E_CLOSED when inside. */
static int read_all(int fd, uint8_t *bytes, size_t len)
{
    size_t got = 0;
    while (got < len) {
        ssize_t n = read(fd, bytes + got, len - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return got == 0 ? 0 : -TD_E_CLOSED;
        got += (size_t)n;
    }
    return 1;
}

int td_wire_receive(struct td_wire *w, struct td_msg *ret_msg)
{
    uint8_t header[TD_MSG_HEADER_BYTES];
    struct td_msg msg = {0};
    int r = read_all(w->fd_in, header, sizeof(header));
    if (r <= 0)
        return r;
    r = td_msg_parse_header(header, &msg.type, &msg.len);
    if (r == 0)
        r = td_bytes_reserve(&w->body, msg.len + 1);
    if (r < 0)
        return r;
    if (msg.len > 0) {
        r = read_all(w->fd_in, w->body.data, msg.len);
        if (r <= 0)
            return r < 0 ? r : -TD_E_CLOSED;
    }
    msg.body = w->body.data;
    *ret_msg = msg;
    return 1;
}

int td_wire_send(struct td_wire *w, const struct td_writer *head, const void *payload,
                 size_t payload_len)
{
    assert(!head->bad);
    struct iovec parts[2] = {
        {.iov_base = head->start, .iov_len = td_writer_len(head)},
        {.iov_base = (void *)(uintptr_t)payload, .iov_len = payload_len},
    };
    while (parts[0].iov_len + parts[1].iov_len > 0) {
        ssize_t n = writev(w->fd_out, parts, 2);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EPIPE ? -TD_E_CLOSED : -errno;
        size_t left = (size_t)n;
        for (size_t i = 0; i < 2; i++) {
            size_t cut = left < parts[i].iov_len ? left : parts[i].iov_len;
            parts[i].iov_base = (uint8_t *)parts[i].iov_base + cut;
            parts[i].iov_len -= cut;
            left -= cut;
        }
    }
    return 0;
}
