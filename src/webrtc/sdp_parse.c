/* SPDX-License-Identifier: Apache-2.0 */
#include "webrtc/sdp.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PAIRS_MAX 16

/* A piece of the text; never NUL-terminated. */
struct span {
    const char *at;
    size_t len;
};

struct ssrc_pair {
    uint32_t media;
    uint32_t repair;
    bool rtx;
};

struct parser {
    struct td_sdp *sdp;
    unsigned capacity;
    struct td_sdp_section session; /* what sections inherit */
    struct span bundle;            /* mids of the BUNDLE group */
    /* of the section in work */
    bool own_fingerprint;
    bool own_msid;
    bool bundle_only;
    unsigned pair_count;
    struct ssrc_pair pairs[PAIRS_MAX];
};

/* ---- spans ---- */

static bool span_is(struct span s, const char *word)
{
    return s.len == strlen(word) && strncasecmp(s.at, word, s.len) == 0;
}

/* Takes what stands before the next `separator` (or all) off the front. */
static struct span span_cut(struct span *s, char separator)
{
    struct span front = {.at = s->at};

    while (front.len < s->len && s->at[front.len] != separator)
        front.len++;
    s->at += front.len;
    s->len -= front.len;
    if (s->len > 0) {
        s->at++;
        s->len--;
    }
    return front;
}

/* The next word between spaces; empty at the end. */
static struct span span_word(struct span *s)
{
    struct span word;

    do
        word = span_cut(s, ' ');
    while (word.len == 0 && s->len > 0);
    return word;
}

static bool span_number(struct span s, uint64_t max, uint64_t *ret_value)
{
    uint64_t value = 0;

    if (s.len == 0 || s.len > 12)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(s.at[i] - '0');
    }
    if (value > max)
        return false;
    *ret_value = value;
    return true;
}

static int span_copy(struct span s, char *ret_text, size_t capacity)
{
    if (s.len >= capacity)
        return -TD_E_LIMIT;
    memcpy(ret_text, s.at, s.len);
    ret_text[s.len] = '\0';
    return 0;
}

/* ---- attributes ---- */

static struct td_sdp_codec *find_codec(struct td_sdp_section *section, struct span payload_type)
{
    uint64_t number;

    if (!span_number(payload_type, 127, &number))
        return NULL;
    for (unsigned i = 0; i < section->codec_count; i++)
        if (section->codecs[i].payload_type == number)
            return &section->codecs[i];
    return NULL;
}

static int on_mid(struct parser *p, struct td_sdp_section *section, struct span value)
{
    (void)p;
    if (value.len == 0 || memchr(value.at, ' ', value.len) != NULL)
        return -TD_E_PARSE;
    return span_copy(value, section->mid, sizeof(section->mid));
}

static int on_ufrag(struct parser *p, struct td_sdp_section *section, struct span value)
{
    (void)p;
    return span_copy(value, section->ufrag, sizeof(section->ufrag));
}

static int on_pwd(struct parser *p, struct td_sdp_section *section, struct span value)
{
    (void)p;
    return span_copy(value, section->pwd, sizeof(section->pwd));
}

/* Of several (RFC 8122 section 5) one is kept: SHA-256 before others, else the first that fits. */
static int on_fingerprint(struct parser *p, struct td_sdp_section *section, struct span value)
{
    struct span rest = value;
    bool sha256 = span_is(span_word(&rest), "sha-256");

    if (p->own_fingerprint && (!sha256 || strncasecmp(section->fingerprint, "sha-256 ", 8) == 0))
        return 0;
    if (value.len >= sizeof(section->fingerprint))
        return sha256 ? -TD_E_LIMIT : 0; /* SHA-384 and SHA-512 take more room than we keep */
    p->own_fingerprint = true;
    return span_copy(value, section->fingerprint, sizeof(section->fingerprint));
}

static int on_setup(struct parser *p, struct td_sdp_section *section, struct span value)
{
    (void)p;
    if (span_is(value, "actpass"))
        section->setup = TD_SDP_ACTPASS;
    else if (span_is(value, "active"))
        section->setup = TD_SDP_ACTIVE;
    else if (span_is(value, "passive"))
        section->setup = TD_SDP_PASSIVE;
    return 0;
}

static int on_sendrecv(struct parser *p, struct td_sdp_section *section, struct span value)
{
    (void)p;
    (void)value;
    section->direction = TD_SDP_SENDRECV;
    return 0;
}

