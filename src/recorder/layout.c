/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/layout.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

static const char growing_mark[] = ".recording.";

int td_layout_path(char ret_path[static TD_PATH_MAX], const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(ret_path, TD_PATH_MAX, fmt, args);
    va_end(args);
    return len < 0 || (size_t)len >= TD_PATH_MAX ? -ENAMETOOLONG : 0;
}

int td_layout_growing(const char *base, unsigned part, const char *extension,
                      char ret_path[static TD_PATH_MAX])
{
    if (part <= 1)
        return td_layout_path(ret_path, "%s%s%s", base, growing_mark, extension);
    return td_layout_path(ret_path, "%s.p%u%s%s", base, part, growing_mark, extension);
}

int td_layout_final(const char *base, unsigned part, const char *extension,
                    char ret_path[static TD_PATH_MAX])
{
    if (part <= 1)
        return td_layout_path(ret_path, "%s.%s", base, extension);
    return td_layout_path(ret_path, "%s.p%u.%s", base, part, extension);
}

int td_layout_is_growing(const char *path, char ret_final[static TD_PATH_MAX])
{
    const char *name = td_layout_name(path);
    const char *mark = strstr(name, growing_mark);
    if (mark == NULL || mark == name)
        return 0;
    for (const char *next = mark; next != NULL; next = strstr(next + 1, growing_mark))
        mark = next;
    const char *extension = mark + strlen(growing_mark);
    if (*extension == '\0' || strchr(extension, '.') != NULL)
        return 0;
    int r = td_layout_path(ret_final, "%.*s.%s", (int)(mark - path), path, extension);
    return r < 0 ? r : 1;
}

int td_layout_folder(const char *data_dir, const char *room, int64_t wall_us, const char *id,
                     char ret_path[static TD_PATH_MAX])
{
    char safe[TD_NAME_MAX];
    char when[TD_CLOCK_TEXT_MAX];
    td_name_sanitise(room, safe);
    td_clock_basic(wall_us, when);
    return td_layout_path(ret_path, "%s/recordings/%s_%s_%s", data_dir, safe, when, id);
}

const char *td_layout_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}
