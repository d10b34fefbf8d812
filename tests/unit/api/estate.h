/* SPDX-License-Identifier: Apache-2.0 */
/*
 * estate: a data folder with its catalogue, and the recordings and the recovery of one daemon after
 * another over it.
 * Owner: the test.
 * Thread: the test's, which runs the main context.
 * Bound: fixed sizes.
 * Does not: check anything by itself but that calls succeed. No LiveKit server answers here.
 */
#ifndef TD_TESTS_API_ESTATE_H
#define TD_TESTS_API_ESTATE_H

#include <glib.h>
#include <stdatomic.h>

#include "api/recordings.h"
#include "api/recovery.h"
#include "base/clock.h"
#include "catalog_fixture.h"
#include "relic.h"

#define ESTATE_LOG_BYTES 16384u

struct estate {
    struct shelf shelf; /* fixture and catalogue */
    struct td_budget budget;
    struct td_log log;
    struct td_config config;
    struct td_recorder recorder;
    struct td_certificate *certificate;
    guint mailbox_source;
    struct td_recordings *recordings;
    struct td_recovery *recovery;
    bool recovered; /* `done` was heard */
    bool all_ended;
    char heard[ESTATE_LOG_BYTES]; /* "id=state!" for each announcement, "!" the last one */
    atomic_bool may_go;           /* a job that holds the store thread up */
    atomic_bool held;
};

#define ESTATE_WAIT_US (30 * TD_US_PER_S)
/* Runs the main context until then. */
#define ESTATE_UNTIL(condition)                                                                    \
    do {                                                                                           \
        int64_t until_us = td_clock_now_us() + ESTATE_WAIT_US;                                     \
        while (!(condition)) {                                                                     \
            if (td_clock_now_us() > until_us)                                                      \
                fail_msg("waited in vain for " #condition);                                        \
            if (!g_main_context_iteration(NULL, FALSE))                                            \
                g_usleep(500);                                                                     \
        }                                                                                          \
    } while (0)

/* A folder, a catalogue, and a configuration that may be changed before estate_start. */
void estate_open(struct estate *e);
void estate_close(struct estate *e);
/* A daemon: recordings, and with `recovers` its recovery. */
void estate_start(struct estate *e, bool recovers);
/* Its end: all is stopped, or left for the next one. */
void estate_stop(struct estate *e, bool leaves);

/* DATA/recordings/my_room_20261121T09300<n>Z_rec_<n>, as a killed process left it; its id. */
void estate_relic(struct estate *e, enum relic_kind kind, unsigned n, char ret_id[TD_ID_MAX],
                  char ret_folder[TD_PATH_MAX]);
/* The row that the killed process had written of it. */
void estate_row(struct estate *e, const char *id, const char *folder, const char *room,
                const char *state);
/* Column of this row, as text; "" without a row. */
const char *estate_column(struct estate *e, const char *id, const char *column);
unsigned estate_rows(struct estate *e);
/* Its text, from the row. */
const char *estate_doc(struct estate *e, const char *id, const char *key);

/* The store thread does nothing from now on, until estate_let_go. */
void estate_hold(struct estate *e);
void estate_let_go(struct estate *e);

#endif
