/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/problem.h"

#include <stdio.h>
#include <string.h>

#include "cli/readable.h"

struct advice {
    const char *code; /* of the problem, RFC 9457 with the API's own member */
    const char *text;
};

/* What the daemon's sentence does not say: it knows its side only. */
static const struct advice advices[] = {
    {"forbidden_room", "This key is for other rooms."},
    {"bad_host", "Call it by the address that it listens on, or give it API keys."},
    {"no_such_recording", "'tapedeck list' shows those that there are."},
    {"not_possible", "See 'tapedeck start --help', and 'tapedeck config print' of the daemon."},
    {"limit", "Stop a recording, or raise the limit in the daemon's configuration."},
    {"source_refused", "Check --url and --token, or ws_url, api_key and api_secret of the daemon."},
    {"source_timeout", "Check that the LiveKit server runs and that the daemon reaches it."},
    {"disk_full", "Free some space; 'tapedeck status' shows how much there is."},
    {"catalogue", "'tapedeck status' and the daemon's log say what is wrong with it."},
    {"idempotency_key_reused", "Choose another --idempotency-key."},
    {"ended", "'tapedeck status' says how it ended."},
};

enum td_exit td_problem_exit(unsigned status)
{
    switch (status) {
    case 400:
    case 413:
    case 414:
    case 415:
    case 422:
    case 431:
        return TD_EXIT_USAGE;
    case 401:
    case 403:
    case 502:
    case 504:
        return TD_EXIT_REFUSED;
    case 507:
        return TD_EXIT_STORAGE;
    default:
        return status >= 200 && status < 300 ? TD_EXIT_DONE : TD_EXIT_FAILED;
    }
}

static const char *advice_on(const char *code, bool with_token)
{
    if (strcmp(code, "unauthorized") == 0)
        return with_token ? "The key of --api-token or TAPEDECK_TOKEN is none of its api_keys."
                          : "Show a key: --api-token, or better TAPEDECK_TOKEN.";
    for (size_t i = 0; i < sizeof(advices) / sizeof(*advices); i++) {
        if (strcmp(advices[i].code, code) == 0)
            return advices[i].text;
    }
    return NULL;
}

void td_problem_say(unsigned status, const json_t *answer, bool with_token,
                    char ret_text[static TD_PROBLEM_TEXT_MAX])
{
    const char *said = json_string_value(json_object_get(answer, "detail"));
    const char *code = json_string_value(json_object_get(answer, "code"));
    if (said == NULL || code == NULL) {
        (void)snprintf(ret_text, TD_PROBLEM_TEXT_MAX,
                       "What answers there with HTTP status %u is no tapedeck daemon. Is --server "
                       "right?",
                       status);
        return;
    }
    char detail[512];
    td_readable_text(said, detail, sizeof(detail));
    size_t len = strlen(detail);
    const char *advice = advice_on(code, with_token);
    bool open = len > 0 && strchr(".!?", detail[len - 1]) == NULL;
    (void)snprintf(ret_text, TD_PROBLEM_TEXT_MAX, "%s%s%s%s", len > 0 ? detail : "It failed",
                   open || len == 0 ? "." : "", advice != NULL ? " " : "",
                   advice != NULL ? advice : "");
}
