/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libavutil/log.h>

#include "codec/protocol.h"
#include "codecd/inspect.h"
#include "codecd/pattern.h"
#include "codecd/sandbox.h"
#include "codecd/wire.h"

#define FD_MAX 1023

static const char usage[] =
    "usage: tapedeck-codec [--fd=N]\n"
    "Encodes and decodes for tapedeck, which starts it by itself. Speaks the protocol of\n"
    "codec/protocol.h on descriptor N, or on standard input and output.\n";

/* 0 with the descriptors, 1 when all is said, or -TD_E_USAGE. */
static int parse_arguments(int argc, char **argv, int *ret_in, int *ret_out)
{
    *ret_in = STDIN_FILENO;
    *ret_out = STDOUT_FILENO;
    if (argc == 1)
        return 0;
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return fputs(usage, stdout) < 0 ? -EIO : 1;
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return puts("tapedeck-codec " TD_VERSION) < 0 ? -EIO : 1;
    if (argc != 2 || strncmp(argv[1], "--fd=", 5) != 0)
        return -TD_E_USAGE;
    char *end;
    errno = 0;
    long fd = strtol(argv[1] + 5, &end, 10);
    if (errno != 0 || end == argv[1] + 5 || *end != '\0' || fd < 0 || fd > FD_MAX || fd == 2)
        return -TD_E_USAGE;
    *ret_in = (int)fd;
    *ret_out = (int)fd;
    return 0;
}

static int handle(struct td_wire *wire, struct td_inspect **inspect, const struct td_msg *msg,
                  struct td_fail *fail)
{
    int r;
    switch (msg->type) {
    case TD_MSG_PATTERN:
        return *inspect ? -TD_E_STATE : td_serve_pattern(wire, msg, fail);
    case TD_MSG_INSPECT_OPEN:
        return *inspect ? -TD_E_STATE : td_inspect_new(wire, msg, fail, inspect);
    case TD_MSG_INSPECT_FRAME:
        return *inspect ? td_inspect_frame(*inspect, msg) : -TD_E_STATE;
    case TD_MSG_INSPECT_FINISH:
        r = *inspect ? td_inspect_finish(*inspect) : -TD_E_STATE;
        *inspect = td_inspect_free(*inspect);
        return r;
    default:
        return -TD_E_STATE;
    }
}

/* Both HELLOs; the client's comes first, so that a stranger learns nothing. */
static int greet(struct td_wire *wire)
{
    struct td_msg msg;
    int r = td_wire_receive(wire, &msg);
    if (r <= 0)
        return r < 0 ? r : -TD_E_CLOSED;
    r = td_msg_read_hello(&msg);
    if (r < 0)
        return r;
    uint8_t bytes[TD_MSG_HEADER_BYTES + TD_MSG_FIXED_MAX];
    struct td_writer w;
    td_writer_init(&w, bytes, sizeof(bytes));
    td_msg_write_hello(&w);
    return td_wire_send(wire, &w, NULL, 0);
}

static int converse(struct td_wire *wire, struct td_fail *fail)
{
    struct td_inspect *inspect = NULL;
    int r = greet(wire);
    while (r == 0) {
        struct td_msg msg;
        r = td_wire_receive(wire, &msg);
        if (r <= 0)
            break;
        r = handle(wire, &inspect, &msg, fail);
    }
    (void)td_inspect_free(inspect);
    return r;
}

/* The exit status: 1 when the client was told why, 3 when nobody listened any more. */
static int tell(struct td_wire *wire, const struct td_fail *fail)
{
    uint8_t bytes[TD_MSG_HEADER_BYTES + TD_MSG_FIXED_MAX];
    struct td_writer w;
    td_writer_init(&w, bytes, sizeof(bytes));
    td_msg_write_error(&w, fail->code, fail->text);
    return td_wire_send(wire, &w, NULL, 0) < 0 ? 3 : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    int fd_in, fd_out;
    int r = parse_arguments(argc, argv, &fd_in, &fd_out);
    if (r != 0) {
        if (r < 0)
            (void)fputs(usage, stderr); /* nowhere left to report to */
        return r == 1 ? EXIT_SUCCESS : 2;
    }
    (void)signal(SIGPIPE, SIG_IGN); /* cannot fail for SIGPIPE; writes answer EPIPE instead */
    av_log_set_level(AV_LOG_QUIET);
    struct td_wire wire;
    struct td_fail fail = {0};
    td_wire_init(&wire, fd_in, fd_out);
    r = td_sandbox_enter(fd_in, fd_out);
    if (r == 0)
        r = converse(&wire, &fail);
    int status = EXIT_SUCCESS;
    if (r < 0) {
        (void)td_fail_set(&fail, r, "%s", td_err_text(r));
        status = tell(&wire, &fail);
    }
    td_wire_done(&wire);
    return status;
}
