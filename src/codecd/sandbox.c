/* SPDX-License-Identifier: Apache-2.0 */
#include "codecd/sandbox.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define CLOSE_FALLBACK_MAX 4096 /* descriptors closed one by one on kernels before 5.9 */

static int limit(int resource, rlim_t value)
{
    struct rlimit now;
    if (getrlimit((__rlimit_resource_t)resource, &now) < 0)
        return -errno;
    /* Never above what we were given. */
    if (now.rlim_max != RLIM_INFINITY && now.rlim_max < value)
        value = now.rlim_max;
    struct rlimit wanted = {.rlim_cur = value, .rlim_max = value};
    return setrlimit((__rlimit_resource_t)resource, &wanted) < 0 ? -errno : 0;
}

static int close_range_from(unsigned first, unsigned last)
{
    if (first > last || close_range(first, last, 0) == 0)
        return 0;
    if (errno != ENOSYS)
        return -errno;
    for (unsigned fd = first; fd <= last && fd < CLOSE_FALLBACK_MAX; fd++)
        (void)close((int)fd); /* nothing of ours was written to them */
    return 0;
}

/* Closes everything but 2, a and b. */
static int close_others(int a, int b)
{
    unsigned keep[3] = {STDERR_FILENO, (unsigned)a, (unsigned)b};
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned k = 0; k < 2; k++) {
            if (keep[k] > keep[k + 1]) {
                unsigned swap = keep[k];
                keep[k] = keep[k + 1];
                keep[k + 1] = swap;
            }
        }
    }
    unsigned first = 0;
    for (unsigned i = 0; i < 3; i++) {
        int r = keep[i] > first ? close_range_from(first, keep[i] - 1) : 0;
        if (r < 0)
            return r;
        first = keep[i] + 1;
    }
    return close_range_from(first, ~0u);
}

int td_sandbox_enter(int fd_in, int fd_out)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    int r = close_others(fd_in, fd_out);
    if (r == 0)
        r = limit(RLIMIT_CORE, 0);
    if (r == 0)
        r = limit(RLIMIT_FSIZE, 0);
    if (r == 0 && TD_CODECD_MEMORY_MB > 0)
        r = limit(RLIMIT_AS, (rlim_t)TD_CODECD_MEMORY_MB << 20);
    return r;
}
