/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/live.h"

#include <errno.h>

#include "base/id.h"
#include "recorder/layout.h"
#include "recorder/recover.h"

static int link_path(const char *data_dir, const char *room, const struct td_part *part,
                     char ret_path[static TD_PATH_MAX])
{
    char safe[TD_NAME_MAX];
    td_name_sanitise(room, safe);
    return td_layout_path(ret_path, "%s/live/%s.%s", data_dir, safe, td_layout_name(part->final));
}

static int unlink_existing(struct td_fs *fs, const char *path)
{
    int r = td_fs_unlink(fs, path);
    return r == -ENOENT ? 0 : r;
}

int td_live_link(struct td_fs *fs, const char *data_dir, const char *room, const char *folder,
                 const struct td_part *part)
{
    char path[TD_PATH_MAX];
    char target[TD_PATH_MAX];
    int r = link_path(data_dir, room, part, path);
    if (r == 0)
        r = td_layout_path(target, "../recordings/%s/%s", td_layout_name(folder),
                           td_layout_name(part->growing));
    if (r == 0)
        r = unlink_existing(fs, path);
    return r < 0 ? r : td_fs_symlink(fs, target, path);
}

int td_live_unlink(struct td_fs *fs, const char *data_dir, const char *room,
                   const struct td_part *part)
{
    char path[TD_PATH_MAX];
    int r = link_path(data_dir, room, part, path);
    if (r < 0 || td_recover_link_lives(fs, path))
        return r;
    return unlink_existing(fs, path);
}
