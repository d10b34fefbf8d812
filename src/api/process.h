/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process: what the system says about this process: memory, processor time, descriptors, start.
 * Owner: the caller's struct.
 * Thread: any that may read /proc (which does not block).
 * Bound: one small file and one folder of /proc.
 * Does not: cache.
 */
#ifndef TD_API_PROCESS_H
#define TD_API_PROCESS_H

/* NAN where the system does not tell. */
struct td_process {
    double resident_bytes;
    double cpu_s;
    double open_fds;
    double max_fds;
    double
        start_s; /* wall clock, since 1970; moves with the wall clock, so keep the first answer */
};

void td_process_read(struct td_process *ret_process);

#endif
