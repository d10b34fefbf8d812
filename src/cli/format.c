/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/format.h"

#include <stddef.h>
#include <string.h>

const struct td_mux_ops *td_format_by_name(const char *name)
{
    const struct td_mux_ops *ops = td_mux_by_name(name);
    return ops != NULL && ops->seal != NULL ? ops : NULL; /* the others store nothing */
}

int td_format_option(const struct td_command *command, const char *name,
                     const struct td_mux_ops **ret_format)
{
    *ret_format = NULL;
    if (name == NULL || strcmp(name, "auto") == 0)
        return 0;
    *ret_format = td_format_by_name(name);
    if (*ret_format != NULL)
        return 0;
    (void)td_usage_error(command, "there is no format '%s'; use ts, mkv or auto.", name);
    return -TD_E_USAGE;
}