static int on_sendonly(struct parser *p, struct td_sdp_section *section, struct span value)
{
    (void)p;
    (void)value;
    section->direction = TD_SDP_SENDONLY;
    return 0;
}

static int on_recvonly(struct parser *p, struct td_sdp_section *section, struct span value)
{
    (void)p;
    (void)value;
    section->direction = TD_SDP_RECVONLY;
    return 0;
}

static int on_inactive(struct parser *p, struct td_sdp_section *section, struct span value)
{
    (void)p;
    (void)value;
    section->direction = TD_SDP_INACTIVE;
    return 0;
}

static int on_rtcp_mux(struct parser *p, struct td_sdp_section *section, struct span value)
{
    (void)p;
    (void)value;
    section->rtcp_mux = true;
    return 0;
}

static int on_rtcp_rsize(struct parser *p, struct td_sdp_section *section, struct span value)
{
    (void)p;
    (void)value;
    section->rtcp_rsize = true;
    return 0;
}

static int on_bundle_only(struct parser *p, struct td_sdp_section *section, struct span value)
{
    (void)section;
    (void)value;
    p->bundle_only = true;
    return 0;
}

static int on_ice_lite(struct parser *p, struct td_sdp_section *section, struct span value)
{
    (void)section;
    (void)value;
    p->sdp->ice_lite = true;
    return 0;
}

static int on_group(struct parser *p, struct td_sdp_section *section, struct span value)
{
    (void)section;
    if (span_is(span_word(&value), "BUNDLE") && p->bundle.at == NULL)
        p->bundle = value;
    return 0;
}

/* "<pt> <name>/<clock>[/<channels>]" */
static int on_rtpmap(struct parser *p, struct td_sdp_section *section, struct span value)
{
    struct td_sdp_codec *codec = find_codec(section, span_word(&value));
    struct span map = span_word(&value);
    struct span name = span_cut(&map, '/');
    uint64_t clock_hz;
    uint64_t channels = 1;

    (void)p;
    if (codec == NULL)
        return 0;
    if (name.len == 0 || !span_number(span_cut(&map, '/'), UINT32_MAX, &clock_hz))
        return -TD_E_PARSE;
    if (map.len > 0 && !span_number(map, UINT8_MAX, &channels))
        return -TD_E_PARSE;
    codec->clock_hz = (uint32_t)clock_hz;
    codec->channels = channels > 0 ? (uint8_t)channels : 1;
    return span_copy(name, codec->name, sizeof(codec->name));
}

static int on_fmtp(struct parser *p, struct td_sdp_section *section, struct span value)
{
    struct td_sdp_codec *codec = find_codec(section, span_word(&value));

    (void)p;
    return codec == NULL ? 0 : span_copy(value, codec->fmtp, sizeof(codec->fmtp));
}

static void set_feedback(struct td_sdp_codec *codec, struct span kind, struct span what)
{
    if (span_is(kind, "nack") && what.len == 0)
        codec->nack = true;
    else if (span_is(kind, "nack") && span_is(what, "pli"))
        codec->nack_pli = true;
    else if (span_is(kind, "ccm") && span_is(what, "fir"))
        codec->ccm_fir = true;
}

static int on_rtcp_fb(struct parser *p, struct td_sdp_section *section, struct span value)
{
    struct span payload_type = span_word(&value);
    struct span kind = span_word(&value);
    struct span what = span_word(&value);
    struct td_sdp_codec *codec;

    (void)p;
    if (span_is(payload_type, "*")) {
        for (unsigned i = 0; i < section->codec_count; i++)
            set_feedback(&section->codecs[i], kind, what);
        return 0;
    }
    codec = find_codec(section, payload_type);
    if (codec != NULL)
        set_feedback(codec, kind, what);
    return 0;
}

static int set_msid(struct td_sdp_section *section, struct span value)
{
    int r = span_copy(span_word(&value), section->stream_id, sizeof(section->stream_id));

    return r < 0 ? r : span_copy(span_word(&value), section->track_id, sizeof(section->track_id));
}

static int on_msid(struct parser *p, struct td_sdp_section *section, struct span value)
{
    if (p->own_msid)
        return 0;
    p->own_msid = true;
    return set_msid(section, value);
}

