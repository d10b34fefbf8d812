/* SPDX-License-Identifier: Apache-2.0 */
/* Every call that SQLite makes to the file system fails in turn, once or from then on, as on a full
 * disk or a broken one, while a catalogue is opened and used. Each run must end, say that something
 * failed, leave whole transactions, keep what was said to be written, and never call the catalogue
 * damaged: that would throw it away. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "catalog_fixture.h"
#include "catalog_story.h"

/* ---- a VFS that fails the n-th call ---- */

static struct {
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
    unsigned long calls;
    unsigned long fail_at; /* 0 = never */
    bool sticky;
    bool full;
} shim;

struct shim_file {
    sqlite3_file base;
    sqlite3_file *real; /* behind this one */
};

static bool shim_fails(void)
{
    shim.calls++;
    return shim.fail_at != 0 &&
           (shim.sticky ? shim.calls >= shim.fail_at : shim.calls == shim.fail_at);
}

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct shim_file *)file)->real;
}

static int shim_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int shim_read(sqlite3_file *file, void *bytes, int len, sqlite3_int64 offset)
{
    return !shim.full && shim_fails()
               ? SQLITE_IOERR_READ
               : real_of(file)->pMethods->xRead(real_of(file), bytes, len, offset);
}

static int shim_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 offset)
{
    return shim_fails() ? (shim.full ? SQLITE_FULL : SQLITE_IOERR_WRITE)
                        : real_of(file)->pMethods->xWrite(real_of(file), bytes, len, offset);
}

static int shim_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return !shim.full && shim_fails() ? SQLITE_IOERR_TRUNCATE
                                      : real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int shim_sync(sqlite3_file *file, int flags)
{
    return !shim.full && shim_fails() ? SQLITE_IOERR_FSYNC
                                      : real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int shim_size(sqlite3_file *file, sqlite3_int64 *ret_size)
{
    return !shim.full && shim_fails() ? SQLITE_IOERR_FSTAT
                                      : real_of(file)->pMethods->xFileSize(real_of(file), ret_size);
}

static int shim_lock(sqlite3_file *file, int kind)
{
    return real_of(file)->pMethods->xLock(real_of(file), kind);
}

static int shim_unlock(sqlite3_file *file, int kind)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), kind);
}

static int shim_check_lock(sqlite3_file *file, int *ret_held)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret_held);
}

static int shim_control(sqlite3_file *file, int op, void *arg)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int shim_sector(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int shim_traits(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int shim_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **ret)
{
    return extend != 0 && shim_fails()
               ? SQLITE_IOERR_SHMSIZE
               : real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, ret);
}

static int shim_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}

static void shim_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int shim_shm_unmap(sqlite3_file *file, int removes)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), removes);
}

static const sqlite3_io_methods shim_methods = {
    .iVersion = 2,
    .xClose = shim_close,
    .xRead = shim_read,
    .xWrite = shim_write,
    .xTruncate = shim_truncate,
    .xSync = shim_sync,
    .xFileSize = shim_size,
    .xLock = shim_lock,
    .xUnlock = shim_unlock,
    .xCheckReservedLock = shim_check_lock,
    .xFileControl = shim_control,
    .xSectorSize = shim_sector,
    .xDeviceCharacteristics = shim_traits,
    .xShmMap = shim_shm_map,
    .xShmLock = shim_shm_lock,
    .xShmBarrier = shim_shm_barrier,
    .xShmUnmap = shim_shm_unmap,
};

static int shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                     int *ret_flags)
{
    (void)vfs;
    struct shim_file *f = (struct shim_file *)file;
    *f = (struct shim_file){.real = (sqlite3_file *)(f + 1)};
    if (shim_fails()) {
        errno = shim.full ? ENOSPC : EIO;
        return SQLITE_CANTOPEN;
    }
    int code = shim.real->xOpen(shim.real, name, f->real, flags, ret_flags);
    f->base.pMethods = f->real->pMethods != NULL ? &shim_methods : NULL;
    return code;
}

static int shim_delete(sqlite3_vfs *vfs, const char *name, int sync_dir)
{
    (void)vfs;
    return !shim.full && shim_fails() ? SQLITE_IOERR_DELETE
                                      : shim.real->xDelete(shim.real, name, sync_dir);
}

static int shim_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret_can)
{
    (void)vfs;
    return !shim.full && shim_fails() ? SQLITE_IOERR_ACCESS
                                      : shim.real->xAccess(shim.real, name, flags, ret_can);
}

static int shim_register(void **state)
{
    (void)state;
    shim.real = sqlite3_vfs_find(NULL);
    shim.vfs = *shim.real;
    shim.vfs.zName = "shim";
    shim.vfs.szOsFile = (int)sizeof(struct shim_file) + shim.real->szOsFile;
    shim.vfs.xOpen = shim_open;
    shim.vfs.xDelete = shim_delete;
    shim.vfs.xAccess = shim_access;
    return sqlite3_vfs_register(&shim.vfs, 1) == SQLITE_OK ? 0 : -1;
}

/* ---- runs ---- */

static void check_error(int error)
{
    if (shim.full) {
        assert_int_equal(error, -ENOSPC);
    } else {
        assert_true(error == -EIO || error == -ENOSPC); /* the latter for the index of the log */
    }
}

/* A whole run in which call `n` fails; false when there are not so many. */
static bool fail_call(struct shelf *s, unsigned long n)
{
    struct story story = {.calls = 0};
    struct td_fail fail = {.code = 0};
    struct td_catalog *c = NULL;
    shim.calls = 0;
    shim.fail_at = n;
    int r = td_catalog_open(s->path, &fail, &c);
    unsigned long opening = shim.calls;
    if (r == 0) {
        story_tell(c, &story);
    } else {
        check_error(r);
    }
    bool reached = shim.calls >= n;
    bool within = reached && n > opening;
    if (within && story.failed > 0) {
        check_error(story.first_error);
    }
    if (!shim.sticky) {
        assert_in_range(story.failed, 0, 1); /* it goes on when the disk does */
    }
    assert_true(reached || (r == 0 && story.failed == 0));
    c = td_catalog_close(c);
    shim.fail_at = 0;
    if (r == 0) {
        story_check(s->path, &story);
    }
    td_fail_clear(&fail);
    assert_int_equal(td_catalog_open(s->path, &fail, &c), 0);
    assert_int_equal(story_put(c, 0, STORY_ROUNDS + 1), 0);
    c = td_catalog_close(c);
    story_check_whole(s->path);
    return reached;
}

static void run_all(bool sticky, bool full)
{
    shim.sticky = sticky;
    shim.full = full;
    unsigned long n = 1;
    bool reached = true;
    while (reached) {
        static struct shelf s;
        shelf_init(&s);
        reached = fail_call(&s, n++);
        shelf_done(&s);
    }
    print_message("# %lu calls failed in turn%s, %s\n", n - 2, sticky ? " and for good" : "",
                  full ? "disk full" : "disk broken");
    assert_in_range(n, 50, 5000);
}

static void test_full_once(void **state)
{
    (void)state;
    run_all(false, true);
}

static void test_full_for_good(void **state)
{
    (void)state;
    run_all(true, true);
}

static void test_broken_once(void **state)
{
    (void)state;
    run_all(false, false);
}

static void test_broken_for_good(void **state)
{
    (void)state;
    run_all(true, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_once),
        cmocka_unit_test(test_full_for_good),
        cmocka_unit_test(test_broken_once),
        cmocka_unit_test(test_broken_for_good),
    };
    return cmocka_run_group_tests(tests, shim_register, NULL);
}
