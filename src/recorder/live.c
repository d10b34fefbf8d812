/* SPDX-License-Identifier: Apache-2.0 */
#include "recorder/live.h"

#include <errno.h>

#include "base/id.h"
#include "recorder/layout.h"

static int link_path(const char *data_dir, const char *room, const struct td_part *part,
                     char ret_path[static TD_PATH_MAX])
{
    char safe[TD_NAME_MAX];
    td_name_sanitise(room, safe);
    return td_layout_path(ret_path, "%s/live/%s.%s", data_dir, safe, td_layout_name(part->final));
}

/* Whether a link leads to a file that is not this part's, which may have its last name by now. */
static bool is_taken_over(struct td_fs *fs, const char *path, const struct td_part *part)
{
    struct td_fs_stat target;
    struct td_fs_stat own;
    int handle = td_fs_open(fs, path, TD_FS_READ, 0);
    if (handle < 0)
        return false;
    int r = td_fs_fstat(fs, handle, &target);
    int closed = td_fs_close(fs, handle);
    if (r < 0 || closed < 0)
        return false;
    r = td_fs_stat_path(fs, part->growing, &own);
    return r < 0 || own.ino != target.ino || own.dev != target.dev;
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
    if (r < 0 || is_taken_over(fs, path, part))
        return r;
    return unlink_existing(fs, path);
}
