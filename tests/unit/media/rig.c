/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/budget.h"

#define RIG_BUDGET_BYTES (16u << 20)
#define RIG_ARRIVAL_US 1000

static uint8_t nibble(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = strchr(digits, tolower((unsigned char)c));
    assert_non_null(at);
    return (uint8_t)(at - digits);
}

size_t rig_hex(const char *text, uint8_t ret_bytes[static RIG_BYTES_MAX])
{
    size_t len = 0;
    while (*text) {
        if (isspace((unsigned char)*text)) {
            text++;
        } else if (*text == '*') {
            char *end;
            unsigned long times = strtoul(text + 1, &end, 10);
            assert_true(len > 0 && times > 0 && len + times - 1 <= RIG_BYTES_MAX);
            memset(ret_bytes + len, ret_bytes[len - 1], times - 1);
            len += times - 1;
            text = end;
        } else {
            assert_true(len < RIG_BYTES_MAX);
            ret_bytes[len++] = (uint8_t)(nibble(text[0]) << 4 | nibble(text[1]));
            text += 2;
        }
    }
    return len;
}

static void compare(const char *name, size_t i, const struct rig_frame *want,
                    const struct td_frame *got)
{
    static uint8_t bytes[RIG_BYTES_MAX];
    if (!want->hex)
        fail_msg("%s: frame %zu of %zu bytes is one too many", name, i, got->len);
    size_t len = rig_hex(want->hex, bytes);
    if (got->len != len || memcmp(got->bytes, bytes, len) != 0) {
        for (size_t k = 0; k < got->len && k < 64; k++)
            print_message("%02x", got->bytes[k]);
        fail_msg("\n%s: frame %zu: other bytes (%zu, wanted %zu)", name, i, got->len, len);
    }
    if (got->rtp_timestamp != want->timestamp || got->key != want->key ||
        got->width != want->width || got->height != want->height ||
        got->duration_us != want->duration_us || got->discontinuity)
        fail_msg("%s: frame %zu: ts %u key %d %ux%u %lld us", name, i, got->rtp_timestamp, got->key,
                 got->width, got->height, (long long)got->duration_us);
    assert_int_equal(got->arrival_us, RIG_ARRIVAL_US + want->timestamp);
}

static void compare_stats(const char *name, const struct td_depay_stats *want,
                          const struct td_depay_stats *got)
{
    if (want->broken != got->broken || want->malformed != got->malformed ||
        want->oversize != got->oversize || want->blanks != got->blanks ||
        want->padding != got->padding || want->dtx != got->dtx)
        fail_msg("%s: broken %u malformed %u oversize %u blanks %u padding %u dtx %u", name,
                 (unsigned)got->broken, (unsigned)got->malformed, (unsigned)got->oversize,
                 (unsigned)got->blanks, (unsigned)got->padding, (unsigned)got->dtx);
}

static size_t drain(struct td_depay *d, const struct rig_script *script, size_t i)
{
    struct td_frame frame;
    while (td_depay_pop(d, &frame) == 1) {
        assert_true(i < RIG_FRAMES_MAX);
        assert_int_equal(frame.codec, d->ops->codec);
        compare(script->name, i, &script->frames[i], &frame);
        i++;
    }
    return i;
}

void rig_run(enum td_codec codec, const struct rig_script *script)
{
    struct td_budget budget;
    td_budget_init(&budget, NULL, RIG_BUDGET_BYTES);
    struct td_depay *d = NULL;
    assert_int_equal(td_depay_new(codec, &budget, &d), 0);
    size_t seen = 0;
    uint16_t seq = 65530; /* wraps within a script */
    for (size_t i = 0; i < RIG_STEPS_MAX && script->steps[i].hex; i++) {
        const struct rig_step *step = &script->steps[i];
        if (strcmp(step->hex, "hole") == 0) {
            td_depay_hole(d);
            seq += 5;
            continue;
        }
        uint8_t text[RIG_BYTES_MAX];
        size_t len = rig_hex(step->hex, text);
        /* Exactly as long as it is, so that a sanitizer sees a read behind its end. */
        uint8_t *payload = malloc(len > 0 ? len : 1);
        assert_non_null(payload);
        memcpy(payload, text, len);
        struct td_rtp_packet packet = {
            .seq = seq++,
            .timestamp = step->timestamp,
            .marker = step->marker,
            .payload = payload,
            .payload_len = len,
            .arrival_us = RIG_ARRIVAL_US + step->timestamp,
        };
        int r = td_depay_push(d, &packet);
        free(payload); /* nothing may borrow it behind the push */
        if (r != step->result)
            fail_msg("%s: step %zu answered %d", script->name, i, r);
        seen = drain(d, script, seen);
    }
    if (seen < RIG_FRAMES_MAX && script->frames[seen].hex)
        fail_msg("%s: frame %zu never came", script->name, seen);
    compare_stats(script->name, &script->stats, td_depay_stats(d));
    assert_int_equal(td_depay_stats(d)->frames, seen);
    assert_null(td_depay_free(d));
    assert_int_equal(td_budget_used(&budget), 0);
    td_budget_done(&budget);
}

void rig_u(struct rig_bits *b, unsigned count, uint32_t v)
{
    for (unsigned i = count; i > 0; i--) {
        assert_true(b->bit_count < sizeof(b->bytes) * 8);
        if ((v >> (i - 1) & 1u) != 0)
            b->bytes[b->bit_count / 8] |= (uint8_t)(0x80u >> b->bit_count % 8);
        b->bit_count++;
    }
}

void rig_ue(struct rig_bits *b, uint32_t v)
{
    uint64_t code = (uint64_t)v + 1;
    unsigned bits = 0;
    while (code >> (bits + 1) != 0)
        bits++;
    rig_u(b, bits, 0);
    rig_u(b, 1, 1);
    rig_u(b, bits, (uint32_t)(code - ((uint64_t)1 << bits)));
}

void rig_se(struct rig_bits *b, int32_t v)
{
    rig_ue(b, v > 0 ? (uint32_t)v * 2 - 1 : (uint32_t)-v * 2);
}

size_t rig_nal(const struct rig_bits *b, uint8_t header, uint8_t ret_bytes[static RIG_BYTES_MAX])
{
    struct rig_bits copy = *b;
    rig_u(&copy, 1, 1);
    size_t count = (copy.bit_count + 7) / 8;
    size_t len = 0;
    unsigned zeros = 0;
    ret_bytes[len++] = header;
    for (size_t i = 0; i < count; i++) {
        if (zeros == 2 && copy.bytes[i] <= 3) {
            ret_bytes[len++] = 3;
            zeros = 0;
        }
        zeros = copy.bytes[i] == 0 ? zeros + 1 : 0;
        ret_bytes[len++] = copy.bytes[i];
    }
    return len;
}

uint64_t rig_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * UINT64_C(0x2545f4914f6cdd1d);
}
