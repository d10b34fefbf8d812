/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tape: every file operation a muxer emitted, and the files as any prefix of them leaves them.
 * Owner: the test.
 * Thread: the test's.
 * Bound: memory; tests are small.
 * Does not: touch a disk.
 */
#ifndef TD_TESTS_MUX_TAPE_H
#define TD_TESTS_MUX_TAPE_H

#include "base/bytes.h"
#include "base/fileop.h"

struct tape_op {
    enum td_file_op_kind kind;
    enum td_file_slot file;
    uint64_t offset;
    size_t at; /* of its bytes in tape.bytes */
    size_t len;
};

struct tape {
    struct tape_op *ops;
    size_t count;
    size_t capacity;
    struct td_bytes bytes;
    int refuse;          /* answer of the next emits, 0 = take */
    size_t refuse_after; /* … once so many were taken */
};

void tape_init(struct tape *t);
void tape_done(struct tape *t);
struct td_op_sink tape_sink(struct tape *t);

/* The files of one part in memory. */
struct part {
    struct td_bytes file[TD_FILE_SLOTS];
    bool exists[TD_FILE_SLOTS];
    size_t read_max; /* longest answer of read_at, 0 = all */
    uint64_t bytes_read;
};

void part_init(struct part *p);
void part_done(struct part *p);
void part_copy(struct part *to, const struct part *from);
/* Carries out one operation, or only the first `cut` bytes of it. */
void part_apply(struct part *p, const struct tape *t, size_t op, size_t cut);
void part_apply_all(struct part *p, const struct tape *t);
struct td_read_at part_input(struct part *p, enum td_file_slot file);

/* SplitMix64: reproducible from the printed seed. */
uint64_t test_random(uint64_t *state);

#endif