static int on_ssrc(struct parser *p, struct td_sdp_section *section, struct span value)
{
    uint64_t ssrc;
    struct span name;

    if (!span_number(span_word(&value), UINT32_MAX, &ssrc))
        return -TD_E_PARSE;
    name = span_cut(&value, ':');
    /* The older place of the ids; a=msid outranks it wherever it stands. */
    if (span_is(name, "msid") && !p->own_msid && section->stream_id[0] == '\0') {
        int r = set_msid(section, value);

        if (r < 0)
            return r;
    }
    for (unsigned i = 0; i < section->ssrc_count; i++)
        if (section->ssrcs[i] == ssrc)
            return 0;
    if (section->ssrc_count < TD_SDP_SSRCS_MAX)
        section->ssrcs[section->ssrc_count++] = (uint32_t)ssrc;
    return 0;
}

/* RFC 5576 section 4.2: "FID <media> <rtx>", "FEC-FR <media> <fec>". */
static int on_ssrc_group(struct parser *p, struct td_sdp_section *section, struct span value)
{
    struct span kind = span_word(&value);
    bool rtx = span_is(kind, "FID");
    uint64_t media;
    uint64_t repair;

    (void)section;
    if (!rtx && !span_is(kind, "FEC-FR"))
        return 0;
    if (!span_number(span_word(&value), UINT32_MAX, &media) ||
        !span_number(span_word(&value), UINT32_MAX, &repair))
        return 0;
    if (p->pair_count < PAIRS_MAX)
        p->pairs[p->pair_count++] =
            (struct ssrc_pair){.media = (uint32_t)media, .repair = (uint32_t)repair, .rtx = rtx};
    return 0;
}

static int on_candidate(struct parser *p, struct td_sdp_section *section, struct span value)
{
    static const char prefix[] = "candidate:";
    size_t prefix_len = sizeof(prefix) - 1;
    char *text;

    (void)p;
    if (section->candidate_count == TD_CANDIDATES_MAX || value.len > TD_SDP_TEXT_MAX * 2)
        return 0;
    if (section->candidates == NULL)
        section->candidates = calloc(TD_CANDIDATES_MAX, sizeof(*section->candidates));
    text = section->candidates != NULL ? malloc(prefix_len + value.len + 1) : NULL;
    if (text == NULL)
        return -ENOMEM;
    memcpy(text, prefix, prefix_len);
    memcpy(text + prefix_len, value.at, value.len);
    text[prefix_len + value.len] = '\0';
    section->candidates[section->candidate_count++] = text;
    return 0;
}

static int on_sctp_port(struct parser *p, struct td_sdp_section *section, struct span value)
{
    uint64_t port;

    (void)p;
    if (!span_number(value, UINT16_MAX, &port))
        return -TD_E_PARSE;
    section->sctp_port = (uint16_t)port;
    return 0;
}

static int on_max_message(struct parser *p, struct td_sdp_section *section, struct span value)
{
    uint64_t bytes;

    (void)p;
    if (span_number(value, UINT32_MAX, &bytes))
        section->max_message_bytes = (uint32_t)bytes;
    return 0;
}

enum level { SECTION = 1, SESSION = 2 };

static const struct {
    const char *name;
    int (*set)(struct parser *p, struct td_sdp_section *section, struct span value);
    unsigned level;
} attributes[] = {
    {"candidate", on_candidate, SECTION},
    {"rtpmap", on_rtpmap, SECTION},
    {"fmtp", on_fmtp, SECTION},
    {"rtcp-fb", on_rtcp_fb, SECTION},
    {"ssrc", on_ssrc, SECTION},
    {"ssrc-group", on_ssrc_group, SECTION},
    {"mid", on_mid, SECTION},
    {"msid", on_msid, SECTION},
    {"ice-ufrag", on_ufrag, SECTION | SESSION},
    {"ice-pwd", on_pwd, SECTION | SESSION},
    {"fingerprint", on_fingerprint, SECTION | SESSION},
    {"setup", on_setup, SECTION | SESSION},
    {"sendrecv", on_sendrecv, SECTION | SESSION},
    {"sendonly", on_sendonly, SECTION | SESSION},
    {"recvonly", on_recvonly, SECTION | SESSION},
    {"inactive", on_inactive, SECTION | SESSION},
    {"rtcp-mux", on_rtcp_mux, SECTION},
    {"rtcp-rsize", on_rtcp_rsize, SECTION},
    {"bundle-only", on_bundle_only, SECTION},
    {"sctp-port", on_sctp_port, SECTION},
    {"max-message-size", on_max_message, SECTION},
    {"ice-lite", on_ice_lite, SESSION},
    {"group", on_group, SESSION},
};

/* ---- sections ---- */

static struct td_sdp_section *current(struct parser *p)
{
    return p->sdp->section_count > 0 ? &p->sdp->sections[p->sdp->section_count - 1] : NULL;
}

