/* SPDX-License-Identifier: Apache-2.0 */
#include "source/livekit/tracks.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "media/codec.h"
#include "source/binding.h"

void td_livekit_tracks_init(struct td_livekit_tracks *t, const struct td_source_events *events)
{
    *t = (struct td_livekit_tracks){.events = events, .next_handle = 1};
}

void td_livekit_tracks_done(struct td_livekit_tracks *t)
{
    while (t->track_count > 0)
        free(t->tracks[--t->track_count]);
    while (t->participant_count > 0)
        free(t->participants[--t->participant_count]);
}

/* Cut between characters; what is no UTF-8 is replaced: both end up in JSON. */
static void copy_text(char ret_text[static TD_SOURCE_TEXT_MAX], const char *text)
{
    char *valid = g_utf8_make_valid(text != NULL ? text : "", -1);
    size_t len = strlen(valid);
    if (len >= TD_SOURCE_TEXT_MAX) {
        len = TD_SOURCE_TEXT_MAX - 1;
        while (len > 0 && ((unsigned char)valid[len] & 0xc0) == 0x80)
            len--;
    }
    memcpy(ret_text, valid, len);
    ret_text[len] = '\0';
    g_free(valid);
}

static struct td_livekit_track *by_sid(const struct td_livekit_tracks *t, const char *wanted)
{
    char sid[TD_SOURCE_TEXT_MAX]; /* as it was kept */
    copy_text(sid, wanted);
    for (unsigned i = 0; i < t->track_count; i++) {
        if (strcmp(t->tracks[i]->info.sid, sid) == 0)
            return t->tracks[i];
    }
    return NULL;
}

const struct td_livekit_track *td_livekit_tracks_find(const struct td_livekit_tracks *t,
                                                      uint32_t handle)
{
    for (unsigned i = 0; i < t->track_count; i++) {
        if (t->tracks[i]->info.handle == handle)
            return t->tracks[i];
    }
    return NULL;
}

static struct td_livekit_track *new_track(struct td_livekit_tracks *t, const char *sid)
{
    if (t->track_count == TD_TRACKS_MAX) {
        t->refused++;
        return NULL;
    }
    struct td_livekit_track *track = calloc(1, sizeof(*track));
    if (track == NULL)
        return NULL;
    copy_text(track->info.sid, sid);
    track->info.handle = t->next_handle++;
    track->binding.handle = track->info.handle;
    t->tracks[t->track_count++] = track;
    return track;
}

static void remove_track(struct td_livekit_tracks *t, unsigned index)
{
    struct td_livekit_track *track = t->tracks[index];
    t->tracks[index] = t->tracks[--t->track_count];
    if (track->announced)
        t->events->track_removed(t->events->ctx, track->info.handle);
    free(track);
}

/* "video/VP8" */
static enum td_codec codec_of_mime(const char *mime)
{
    const char *slash = strchr(mime, '/');
    const char *name = slash != NULL ? slash + 1 : mime;
    if (strcasecmp(name, "red") ==
        0) /* the server takes RED apart for those who do not ask for it */
        name = "opus";
    const struct td_codec_info *codec = td_codec_by_name(name);
    return codec != NULL ? codec->codec : TD_CODEC_NONE;
}

static enum td_track_role role_of(Lk__TrackSource source)
{
    switch (source) {
    case LK__TRACK_SOURCE__CAMERA:
        return TD_ROLE_CAMERA;
    case LK__TRACK_SOURCE__MICROPHONE:
        return TD_ROLE_MICROPHONE;
    case LK__TRACK_SOURCE__SCREEN_SHARE:
        return TD_ROLE_SCREEN;
    case LK__TRACK_SOURCE__SCREEN_SHARE_AUDIO:
        return TD_ROLE_SCREEN_AUDIO;
    default:
        return TD_ROLE_UNKNOWN;
    }
}

static void announce(struct td_livekit_tracks *t, struct td_livekit_track *track,
                     const Lk__ParticipantInfo *participant, const Lk__TrackInfo *info)
{
    struct td_track_info *to = &track->info;
    to->kind = info->type == LK__TRACK_TYPE__VIDEO ? TD_MEDIA_VIDEO : TD_MEDIA_AUDIO;
    to->role = role_of(info->source);
    copy_text(to->participant, participant->identity);
    copy_text(to->participant_name, participant->name);
    copy_text(to->name, info->name);
    copy_text(track->participant_sid, participant->sid);
    to->muted = info->muted;
    to->width = info->width <= UINT16_MAX ? (uint16_t)info->width : 0;
    to->height = info->height <= UINT16_MAX ? (uint16_t)info->height : 0;
    to->codec = codec_of_mime(info->mime_type);
    track->announced = true;
    t->events->track_added(t->events->ctx, to);
    if (track->binding.payload_count > 0)
        t->events->track_bound(t->events->ctx, &track->binding);
}

static void read_track(struct td_livekit_tracks *t, const Lk__ParticipantInfo *participant,
                       const Lk__TrackInfo *info)
{
    bool media = info->type == LK__TRACK_TYPE__AUDIO || info->type == LK__TRACK_TYPE__VIDEO;
    if (!media || info->sid[0] == '\0')
        return;
    struct td_livekit_track *track = by_sid(t, info->sid);
    if (track == NULL)
        track = new_track(t, info->sid);
    if (track == NULL)
        return;
    track->seen = true;
    if (!track->announced) {
        announce(t, track, participant, info);
    } else if (track->info.muted != (info->muted != 0)) {
        track->info.muted = info->muted;
        t->events->track_muted(t->events->ctx, track->info.handle, info->muted);
    }
}

