/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire: an HTTP client that sends what it is told, byte by byte, while the test's loop runs.
 * Owner: the test.
 * Thread: the test's, which is the server's too.
 * Bound: WIRE_WAIT_S of waiting, after which the test fails.
 * Does not: know HTTP beyond the shape of an answer.
 */
#ifndef TD_TESTS_API_WIRE_H
#define TD_TESTS_API_WIRE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

#define WIRE_WAIT_S 60u

struct wire_answer {
    unsigned status; /* 0 = the connection ended without one */
    bool whole;      /* as long as Content-Length or the last chunk says, if they are there */
    GString *head;   /* status line and fields, each with "\r\n" */
    GString *body;   /* without chunk framing */
};

/* A non-blocking socket to "127.0.0.1:PORT". */
int wire_connect(const char *address);
void wire_close(int fd);
/* Runs the loop until the socket has bytes or its end to read. */
void wire_wait_readable(int fd);
/* All of it; false when the other side has closed. */
bool wire_send(int fd, const void *bytes, size_t len);
/* Reads until there are `len` bytes in `into`; false at the end of the connection. */
bool wire_read(int fd, GString *into, size_t len);
/* Reads what is there now; false at the end of the connection. */
bool wire_read_some(int fd, GString *into);
/* Runs the loop until *flag. */
void wire_run_until(const bool *flag);
/* Runs the loop for what is ready now. */
void wire_run(void);

/* Connects, sends, reads to the end. `text` may have NULs. */
void wire_ask(const char *address, const void *text, size_t len, struct wire_answer *ret_answer);
/* "METHOD PATH HTTP/1.1", Host, and `fields` ("A: b\r\n…"), which may end with a body. */
void wire_call(const char *address, const char *method, const char *path, const char *fields,
               struct wire_answer *ret_answer);
void wire_parse(const GString *all, struct wire_answer *ret_answer);
void wire_done(struct wire_answer *a);
/* Value of a field, NULL when it is absent; stays valid until the next call. */
const char *wire_field(const struct wire_answer *a, const char *name);
/* Asserts status and, unless NULL, the code of a problem. */
void wire_expect(const struct wire_answer *a, unsigned status, const char *code);

#endif
