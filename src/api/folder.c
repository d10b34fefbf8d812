/* SPDX-License-Identifier: Apache-2.0 */
#include "api/folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

struct entry {
    char *name;
    uint64_t bytes;
};

struct folder {
    struct td_fs *fs;
    const char *path;
    struct entry *entries;
    size_t count;
    size_t room;
};

static bool is_shown(const char *name)
{
    const char *dot = strrchr(name, '.');
    return name[0] != '.' && dot != NULL && strcmp(dot, ".tmp") != 0 && strcmp(dot, ".idx") != 0;
}

static int add(struct folder *f, const char *name, uint64_t bytes)
{
    if (f->count == TD_FOLDER_FILES_MAX)
        return -TD_E_LIMIT;
    if (f->count == f->room) {
        size_t room = f->room == 0 ? 16 : f->room * 2;
        struct entry *grown = realloc(f->entries, room * sizeof(*grown));
        if (grown == NULL)
            return -ENOMEM;
        f->entries = grown;
        f->room = room;
    }
    char *copy = strdup(name);
    if (copy == NULL)
        return -ENOMEM;
    f->entries[f->count++] = (struct entry){.name = copy, .bytes = bytes};
    return 0;
}

static int on_name(void *ctx, const char *name)
{
    struct folder *f = ctx;
    char path[TD_PATH_MAX];
    struct td_fs_stat stat;
    int n = snprintf(path, sizeof(path), "%s/%s", f->path, name);
    if (!is_shown(name) || n < 0 || (size_t)n >= sizeof(path))
        return 0;
    int err = td_fs_stat_path(f->fs, path, &stat);
    if (err == -ENOENT) /* renamed meanwhile: it comes again under its other name, or came */
        return 0;
    if (err < 0)
        return err;
    return stat.is_file ? add(f, name, stat.size) : 0;
}

static int by_name(const void *a, const void *b)
{
    const struct entry *left = a;
    const struct entry *right = b;
    return strcmp(left->name, right->name);
}

static int to_json(const struct folder *f, json_t **ret_list)
{
    json_t *list = json_array();
    for (size_t i = 0; list != NULL && i < f->count; i++) {
        json_t *entry = json_pack("{s:s, s:I}", "name", f->entries[i].name, "bytes",
                                  (json_int_t)f->entries[i].bytes);
        if (json_array_append_new(list, entry) < 0) {
            json_decref(list);
            list = NULL;
        }
    }
    if (list == NULL)
        return -ENOMEM;
    *ret_list = list;
    return 0;
}

int td_folder_list(struct td_fs *fs, const char *path, json_t **ret_list)
{
    struct folder f = {.fs = fs, .path = path};
    int err = td_fs_list(fs, path, on_name, &f);
    if (err == 0) {
        if (f.count > 0) /* folders have no order */
            qsort(f.entries, f.count, sizeof(*f.entries), by_name);
        err = to_json(&f, ret_list);
    }
    while (f.count > 0)
        free(f.entries[--f.count].name);
    free(f.entries);
    return err;
}