static struct td_livekit_participant *
participant_of(struct td_livekit_tracks *t, const Lk__ParticipantInfo *info, unsigned *ret_index)
{
    char identity[TD_SOURCE_TEXT_MAX]; /* as it was kept: LiveKit's may have 256 bytes */
    copy_text(identity, info->identity);
    for (unsigned i = 0; i < t->participant_count; i++) {
        if (strcmp(t->participants[i]->identity, identity) == 0) {
            *ret_index = i;
            return t->participants[i];
        }
    }
    return NULL;
}

static bool holds_room(Lk__ParticipantKind kind)
{
    return kind != LK__PARTICIPANT_KIND__EGRESS && kind != LK__PARTICIPANT_KIND__AGENT;
}

static void remove_tracks_of(struct td_livekit_tracks *t, const char *participant_sid,
                             bool only_unseen)
{
    for (unsigned i = t->track_count; i > 0; i--) {
        struct td_livekit_track *track = t->tracks[i - 1];
        if (track->announced && strcmp(track->participant_sid, participant_sid) == 0 &&
            !(only_unseen && track->seen))
            remove_track(t, i - 1);
    }
}

static void gone(struct td_livekit_tracks *t, unsigned index)
{
    struct td_livekit_participant *p = t->participants[index];
    remove_tracks_of(t, p->sid, false);
    t->participants[index] = t->participants[--t->participant_count];
    if (p->holds_room)
        t->events->participant(t->events->ctx, p->identity, false);
    free(p);
}

static struct td_livekit_participant *arrived(struct td_livekit_tracks *t,
                                              const Lk__ParticipantInfo *info)
{
    if (t->participant_count == TD_PARTICIPANTS_MAX) {
        t->refused++;
        return NULL;
    }
    struct td_livekit_participant *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return NULL;
    copy_text(p->identity, info->identity);
    copy_text(p->sid, info->sid);
    p->holds_room = holds_room(info->kind);
    t->participants[t->participant_count++] = p;
    if (p->holds_room)
        t->events->participant(t->events->ctx, p->identity, true);
    return p;
}

void td_livekit_tracks_participant(struct td_livekit_tracks *t, const Lk__ParticipantInfo *info)
{
    unsigned index = 0;
    struct td_livekit_participant *p = participant_of(t, info, &index);
    char sid[TD_SOURCE_TEXT_MAX];
    copy_text(sid, info->sid);
    if (info->state == LK__PARTICIPANT_STATE__DISCONNECTED) {
        /* A late goodbye of a session that the same identity has replaced does not count. */
        if (p != NULL && strcmp(p->sid, sid) == 0)
            gone(t, index);
        return;
    }
    if (p == NULL)
        p = arrived(t, info);
    if (p == NULL)
        return;
    if (strcmp(p->sid, sid) != 0) {
        /* Reconnected in full: same identity, everything else is new. */
        remove_tracks_of(t, p->sid, false);
        memcpy(p->sid, sid, sizeof(p->sid));
    }
    for (unsigned i = 0; i < t->track_count; i++)
        t->tracks[i]->seen = false;
    for (size_t i = 0; i < info->n_tracks; i++)
        read_track(t, info, info->tracks[i]);
    remove_tracks_of(t, sid, true);
}

static bool binding_equal(const struct td_track_binding *a, const struct td_track_binding *b)
{
    if (a->ssrc != b->ssrc || a->payload_count != b->payload_count)
        return false;
    for (unsigned i = 0; i < a->payload_count; i++) {
        if (a->payloads[i].payload_type != b->payloads[i].payload_type ||
            a->payloads[i].codec != b->payloads[i].codec)
            return false;
    }
    return true;
}

static void read_section(struct td_livekit_tracks *t, const struct td_sdp_section *section)
{
    struct td_track_binding binding;
    if (!td_binding_sends(section) || section->ssrc_count == 0 || section->track_id[0] == '\0' ||
        !td_binding_read(section, 0, &binding))
        return;
    struct td_livekit_track *track = by_sid(t, section->track_id);
    if (track == NULL)
        track = new_track(t, section->track_id);
    if (track == NULL)
        return;
    track->seen = true;
    binding.handle = track->info.handle;
    if (binding_equal(&binding, &track->binding))
        return;
    track->binding = binding;
    if (track->announced)
        t->events->track_bound(t->events->ctx, &track->binding);
}

void td_livekit_tracks_offer(struct td_livekit_tracks *t, const struct td_sdp *offer)
{
    for (unsigned i = 0; i < t->track_count; i++)
        t->tracks[i]->seen = false;
    for (unsigned i = 0; i < offer->section_count; i++)
        read_section(t, &offer->sections[i]);
    /* What never was announced and is not offered any more would fill the table up. */
    for (unsigned i = t->track_count; i > 0; i--) {
        if (!t->tracks[i - 1]->announced && !t->tracks[i - 1]->seen)
            remove_track(t, i - 1);
    }
}
