/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listing: GET /api/recordings: a page of recordings, newest first, that the caller may see.
 * Owner: none; each answer is a call of its own.
 * Thread: control loop.
 * Bound: TD_CATALOG_PAGE_MAX recordings an answer, TD_LISTING_READS reads of the catalogue: a
 *        caller whose rooms are few may get a short page, and goes on with its cursor.
 * Does not: count what there is in all.
 */
#ifndef TD_API_LISTING_H
#define TD_API_LISTING_H

#include "api/call.h"

#define TD_LISTING_LIMIT 50u /* recordings a page when nothing is said */
#define TD_LISTING_READS 8u

/* Answers, now or later. */
void td_listing_answer(struct td_calls *calls, SoupServerMessage *message);

#endif
