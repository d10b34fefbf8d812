/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits: every named ceiling of the process, with its unit and its reason, in one table.
 * Owner: none, constants.
 * Thread: any.
 * Bound: it is the bounds. User-settable ones get a configuration row that defaults to these.
 * Does not: hold format constants (those stand beside the code that cites their RFC).
 */
#ifndef TD_BASE_LIMITS_H
#define TD_BASE_LIMITS_H

/* Input from strangers. */
#define TD_FRAME_BYTES_MAX (4u << 20)  /* one encoded frame; a 4K intra frame fits with room */
#define TD_SIGNAL_BYTES_MAX (4u << 20) /* one signalling message; LiveKit metadata adds up */
#define TD_SDP_BYTES_MAX (1u << 20)    /* 64 sections of LiveKit's verbose SDP stay below */
#define TD_TRACKS_MAX 64u              /* per room */
#define TD_SDP_SECTIONS_MAX 160u       /* m-lines are never removed, so more than tracks */
#define TD_SDP_CODECS_MAX 48u          /* payload types in one m-line */
#define TD_CANDIDATES_MAX 64u          /* ICE candidates of one peer; more are ignored, counted */
#define TD_PACKET_BYTES_MAX 2048u      /* one datagram; larger ones are dropped, counted */
#define TD_PARTICIPANTS_MAX 256u       /* tracked at a time in one room */

/* Memory. */
#define TD_RECORDING_MEMORY_MB 64u /* budget of one recording, design section 7 */
#define TD_PROCESS_MEMORY_MB 1024u /* budget of the process */
#define TD_REORDER_SLOTS 512u /* packets of a track behind a hole: LiveKit resends the last 500 */

/* Time. */
#define TD_REORDER_US 2000000          /* longest wait for a lost packet, design section 7 */
#define TD_VIDEO_WAIT_US 1000000       /* a file waits this long for announced video */
#define TD_PARTICIPANT_WAIT_US 5000000 /* `-o FILE` waits this long for one with video */
#define TD_TICK_US 5000                /* media loop drain tick: 3 to 7 times less CPU */
#define TD_TICK_STEADY_US 20000        /* … of a peer whose clocks are known */
#define TD_TICK_SETTLE_US 5000000      /* arrival times count for so long after connecting */
#define TD_TICK_CONNECTING_US 1000     /* while a peer connects, latency counts more */
#define TD_START_TIMEOUT_US 10000000   /* a source accepts or refuses within this */

/* Disk. */
#define TD_FLUSH_BYTES (256u << 10)    /* design section 7: flush by bytes … */
#define TD_FLUSH_INTERVAL_US 400000    /* … or age */
#define TD_SYNC_INTERVAL_US 5000000    /* fdatasync */
#define TD_CRASHPOOL_BYTES (16u << 20) /* reserved on tmpfs; 64 MB is a default container's all */
#define TD_CRASHPOOL_BUFFER_BYTES (64u << 10)
#define TD_PATH_MAX 1024u /* bytes of a path we create, NUL included */

#endif
