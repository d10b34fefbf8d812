/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/settings.h"

#include <unistd.h>

/* Ours, but no settings: of commands, of the codec's worker, of the tests. */
static const char *const others[] = {
    "TAPEDECK_BUILD", "TAPEDECK_CACHE",         "TAPEDECK_CONFIG", "TAPEDECK_CODEC",
    "TAPEDECK_LOGS",  "TAPEDECK_PATTERN_CACHE", "TAPEDECK_SERVER",
};

int td_settings_load(const char *path, struct td_fail *ret_fail, struct td_config *ret_config)
{
    struct td_config c;
    int r = td_config_init(&c);
    if (r < 0)
        return td_fail_set(ret_fail, r, "%s.", td_err_text(r));
    if (path != NULL)
        r = td_config_load(&c, path, ret_fail);
    if (r == 0)
        r = td_config_environment(&c, environ, others, sizeof(others) / sizeof(*others), ret_fail);
    if (r < 0) {
        td_config_done(&c);
        return r;
    }
    *ret_config = c;
    return 0;
}
