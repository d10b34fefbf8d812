/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err: error codes, the must-check attribute, and the one sentence that a failed operation leaves.
 * Owner: a td_fail belongs to the object whose operation may fail.
 * Thread: the codes are constants; a td_fail is touched by its owner's thread only.
 * Bound: a sentence has at most TD_FAIL_TEXT_MAX bytes, NUL included.
 * Does not: log, allocate, or translate library codes (the file that includes the library does).
 *
 * Convention: 0 or a count is success. Negative is fatal to this operation and is passed up
 * unchanged. Positive is a condition named in the callee's header that the direct caller handles.
 */
#ifndef TD_BASE_ERR_H
#define TD_BASE_ERR_H

#include <stddef.h>

#define TD_MUST __attribute__((warn_unused_result))
#define TD_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Our own codes start above every errno. */
#define TD_ERRORS(X)                                                                               \
    X(PARSE, 4096, "malformed input")                                                              \
    X(LIMIT, 4097, "a named limit was reached")                                                    \
    X(UNSUPPORTED, 4098, "not supported")                                                          \
    X(CRYPTO, 4099, "cryptographic failure")                                                       \
    X(REFUSED, 4100, "refused by the source")                                                      \
    X(TIMEOUT, 4101, "timed out")                                                                  \
    X(STATE, 4102, "not possible in this state")                                                   \
    X(DAMAGED, 4103, "damaged beyond repair")                                                      \
    X(CLOSED, 4104, "closed by the other side")                                                    \
    X(USAGE, 4105, "wrong usage")                                                                  \
    X(LIBRARY, 4106, "a library call failed")                                                      \
    X(LOST, 4107, "the file was removed or cut by somebody else")

enum td_error {
#define TD_ERROR_ROW(name, value, text) TD_E_##name = (value),
    TD_ERRORS(TD_ERROR_ROW)
#undef TD_ERROR_ROW
};

/* Short stable name ("ENOSPC", "TD_E_PARSE") of a negative code; never NULL. */
const char *td_err_name(int err);
/* Human text of a negative code; never NULL. */
const char *td_err_text(int err);

#define TD_FAIL_TEXT_MAX 256

struct td_fail {
    int code; /* negative, 0 when nothing failed */
    char text[TD_FAIL_TEXT_MAX];
};

/* Stores code and sentence unless an earlier failure is stored already; returns code. */
int td_fail_set(struct td_fail *fail, int code, const char *fmt, ...) TD_PRINTF(3, 4);
void td_fail_clear(struct td_fail *fail);

#endif
