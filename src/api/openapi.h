/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openapi: GET /openapi.json: what every route of the daemon takes and answers (openapi.json).
 * Owner: none; the document is a constant of the executable.
 * Thread: control loop.
 * Bound: the document.
 * Does not: generate anything: the document is written by hand and tested against the server.
 */
#ifndef TD_API_OPENAPI_H
#define TD_API_OPENAPI_H

#include "api/http.h"

/* Made at build time by tools/embed, with this version in it. Not NUL-terminated. */
extern const unsigned char td_openapi_text[];
extern const unsigned long td_openapi_text_len;

/* Adds the route. */
void td_openapi_serve(struct td_http *http);

#endif