static int on_attribute(struct parser *p, struct span line)
{
    struct td_sdp_section *section = current(p);
    unsigned level = section != NULL ? SECTION : SESSION;
    struct span name = span_cut(&line, ':');

    for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++)
        if ((attributes[i].level & level) != 0 && span_is(name, attributes[i].name))
            return attributes[i].set(p, section != NULL ? section : &p->session, line);
    return 0;
}

/* Repair streams are no media of their own. */
static void drop_repair(const struct parser *p, struct td_sdp_section *section)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < section->ssrc_count; i++) {
        bool repair = false;

        for (unsigned k = 0; k < p->pair_count; k++)
            repair = repair || p->pairs[k].repair == section->ssrcs[i];
        if (!repair)
            section->ssrcs[kept++] = section->ssrcs[i];
    }
    section->ssrc_count = kept;
    for (unsigned k = 0; k < p->pair_count && kept > 0; k++)
        if (p->pairs[k].rtx && p->pairs[k].media == section->ssrcs[0])
            section->rtx_ssrc = p->pairs[k].repair;
}

static void end_section(struct parser *p)
{
    struct td_sdp_section *section = current(p);

    if (section != NULL) {
        drop_repair(p, section);
        if (p->bundle_only)
            section->rejected = false;
    }
    p->own_fingerprint = false;
    p->own_msid = false;
    p->bundle_only = false;
    p->pair_count = 0;
}

static int grow(struct parser *p)
{
    struct td_sdp *sdp = p->sdp;
    struct td_sdp_section *sections;
    unsigned capacity;

    if (sdp->section_count < p->capacity)
        return 0;
    if (sdp->section_count == TD_SDP_SECTIONS_MAX)
        return -TD_E_LIMIT;
    capacity = p->capacity > 0 ? p->capacity * 2 : 4;
    if (capacity > TD_SDP_SECTIONS_MAX)
        capacity = TD_SDP_SECTIONS_MAX;
    sections = realloc(sdp->sections, capacity * sizeof(*sections));
    if (sections == NULL)
        return -ENOMEM;
    sdp->sections = sections;
    p->capacity = capacity;
    return 0;
}

static void set_static_codec(struct td_sdp_codec *codec)
{
    /* RFC 3551 section 6: the static ones that may come without an rtpmap. */
    static const struct {
        uint8_t payload_type;
        const char *name;
    } rows[] = {{0, "PCMU"}, {8, "PCMA"}, {9, "G722"}};

    codec->channels = 1;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].payload_type == codec->payload_type) {
            memcpy(codec->name, rows[i].name, strlen(rows[i].name) + 1);
            codec->clock_hz = 8000;
        }
    }
}

static int set_codecs(struct td_sdp_section *section, struct span formats)
{
    section->codecs = calloc(TD_SDP_CODECS_MAX, sizeof(*section->codecs));
    if (section->codecs == NULL)
        return -ENOMEM;
    while (formats.len > 0) {
        struct span word = span_word(&formats);
        struct td_sdp_codec *codec;
        uint64_t number;

        if (word.len == 0)
            continue;
        if (!span_number(word, 127, &number))
            return -TD_E_PARSE;
        if (find_codec(section, word) != NULL)
            continue;
        if (section->codec_count == TD_SDP_CODECS_MAX)
            return -TD_E_LIMIT;
        codec = &section->codecs[section->codec_count++];
        codec->payload_type = (uint8_t)number;
        set_static_codec(codec);
    }
    return 0;
}

/* Keeps as many whole formats as fit: they are only echoed. */
static void keep_formats(struct td_sdp_section *section, struct span formats)
{
    size_t at = 0;

    while (formats.len > 0) {
        struct span word = span_word(&formats);

        if (word.len == 0)
            continue;
        if (at + word.len + 2 > sizeof(section->formats))
            break;
        if (at > 0)
            section->formats[at++] = ' ';
        memcpy(section->formats + at, word.at, word.len);
        at += word.len;
    }
    section->formats[at] = '\0';
}

static enum td_sdp_kind to_kind(struct span media)
{
    if (span_is(media, "audio"))
        return TD_SDP_AUDIO;
    if (span_is(media, "video"))
        return TD_SDP_VIDEO;
    return span_is(media, "application") ? TD_SDP_APPLICATION : TD_SDP_OTHER;
}

