/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source: the family of places where a room's media comes from: livekit, whip, replay.
 * Owner: a recording session on the control loop.
 * Thread: control loop; `packet` and `send_rtcp` on the media loop.
 * Bound: TD_TRACKS_MAX tracks, TD_PARTICIPANTS_MAX participants; more are refused with an event.
 * Does not: order, depacketise or store. Words of one server's protocol stop behind this header.
 */
#ifndef TD_SOURCE_SOURCE_H
#define TD_SOURCE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"
#include "media/frame.h"

#define TD_SOURCE_TEXT_MAX 256
#define TD_SOURCE_PAYLOADS_MAX 16

enum td_track_role { /* what the publisher says it is */
                     TD_ROLE_UNKNOWN,
                     TD_ROLE_CAMERA,
                     TD_ROLE_MICROPHONE,
                     TD_ROLE_SCREEN,
                     TD_ROLE_SCREEN_AUDIO,
};

struct td_payload { /* what a payload type means on this track */
    uint8_t payload_type;
    uint8_t channels;
    enum td_codec codec;
    uint32_t clock_hz;
};

struct td_track_info {
    uint32_t handle; /* unique in this source, never reused */
    enum td_media_kind kind;
    enum td_track_role role;
    char participant[TD_SOURCE_TEXT_MAX];      /* identity */
    char participant_name[TD_SOURCE_TEXT_MAX]; /* display name, may be empty */
    char sid[TD_SOURCE_TEXT_MAX];              /* the server's track id */
    char name[TD_SOURCE_TEXT_MAX];
    bool muted;
    uint16_t width; /* announced, 0 = unknown */
    uint16_t height;
    enum td_codec codec; /* announced, TD_CODEC_NONE = unknown until payloads are */
};

struct td_track_binding { /* how its packets look; comes with or after the announcement */
    uint32_t handle;
    uint32_t ssrc; /* 0 = unknown: the first packet with one of the payload types tells */
    uint32_t rtx_ssrc;
    struct td_payload payloads[TD_SOURCE_PAYLOADS_MAX];
    unsigned payload_count;
};

enum td_end_reason { /* why a source ended by itself */
                     TD_END_NONE,
                     TD_END_ROOM_CLOSED,
                     TD_END_DISCONNECTED, /* the publisher or the server went away, and may return
                                           */
                     TD_END_LEFT,         /* the publisher said goodbye, or we were sent away */
                     TD_END_REFUSED,      /* never accepted: fail says why; exit code 3 */
                     TD_END_FAILED,       /* transport or protocol failure */
                     TD_END_STOPPED,      /* answer to stop */
};

struct td_source_events { /* control loop */
    void *ctx;
    void (*accepted)(void *ctx, const char *room_sid, const char *room_name);
    void (*participant)(void *ctx, const char *identity, bool present);
    void (*track_added)(void *ctx, const struct td_track_info *track);
    /* Before the first packet of that binding can arrive. Again when it changes. */
    void (*track_bound)(void *ctx, const struct td_track_binding *binding);
    void (*track_muted)(void *ctx, uint32_t handle, bool muted);
    void (*track_removed)(void *ctx, uint32_t handle);
    void (*connected)(void *ctx); /* media can flow */
    /* Last callback; nothing on the media loop follows either. The source may be freed in it. */
    void (*ended)(void *ctx, enum td_end_reason reason, const struct td_fail *fail);
};

struct td_media_sink { /* media loop */
    void *ctx;
    void (*packet)(void *ctx, uint8_t *bytes, size_t len, int64_t now_us); /* RTP or RTCP, clear */
};

struct td_source;

struct td_source_ops {
    const char *name;
    /* Chooses what is received, after track_added (or in it). Everything is off until selected. */
    int (*select)(struct td_source *s, uint32_t handle, bool wanted);
    void (*stop)(struct td_source *s);              /* `ended` follows */
    struct td_source *(*free)(struct td_source *s); /* after `ended` only */
    int (*send_rtcp)(struct td_source *s, const uint8_t *bytes, size_t len); /* media loop */
};

/* First member of every implementation. */
struct td_source {
    const struct td_source_ops *ops;
};

TD_MUST int td_source_select(struct td_source *s, uint32_t handle, bool wanted);
void td_source_stop(struct td_source *s);
struct td_source *td_source_free(struct td_source *s);
TD_MUST int td_source_send_rtcp(struct td_source *s, const uint8_t *bytes, size_t len);

#endif
