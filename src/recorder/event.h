/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event: what the media loop tells the control loop about a recording, by value.
 * Owner: none, messages of the control mailbox.
 * Thread: made on the media loop, read on the control loop.
 * Bound: TD_MESSAGE_BYTES; events that find the mailbox full are counted by the capture.
 * Does not: carry text or pointers to media-loop memory.
 */
#ifndef TD_RECORDER_EVENT_H
#define TD_RECORDER_EVENT_H

#include <stdint.h>

enum td_event_kind {
    TD_EVENT_GAP,         /* pts_us..to_us are missing; a = packets lost, b = frames left out */
    TD_EVENT_DROP,        /* the disk could not keep up: a = frames dropped in pts_us..to_us */
    TD_EVENT_SILENT,      /* no packet of an unmuted track; a = microseconds */
    TD_EVENT_CODEC,       /* a = old, b = new enum td_codec */
    TD_EVENT_RESOLUTION,  /* a = width, b = height */
    TD_EVENT_FIRST_FRAME, /* first stored frame of a track */
    TD_EVENT_DURATION,    /* the asked duration is stored */
    TD_EVENT_BACKLOG,     /* audio can wait no longer, the output ended: a = -ENOBUFS when memory is
                             used up, else the disk stood still */
    TD_EVENT_REFUSED,     /* the container cannot take this codec: a = enum td_codec */
    TD_EVENT_LIMIT,       /* a track finds no place in its output any more and is left out */
    TD_EVENT_PAUSED,      /* time stands still from pts_us on */
    TD_EVENT_RESUMED,     /* time goes on at pts_us; a = microseconds that it stood still */
    TD_EVENT_FAILED,      /* an output failed before or outside its spool; a = negative code */
};

struct td_event {
    enum td_event_kind kind;
    uint32_t track; /* handle, 0 = none */
    unsigned output;
    int64_t wall_us;
    int64_t pts_us; /* on the recording's time line */
    int64_t to_us;
    int64_t a;
    int64_t b;
};

#endif
