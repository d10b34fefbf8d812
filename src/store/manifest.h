/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest: the whole truth about one recording, as a structure and as JSON (manifest.json, format
 * 1).
 * Owner: the recorder; the strings are inside, the arrays are freed by td_manifest_done.
 * Thread: any, one at a time per object.
 * Bound: TD_MANIFEST_TRACKS_MAX, _OUTPUTS_MAX, _PARTS_MAX, text of TD_MANIFEST_BYTES_MAX.
 * Does not: any I/O (td_store_replace writes it). Strings that are too long are cut between
 *           characters; unknown keys are ignored when read. docs/formats/manifest.md is the format.
 */
#ifndef TD_STORE_MANIFEST_H
#define TD_STORE_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"

#define TD_MANIFEST_FORMAT 1
#define TD_MANIFEST_TRACKS_MAX 1024u /* of one recording; rejoining makes new ones */
#define TD_MANIFEST_OUTPUTS_MAX 512u
#define TD_MANIFEST_PARTS_MAX 1024u      /* of one output */
#define TD_MANIFEST_BREAKS_MAX 1024u     /* interruptions of one recording */
#define TD_MANIFEST_BYTES_MAX (4u << 20) /* of the text, read or written */
#define TD_MANIFEST_TEXT_MAX 256         /* identity, name, room, file: bytes with NUL */
#define TD_MANIFEST_WORD_MAX 48          /* state, reason, sid, codec …: bytes with NUL */

#define TD_MANIFEST_NO_TIME INT64_MIN /* not known yet: the key is left out */

struct td_manifest_track {
    char participant[TD_MANIFEST_TEXT_MAX]; /* identity */
    char name[TD_MANIFEST_TEXT_MAX];        /* of the participant */
    char sid[TD_MANIFEST_WORD_MAX];
    char kind[TD_MANIFEST_WORD_MAX];  /* "audio", "video" */
    char role[TD_MANIFEST_WORD_MAX];  /* "camera", "microphone", "screen" … */
    char codec[TD_MANIFEST_WORD_MAX]; /* "H264" */
    int64_t offset_us;                /* of its first frame on the recording's time line;
                                         TD_MANIFEST_NO_TIME */
};

struct td_manifest_part {
    char file[TD_MANIFEST_TEXT_MAX];   /* relative to the manifest's folder */
    char format[TD_MANIFEST_WORD_MAX]; /* "ts" */
    char state[TD_MANIFEST_WORD_MAX];  /* "growing", "complete", "recovered", "failed" */
    uint64_t bytes;
    int64_t duration_ms;
    int64_t first_pts_us; /* on the recording's time line; TD_MANIFEST_NO_TIME */
    int64_t lost_ms;      /* measured by recovery or holes */
};

struct td_manifest_output {
    char participant[TD_MANIFEST_TEXT_MAX];
    char role[TD_MANIFEST_WORD_MAX]; /* "av", "screen" … */
    char name[TD_MANIFEST_TEXT_MAX]; /* of its files, without part number and extension */
    struct td_manifest_part *parts;
    size_t part_count;
};

struct td_manifest_break { /* the process died, or the source was lost */
    int64_t wall_us;       /* when media ended */
    int64_t pts_us;        /* where, on the recording's time line */
    int64_t resumed_us;    /* where it went on; TD_MANIFEST_NO_TIME = not (yet) */
};

struct td_manifest {
    char id[TD_ID_MAX];
    char room[TD_MANIFEST_TEXT_MAX];
    char room_sid[TD_MANIFEST_WORD_MAX];
    char state[TD_MANIFEST_WORD_MAX];  /* design section 5 */
    char reason[TD_MANIFEST_WORD_MAX]; /* of the end; empty while it goes on */
    int64_t started_us;                /* wall, microseconds since 1970; TD_MANIFEST_NO_TIME */
    int64_t ended_us;                  /* the same */
    int64_t zero_us;                   /* wall time of pts 0; the same */
    int64_t paused_us;                 /* sum of the pauses: pts = wall - zero_us - paused_us */
    bool paused;                       /* it is, whatever its state: to go on as paused */
    char source[TD_MANIFEST_WORD_MAX]; /* "livekit", "whip" */
    char *request;                     /* what was asked for, without secrets; NULL = not known */
    struct td_manifest_break *breaks;
    size_t break_count;
    struct td_manifest_track *tracks;
    size_t track_count;
    struct td_manifest_output *outputs;
    size_t output_count;
    char software[TD_MANIFEST_WORD_MAX]; /* "tapedeck 0.1.0" */
};

/* Empty, times unknown. */
void td_manifest_init(struct td_manifest *m);
void td_manifest_done(struct td_manifest *m);

/* Copies into a field of the structure, cut between UTF-8 characters; NULL = empty. */
void td_manifest_set(char *field, size_t field_size, const char *text);
#define TD_MANIFEST_SET(field, text) td_manifest_set((field), sizeof(field), (text))

/* Index of the new element, -TD_E_LIMIT or -ENOMEM. The element is copied (an output's parts too).
 */
TD_MUST int td_manifest_add_track(struct td_manifest *m, const struct td_manifest_track *track);
TD_MUST int td_manifest_add_output(struct td_manifest *m, const struct td_manifest_output *output);
TD_MUST int td_manifest_add_part(struct td_manifest *m, size_t output,
                                 const struct td_manifest_part *part);
TD_MUST int td_manifest_add_break(struct td_manifest *m, const struct td_manifest_break *entry);
/* Copied; -ENOMEM. */
TD_MUST int td_manifest_set_request(struct td_manifest *m, const char *request);

/* malloc'ed, NUL-terminated JSON text, one line end at its end. 0, -ENOMEM, -TD_E_LIMIT. */
TD_MUST int td_manifest_write(const struct td_manifest *m, char **ret_text, size_t *ret_len);
/* `ret_manifest` is initialised here and needs td_manifest_done after success. -TD_E_PARSE,
 * -TD_E_UNSUPPORTED (another format number), -TD_E_LIMIT, -ENOMEM; untouched on failure. */
TD_MUST int td_manifest_read(const char *text, size_t len, struct td_manifest *ret_manifest);

#endif