/* "<media> <port>[/<count>] <proto> <formats…>" */
static int on_media(struct parser *p, struct span line)
{
    struct span media = span_word(&line);
    struct span port_word = span_word(&line);
    struct span proto = span_word(&line);
    struct td_sdp_section *section;
    uint64_t port;
    int r;

    end_section(p);
    r = grow(p);
    if (r < 0)
        return r;
    if (!span_number(span_cut(&port_word, '/'), UINT16_MAX, &port) || proto.len == 0)
        return -TD_E_PARSE;
    section = &p->sdp->sections[p->sdp->section_count++];
    *section = p->session;
    section->kind = to_kind(media);
    section->rejected = port == 0;
    r = span_copy(media, section->media, sizeof(section->media));
    if (r == 0)
        r = span_copy(proto, section->proto, sizeof(section->proto));
    if (r < 0)
        return r;
    keep_formats(section, line);
    if (section->formats[0] == '\0')
        return -TD_E_PARSE;
    if (section->kind == TD_SDP_AUDIO || section->kind == TD_SDP_VIDEO)
        return set_codecs(section, line);
    return 0;
}

/* ---- the whole ---- */

static int on_line(struct parser *p, struct span line)
{
    char type = line.at[0];

    if (line.len < 2 || line.at[1] != '=' || type < 'a' || type > 'z')
        return -TD_E_PARSE;
    for (size_t i = 2; i < line.len; i++)
        if ((unsigned char)line.at[i] < 0x20 && line.at[i] != '\t')
            return -TD_E_PARSE;
    line.at += 2;
    line.len -= 2;
    if (type == 'm')
        return on_media(p, line);
    return type == 'a' ? on_attribute(p, line) : 0;
}

static int parse_lines(struct parser *p, struct span text)
{
    bool first = true;

    while (text.len > 0) {
        struct span line = span_cut(&text, '\n');
        int r;

        if (line.len > 0 && line.at[line.len - 1] == '\r')
            line.len--;
        if (line.len == 0)
            continue;
        if (first && !span_is(line, "v=0"))
            return -TD_E_PARSE;
        first = false;
        r = on_line(p, line);
        if (r < 0)
            return r;
    }
    end_section(p);
    return first ? -TD_E_PARSE : 0;
}

/* A mid names one section, and the BUNDLE group names sections by it (RFC 8843 section 7). */
static int resolve_mids(struct parser *p)
{
    struct td_sdp *sdp = p->sdp;

    for (unsigned i = 0; i < sdp->section_count; i++)
        for (unsigned k = 0; k < i; k++)
            if (sdp->sections[i].mid[0] != '\0' &&
                strcmp(sdp->sections[i].mid, sdp->sections[k].mid) == 0)
                return -TD_E_PARSE;
    for (unsigned words = 0; p->bundle.len > 0 && words < TD_SDP_SECTIONS_MAX; words++) {
        struct span mid = span_word(&p->bundle);

        for (unsigned i = 0; i < sdp->section_count; i++)
            if (mid.len > 0 && strlen(sdp->sections[i].mid) == mid.len &&
                memcmp(sdp->sections[i].mid, mid.at, mid.len) == 0)
                sdp->sections[i].bundled = true;
    }
    return 0;
}

int td_sdp_parse(const char *text, size_t len, struct td_sdp **ret_sdp)
{
    struct parser *p;
    struct td_sdp *sdp;
    int r;

    assert(text != NULL && ret_sdp != NULL);
    if (len > TD_SDP_BYTES_MAX)
        return -TD_E_LIMIT;
    p = calloc(1, sizeof(*p));
    sdp = calloc(1, sizeof(*sdp));
    if (p == NULL || sdp == NULL) {
        free(p);
        free(sdp);
        return -ENOMEM;
    }
    p->sdp = sdp;
    r = parse_lines(p, (struct span){.at = text, .len = len});
    if (r == 0)
        r = resolve_mids(p);
    free(p);
    if (r < 0) {
        (void)td_sdp_free(sdp); /* always NULL */
        return r;
    }
    *ret_sdp = sdp;
    return 0;
}

struct td_sdp *td_sdp_free(struct td_sdp *sdp)
{
    if (sdp == NULL)
        return NULL;
    for (unsigned i = 0; i < sdp->section_count; i++) {
        struct td_sdp_section *section = &sdp->sections[i];

        for (unsigned k = 0; k < section->candidate_count; k++)
            free(section->candidates[k]);
        free(section->candidates);
        free(section->codecs);
    }
    free(sdp->sections);
    free(sdp);
    return NULL;
}
