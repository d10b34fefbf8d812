/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document: a recording as the API shows it: the same shape for one that runs, one that ended, and
 *           one whose catalogue was lost and that is made again from its manifest.
 * Owner: the caller's reference.
 * Thread: any.
 * Bound: TD_SHELF_MAX outputs, TD_MANIFEST_BREAKS_MAX interruptions.
 * Does not: hold secrets.
 */
#ifndef TD_API_DOCUMENT_H
#define TD_API_DOCUMENT_H

#include <jansson.h>
#include <stdbool.h>

#include "recorder/session.h"

/* NULL = no memory. */
json_t *td_document_session(const struct td_session *session, bool hold);
/* From what is on disk; `folder` is whole. */
json_t *td_document_manifest(const struct td_manifest *manifest, const char *folder, bool hold);
/* The sum of its files' bytes. */
uint64_t td_document_bytes(const json_t *doc);

#endif
