/* SPDX-License-Identifier: Apache-2.0 */
#include "api/process.h"

#include <glib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Fields of /proc/self/stat (proc(5)), counted from the one behind the command's ')'. */
#define FIELD_START_TICKS 19 /* 22 in the manual: since boot */
#define FIELD_RESIDENT 21    /* 24: pages */

static double seconds(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t) < 0)
        return NAN;
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double count_open(void)
{
    GDir *folder = g_dir_open("/proc/self/fd", 0, NULL);
    if (folder == NULL)
        return NAN;
    double count = -1; /* the folder's own */
    while (g_dir_read_name(folder) != NULL)
        count++;
    g_dir_close(folder);
    return count;
}

static void read_stat(struct td_process *p)
{
    char *text = NULL;
    if (!g_file_get_contents("/proc/self/stat", &text, NULL, NULL))
        return;
    /* The command may hold anything, ')' too. */
    char *at = strrchr(text, ')');
    double start_ticks = NAN;
    for (int field = -1; at != NULL && field < FIELD_RESIDENT; field++) {
        if (field == FIELD_START_TICKS)
            start_ticks = g_ascii_strtod(at + 1, NULL);
        at = strchr(at + 1, ' ');
    }
    if (at != NULL)
        p->resident_bytes = g_ascii_strtod(at + 1, NULL) * (double)sysconf(_SC_PAGESIZE);
    double age = seconds(CLOCK_BOOTTIME) - start_ticks / (double)sysconf(_SC_CLK_TCK);
    p->start_s = seconds(CLOCK_REALTIME) - age;
    g_free(text);
}

void td_process_read(struct td_process *ret_process)
{
    *ret_process = (struct td_process){
        .resident_bytes = NAN,
        .cpu_s = seconds(CLOCK_PROCESS_CPUTIME_ID),
        .open_fds = count_open(),
        .max_fds = NAN,
        .start_s = NAN,
    };
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        ret_process->max_fds = (double)limit.rlim_cur;
    read_stat(ret_process);
}
