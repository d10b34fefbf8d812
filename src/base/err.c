/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <assert.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct err_row {
    int value;
    const char *name;
    const char *text;
};

static const struct err_row err_rows[] = {
#define ERR_ROW(name_, value_, text_) {.value = (value_), .name = "TD_E_" #name_, .text = (text_)},
    TD_ERRORS(ERR_ROW)
#undef ERR_ROW
};

static const struct err_row *err_find(int err)
{
    for (size_t i = 0; i < sizeof(err_rows) / sizeof(err_rows[0]); i++) {
        if (err == -err_rows[i].value) {
            return &err_rows[i];
        }
    }
    return NULL;
}

const char *td_err_name(int err)
{
    const struct err_row *row = err_find(err);
    if (row != NULL) {
        return row->name;
    }
    if (err == 0) {
        return "OK";
    }
    const char *name = err < 0 && err > INT_MIN ? strerrorname_np(-err) : NULL;
    return name != NULL ? name : "UNKNOWN";
}

const char *td_err_text(int err)
{
    const struct err_row *row = err_find(err);
    if (row != NULL) {
        return row->text;
    }
    if (err == 0) {
        return "success";
    }
    const char *text = err < 0 && err > INT_MIN ? strerrordesc_np(-err) : NULL;
    return text != NULL ? text : "unknown error";
}

/* A sentence that was cut in the middle of a UTF-8 sequence loses the whole sequence: the text is
 * shown by APIs that refuse invalid UTF-8. */
static void err_trim_cut(char *text, size_t len)
{
    size_t start = len;
    while (start > 0 && len - start < 3 && ((unsigned char)text[start - 1] & 0xc0u) == 0x80) {
        start--;
    }
    if (start > 0 && (unsigned char)text[start - 1] >= 0xc0) {
        text[start - 1] = '\0';
    }
}

int td_fail_set(struct td_fail *fail, int code, const char *fmt, ...)
{
    assert(code < 0);
    if (fail == NULL || fail->code != 0) {
        return code;
    }
    fail->code = code;
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(fail->text, sizeof(fail->text), fmt, args);
    va_end(args);
    if (n < 0) {
        fail->text[0] = '\0';
    } else if ((size_t)n >= sizeof(fail->text)) {
        err_trim_cut(fail->text, sizeof(fail->text) - 1);
    }
    return code;
}

void td_fail_clear(struct td_fail *fail)
{
    fail->code = 0;
    fail->text[0] = '\0';
}
