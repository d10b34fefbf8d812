/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rig: runs a depacketiser over a written script of packets and compares what comes out, byte by
 *      byte; and writes bits for synthetic parameter sets.
 * Owner: the test.
 * Thread: the test's.
 * Bound: RIG_BYTES_MAX a packet or frame of a script.
 * Does not: know any codec.
 */
#ifndef TEST_MEDIA_RIG_H
#define TEST_MEDIA_RIG_H

/* cmocka.h needs these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "media/codec.h"

#define RIG_BYTES_MAX 4096u
#define RIG_STEPS_MAX 16u
#define RIG_FRAMES_MAX 8u

/* Hexadecimal text, blanks ignored; "*N" repeats the byte before it N times in all. Returns the
 * count of bytes. */
size_t rig_hex(const char *text, uint8_t ret_bytes[static RIG_BYTES_MAX]);

struct rig_step {
    const char *hex; /* payload; NULL ends the list; "hole" tells of missing packets */
    uint32_t timestamp;
    bool marker;
    int result;
};

struct rig_frame {
    const char *hex; /* NULL ends the list */
    uint32_t timestamp;
    bool key;
    uint16_t width;
    uint16_t height;
    int64_t duration_us;
};

struct rig_script {
    const char *name;
    struct rig_step steps[RIG_STEPS_MAX];
    struct rig_frame frames[RIG_FRAMES_MAX];
    struct td_depay_stats stats; /* expected, but for `frames`, which is counted */
};

/* Runs one script on a fresh depacketiser, fetching frames after each push; asserts that nothing of
 * the budget is in use at the end. */
void rig_run(enum td_codec codec, const struct rig_script *script);

struct rig_bits {
    uint8_t bytes[512];
    size_t bit_count;
};

void rig_u(struct rig_bits *b, unsigned count, uint32_t v);
void rig_ue(struct rig_bits *b, uint32_t v);
void rig_se(struct rig_bits *b, int32_t v);
/* Header byte, the bits with a stop bit, emulation prevention added. Returns the count of bytes. */
size_t rig_nal(const struct rig_bits *b, uint8_t header, uint8_t ret_bytes[static RIG_BYTES_MAX]);

/* xorshift64*: the same numbers from the same seed everywhere. */
uint64_t rig_random(uint64_t *state);

#endif
