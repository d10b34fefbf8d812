/* SPDX-License-Identifier: Apache-2.0 */
#include "store/utf8.h"

#include <stdint.h>

struct utf8_row {
    uint8_t first_min;
    uint8_t first_max;
    uint8_t second_min;
    uint8_t second_max;
    uint8_t len;
};

/* RFC 3629 section 4: overlong forms and surrogates are left out by the bounds of the second byte.
 */
static const struct utf8_row utf8_rows[] = {
    {0x00, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
    {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
    {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

size_t td_utf8_len(const char *text, size_t len)
{
    const uint8_t *p = (const uint8_t *)text;
    if (len == 0) {
        return 0;
    }
    for (size_t i = 0; i < sizeof(utf8_rows) / sizeof(utf8_rows[0]); i++) {
        const struct utf8_row *row = &utf8_rows[i];
        if (p[0] < row->first_min || p[0] > row->first_max) {
            continue;
        }
        if (row->len > len) {
            return 0;
        }
        if (row->len > 1 && (p[1] < row->second_min || p[1] > row->second_max)) {
            return 0;
        }
        for (size_t k = 2; k < row->len; k++) {
            if ((p[k] & 0xc0) != 0x80) {
                return 0;
            }
        }
        return row->len;
    }
    return 0;
}
