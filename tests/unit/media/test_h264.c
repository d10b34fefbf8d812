/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include <string.h>

#include "media/h264.h"

#define SC "00 00 00 01 "
/* Parameter sets written by x264: 1280x720 and 1920x1080, both with ids 0. */
#define SPS "6742c01fd9005005bb0110000003001000000300a0f1832480 "
#define SPS2 "674d4028eca03c0113f2e022000003000200000300141e30632c "
#define PPS "68cb83cb20 "
#define PPS1 "6856 aa80 " /* pps_id 1, sps_id 0 */
/* Slice headers, ISO 14496-10 section 7.3.3: first_mb, slice_type, pps_id. */
#define SPS_ID1 "67 42c01e5680a02f90 " /* 640x368 */
#define PPS2 "68 6830 "                /* pps_id 2, sps_id 1 */
#define IDR "65 8880 1122 "            /* 0, 7 (I), 0 */
#define IDR_PPS1 "65 88 40 12 "        /* 0, 7, 1 */
#define IDR_PPS2 "65 88 60 12 "        /* 0, 7, 2 */
#define INTRA "41 8880 55 "            /* the same, not IDR */
#define DELTA "41 9a 33 44 "           /* 0, 5 (P), 0 */
#define DELTA2 "41 052680 66 "         /* 40, 5, 0: the second slice of a picture */
#define AUD "09 f0 "
#define RECOVERY "06 06 01 c4 80 "       /* recovery_frame_cnt 0 */
#define RECOVERY_LATER "06 06 01 50 80 " /* recovery_frame_cnt 1 */
#define SEI_THEN_RECOVERY "06 05 02 aa bb 06 01 c4 80 "
#define STAP_SETS "78 0019 " SPS "0005 " PPS
#define STAP_KEY STAP_SETS "0005 " IDR
#define KEY SC SPS SC PPS SC IDR
/* LiveKit's blank frame. */
#define BLANK                                                                                      \
    "78 0018 6742c01f0fd91f888884000003000400000300c83c60c920 0006 6887cb83cb20 000a "             \
    "6588840af2628000a7be"

#define KEY_FRAME(ts)                                                                              \
    {                                                                                              \
        KEY, ts, true, 1280, 720, 0                                                                \
    }
#define DELTA_FRAME(ts)                                                                            \
    {                                                                                              \
        SC DELTA, ts, false, 0, 0, 0                                                               \
    }

static const struct rig_script packets[] = {
    {
        .name = "single NAL units (packetization-mode 0)",
        .steps = {{SPS, 1, false, 0}, {PPS, 1, false, 0}, {IDR, 1, true, 0}, {DELTA, 2, true, 0}},
        .frames = {KEY_FRAME(1), DELTA_FRAME(2)},
    },
    {
        .name = "STAP-A with everything",
        .steps = {{STAP_KEY, 1, true, 0}},
        .frames = {KEY_FRAME(1)},
    },
    {
        .name = "STAP-A with the sets, FU-A with the slice",
        .steps = {{STAP_SETS, 1, false, 0},
                  {"7c 85 88", 1, false, 0},
                  {"7c 05 80", 1, false, 0},
                  {"7c 05", 1, false, 0}, /* an empty fragment is allowed */
                  {"7c 45 11 22", 1, true, 0}},
        .frames = {KEY_FRAME(1)},
    },
    {
        .name = "nal_ref_idc of a fragmented unit comes from the indicator",
        .steps = {{"1c 81 9a", 1, false, 0}, {"1c 41 33", 1, true, 0}},
        .frames = {{SC "01 9a 33", 1, false, 0, 0, 0}},
    },
    {
        .name = "a fragmented SPS is seen as well",
        .steps = {{"7c 87 42c01fd9005005bb0110", 1, false, 0},
                  {"7c 47 000003001000000300a0f1832480", 1, false, 0},
                  {PPS, 1, false, 0},
                  {IDR, 1, true, 0}},
        .frames = {KEY_FRAME(1)},
    },
    {
        .name = "a unit in one fragment means only one thing",
        .steps = {{"5c c1 9a 33 44", 1, true, 0}},
        .frames = {DELTA_FRAME(1)},
    },
    {
        .name = "several slices",
        .steps = {{DELTA, 1, false, 0}, {DELTA2, 1, true, 0}},
        .frames = {{SC DELTA SC DELTA2, 1, false, 0, 0, 0}},
    },
    {
        .name = "no marker: the next timestamp ends the frame, and one packet can give two",
        .steps = {{STAP_KEY, 1, false, 0},
                  {DELTA, 2, true, 0},
                  {DELTA, 3, false, 0},
                  {DELTA, 4, false, 0},
                  {DELTA2, 4, true, 0}},
        .frames =
            {KEY_FRAME(1), DELTA_FRAME(2), DELTA_FRAME(3), {SC DELTA SC DELTA2, 4, false, 0, 0, 0}},
    },
    {
        .name = "padding is counted",
        .steps = {{"", 1, false, 0}, {STAP_KEY, 1, true, 0}, {"", 1, false, 0}},
        .frames = {KEY_FRAME(1)},
        .stats = {.padding = 2},
    },
};

static const struct rig_script malformed[] = {
    {
        .name = "types nobody negotiated, reserved ones, the forbidden bit",
        .steps = {{"79 0001 41", 1, true, -TD_E_PARSE},  /* STAP-B */
                  {"7a 0001 41", 2, true, -TD_E_PARSE},  /* MTAP16 */
                  {"7b 0001 41", 3, true, -TD_E_PARSE},  /* MTAP24 */
                  {"7d 81 9a 33", 4, true, -TD_E_PARSE}, /* FU-B */
                  {"60 9a", 5, true, -TD_E_PARSE},
                  {"7e 9a", 6, true, -TD_E_PARSE},
                  {"7f 9a", 7, true, -TD_E_PARSE},
                  {"c1 9a 33 44", 8, true, -TD_E_PARSE},
                  {DELTA, 9, true, 0}},
        .frames = {DELTA_FRAME(9)},
        .stats = {.malformed = 8, .broken = 8},
    },
    {
        .name = "aggregates that do not add up",
        .steps = {{"78", 1, true, -TD_E_PARSE},
                  {"78 00", 2, true, -TD_E_PARSE},
                  {"78 0000", 3, true, -TD_E_PARSE},
                  {"78 0004 41 9a 33", 4, true, -TD_E_PARSE},
                  {"78 0004 " DELTA "00", 5, true, -TD_E_PARSE},
                  {"78 0007 78 0004 " DELTA, 6, true, -TD_E_PARSE}, /* nested */
                  {"78 0004 7c 81 9a 33", 7, true, -TD_E_PARSE},    /* a fragment inside */
                  {"78 0004 c1 9a 33 44", 8, true, -TD_E_PARSE},
                  {"78 0004 " DELTA, 9, true, 0}},
        .frames = {DELTA_FRAME(9)},
        .stats = {.malformed = 8, .broken = 8},
    },
    {
        .name = "fragments out of order",
        .steps = {{"7c", 1, true, -TD_E_PARSE},
                  {"5c 01 33", 2, true, -TD_E_PARSE}, /* a middle first */
                  {"5c 41 33", 3, true, -TD_E_PARSE}, /* an end first */
                  {"5c 81 9a", 4, false, 0},
                  {"5c 81 9a", 4, true, -TD_E_PARSE}, /* two starts */
                  {"5c 81 9a", 5, false, 0},
                  {"5c 45 33", 5, true, -TD_E_PARSE}, /* another type */
                  {"5c 81 9a", 6, true, -TD_E_PARSE}, /* the marker before the end */
                  {"5c 81 9a", 7, false, 0},
                  {DELTA, 7, true, -TD_E_PARSE},      /* something in between */
                  {"5c 98 9a", 8, true, -TD_E_PARSE}, /* a fragmented aggregate */
                  {"5c 80 9a", 9, true, -TD_E_PARSE},
                  {DELTA, 10, true, 0}},
        .frames = {DELTA_FRAME(10)},
        .stats = {.malformed = 9, .broken = 9},
    },
    {
        .name = "the rest of a dropped frame is left out",
        .steps = {{STAP_SETS, 1, false, 0},
                  {"79 00", 1, false, -TD_E_PARSE},
                  {IDR, 1, false, 0},
                  {IDR, 1, true, 0},
                  {DELTA, 2, true, 0}},
        .frames = {DELTA_FRAME(2)},
        .stats = {.malformed = 1, .broken = 1},
    },
    {
        .name = "… behind its marker too, unless it begins like a frame",
        .steps = {{"79 00", 1, true, -TD_E_PARSE},
                  {DELTA2, 1, true, 0},
                  {"79 00", 2, true, -TD_E_PARSE},
                  {DELTA, 2, true, 0}},
        .frames = {DELTA_FRAME(2)},
        .stats = {.malformed = 2, .broken = 3},
    },
    {
        .name = "an open fragment ended by the next timestamp is not the next packet's fault",
        .steps = {{"5c 81 9a", 1, false, 0}, {DELTA, 2, true, 0}},
        .frames = {DELTA_FRAME(2)},
        .stats = {.broken = 1},
    },
    {
        .name = "parameter sets and slices that cannot be",
        .steps = {{"67 42", 1, true, -TD_E_PARSE},
                  {"67 42c01f 0000", 2, true, -TD_E_PARSE},
                  {SPS "00 00 01 67", 2, true, -TD_E_PARSE}, /* a start code inside */
                  {"68", 3, true, -TD_E_PARSE},
                  {"68 00 80 80 80", 4, true, -TD_E_PARSE}, /* pps_id 256 */
                  {"68 82 20 00", 5, true, -TD_E_PARSE},    /* sps_id 33 */
                  {"65", 6, true, -TD_E_PARSE},
                  {"65 9a 33", 7, true, 0},           /* P slices of an IDR: not ours to judge */
                  {"65 8b c0", 8, true, -TD_E_PARSE}, /* slice_type 10 */
                  {"41 00 00 00 00 00 80", 9, true, -TD_E_PARSE},
                  {DELTA, 10, true, 0}},
        .frames = {DELTA_FRAME(10)},
        .stats = {.malformed = 9, .broken = 10},
    },
};

static const struct rig_script sets[] = {
    {
        .name = "a key frame whose sets nobody knows is dropped",
        .steps = {{IDR, 1, true, 0},
                  {SPS, 2, false, 0},
                  {IDR, 2, true, 0},
                  {PPS, 3, false, 0},
                  {IDR, 3, true, 0}},
        .frames = {KEY_FRAME(3)},
        .stats = {.broken = 2},
    },
    {
        .name = "sets sent once are put in front of every later key frame",
        .steps = {{STAP_KEY, 1, true, 0}, {DELTA, 2, true, 0}, {IDR, 3, true, 0}},
        .frames = {KEY_FRAME(1), DELTA_FRAME(2), KEY_FRAME(3)},
    },
    {
        .name = "sets travelling alone, with and without a marker, are remembered",
        .steps = {{SPS, 1, true, 0}, {PPS, 2, false, 0}, {IDR, 3, true, 0}},
        .frames = {KEY_FRAME(3)},
    },
    {
        .name = "a marker before the picture does not end the frame",
        .steps = {{STAP_SETS, 1, true, 0}, {IDR, 1, true, 0}},
        .frames = {KEY_FRAME(1)},
    },
    {
        .name = "an access unit delimiter stays in front",
        .steps = {{STAP_KEY, 1, true, 0}, {AUD, 2, false, 0}, {IDR, 2, true, 0}},
        .frames = {KEY_FRAME(1), {SC AUD SC SPS SC PPS SC IDR, 2, true, 1280, 720, 0}},
    },
    {
        .name = "a PPS alone gets its SPS in front",
        .steps = {{STAP_KEY, 1, true, 0}, {PPS, 2, false, 0}, {IDR, 2, true, 0}},
        .frames = {KEY_FRAME(1), KEY_FRAME(2)},
    },
    {
        .name = "an SPS alone gets its PPS behind it",
        .steps = {{STAP_KEY, 1, true, 0},
                  {SPS, 2, false, 0},
                  {RECOVERY, 2, false, 0},
                  {IDR, 2, true, 0}},
        .frames = {KEY_FRAME(1), {SC SPS SC RECOVERY SC PPS SC IDR, 2, true, 1280, 720, 0}},
    },
    {
        .name = "the slice says which PPS, and all that build on the SPS are inserted",
        .steps = {{STAP_SETS "0004 " PPS1 "0004 " IDR_PPS1, 1, true, 0},
                  {IDR_PPS1, 2, true, 0},
                  {IDR_PPS2, 3, true, 0}},
        .frames = {{SC SPS SC PPS SC PPS1 SC IDR_PPS1, 1, true, 1280, 720, 0},
                   {SC SPS SC PPS SC PPS1 SC IDR_PPS1, 2, true, 1280, 720, 0}},
        .stats = {.broken = 1},
    },
    {
        .name = "only the PPS of the SPS in use are inserted",
        .steps = {{STAP_KEY, 1, true, 0},
                  {SPS_ID1, 2, false, 0},
                  {PPS2, 2, false, 0},
                  {IDR_PPS2, 2, true, 0},
                  {IDR, 3, true, 0},
                  {IDR_PPS2, 4, true, 0}},
        .frames = {KEY_FRAME(1),
                   {SC SPS_ID1 SC PPS2 SC IDR_PPS2, 2, true, 640, 368, 0},
                   KEY_FRAME(3),
                   {SC SPS_ID1 SC PPS2 SC IDR_PPS2, 4, true, 640, 368, 0}},
    },
    {
        .name = "a set too large to keep replaces the one kept, and leaves nothing to key with",
        .steps = {{STAP_KEY, 1, true, 0},
                  {SPS "ff *600", 2, false, 0},
                  {IDR, 3, true, 0},
                  {STAP_KEY, 4, true, 0},
                  {PPS "ff *600", 5, false, 0},
                  {IDR, 6, true, 0}},
        .frames = {KEY_FRAME(1), KEY_FRAME(4)},
        .stats = {.broken = 2},
    },
    {
        .name = "what came before a marker that came too early still counts",
        .steps = {{STAP_KEY, 1, true, 0}, {RECOVERY, 2, true, 0}, {INTRA, 2, true, 0}},
        .frames = {KEY_FRAME(1), {SC SPS SC PPS SC RECOVERY SC INTRA, 2, true, 1280, 720, 0}},
    },
    {
        .name = "nothing is added to a frame that has what it needs",
        .steps = {{STAP_SETS "0004 " PPS1 "0005 " IDR, 1, true, 0}, {STAP_KEY, 2, true, 0}},
        .frames = {{SC SPS SC PPS SC PPS1 SC IDR, 1, true, 1280, 720, 0}, KEY_FRAME(2)},
    },
    {
        .name = "the picture size changes with the SPS",
        .steps = {{STAP_KEY, 1, true, 0},
                  {SPS2, 2, false, 0},
                  {PPS, 2, false, 0},
                  {IDR, 2, true, 0},
                  {IDR, 3, true, 0}},
        .frames = {KEY_FRAME(1),
                   {SC SPS2 SC PPS SC IDR, 2, true, 1920, 1080, 0},
                   {SC SPS2 SC PPS SC IDR, 3, true, 1920, 1080, 0}},
    },
    {
        .name = "sets behind the picture count for the next one only",
        .steps =
            {{STAP_KEY, 1, true, 0}, {IDR, 2, false, 0}, {SPS, 2, false, 0}, {PPS, 2, true, 0}},
        .frames = {KEY_FRAME(1), {SC SPS SC PPS SC IDR SC SPS SC PPS, 2, true, 1280, 720, 0}},
    },
    {
        .name = "a recovery point of I slices is a key frame",
        .steps = {{STAP_SETS, 1, false, 0},
                  {RECOVERY, 1, false, 0},
                  {INTRA, 1, true, 0},
                  {SEI_THEN_RECOVERY, 2, false, 0},
                  {INTRA, 2, true, 0}},
        .frames = {{SC SPS SC PPS SC RECOVERY SC INTRA, 1, true, 1280, 720, 0},
                   {SC SPS SC PPS SC SEI_THEN_RECOVERY SC INTRA, 2, true, 1280, 720, 0}},
    },
    {
        .name = "a later recovery, P slices, or no recovery point: no key frame",
        .steps = {{STAP_SETS, 1, false, 0},
                  {RECOVERY_LATER, 1, false, 0},
                  {INTRA, 1, true, 0},
                  {RECOVERY, 2, false, 0},
                  {DELTA, 2, true, 0},
                  {RECOVERY, 3, false, 0},
                  {INTRA, 3, false, 0},
                  {DELTA2, 3, true, 0},
                  {INTRA, 4, true, 0},
                  {"06 ff ff ff", 5, false, 0},
                  {"06 05 ff 80", 5, false, 0},
                  {INTRA, 5, true, 0}},
        .frames = {{SC SPS SC PPS SC RECOVERY_LATER SC INTRA, 1, false, 0, 0, 0},
                   {SC RECOVERY SC DELTA, 2, false, 0, 0, 0},
                   {SC RECOVERY SC INTRA SC DELTA2, 3, false, 0, 0, 0},
                   {SC INTRA, 4, false, 0, 0, 0},
                   {SC "06 ff ff ff" SC "06 05 ff 80" SC INTRA, 5, false, 0, 0, 0}},
    },
    {
        .name = "the server's blank frames are left out, and their sets forgotten",
        .steps =
            {{STAP_KEY, 1, true, 0}, {BLANK, 2, true, 0}, {BLANK, 3, false, 0}, {IDR, 4, true, 0}},
        .frames = {KEY_FRAME(1), KEY_FRAME(4)},
        .stats = {.blanks = 2},
    },
};

static const struct rig_script holes[] = {
    {
        .name = "inside a frame",
        .steps = {{STAP_SETS, 1, false, 0},
                  {"hole", 0, false, 0},
                  {"7c 05 80", 1, false, 0},
                  {"7c 45 80", 1, true, 0},
                  {DELTA, 2, true, 0}},
        .frames = {DELTA_FRAME(2)},
        .stats = {.broken = 1},
    },
    {
        .name = "between two frames",
        .steps = {{STAP_KEY, 1, true, 0}, {"hole", 0, false, 0}, {DELTA, 3, true, 0}},
        .frames = {KEY_FRAME(1), DELTA_FRAME(3)},
    },
    {
        .name = "over the end of one and the first slice of the next",
        .steps = {{DELTA, 1, false, 0},
                  {"hole", 0, false, 0},
                  {DELTA2, 2, false, 0},
                  {DELTA2, 2, true, 0},
                  {DELTA, 3, true, 0}},
        .frames = {DELTA_FRAME(3)},
        .stats = {.broken = 2},
    },
    {
        .name = "over the first fragments of a frame",
        .steps = {{"hole", 0, false, 0},
                  {"5c 01 9a", 1, false, -TD_E_PARSE},
                  {"5c 41 33", 1, true, 0},
                  {DELTA, 2, true, 0}},
        .frames = {DELTA_FRAME(2)},
        .stats = {.broken = 1, .malformed = 1},
    },
    {
        .name = "over the sets of a key frame that had them: another size may have come with them",
        .steps =
            {{STAP_KEY, 1, true, 0}, {"hole", 0, false, 0}, {IDR, 2, true, 0}, {IDR, 3, true, 0}},
        .frames = {KEY_FRAME(1), KEY_FRAME(3)},
        .stats = {.broken = 1},
    },
    {
        .name = "the same before any key frame was whole",
        .steps = {{STAP_KEY, 1, false, 0},
                  {"hole", 0, false, 0},
                  {IDR, 2, true, 0},
                  {STAP_KEY, 3, true, 0}},
        .frames = {KEY_FRAME(3)},
        .stats = {.broken = 2},
    },
    {
        .name = "before a key frame of a stream that sends its sets once",
        .steps =
            {{STAP_KEY, 1, true, 0}, {IDR, 2, true, 0}, {"hole", 0, false, 0}, {IDR, 3, true, 0}},
        .frames = {KEY_FRAME(1), KEY_FRAME(2), KEY_FRAME(3)},
    },
    {
        .name = "twice, and at the very start",
        .steps = {{"hole", 0, false, 0},
                  {"hole", 0, false, 0},
                  {STAP_KEY, 1, false, 0},
                  {"hole", 0, false, 0},
                  {"hole", 0, false, 0},
                  {STAP_KEY, 2, true, 0}},
        .frames = {KEY_FRAME(2)},
        .stats = {.broken = 1},
    },
};

#define RUN(scripts)                                                                               \
    do {                                                                                           \
        for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++)                          \
            rig_run(TD_CODEC_H264, &scripts[i]);                                                   \
    } while (0)

static void test_packets(void **state)
{
    (void)state;
    RUN(packets);
}

static void test_malformed(void **state)
{
    (void)state;
    RUN(malformed);
}

static void test_sets(void **state)
{
    (void)state;
    RUN(sets);
}

static void test_holes(void **state)
{
    (void)state;
    RUN(holes);
}

/* Access units with random slices through a random packetiser, whole and with packets lost: what
 * comes out must be one of them, to the byte, and without loss all of them. */
#define UNITS 40u
#define UNIT_BYTES_MAX 8192u
#define SLICE_BYTES_MAX 2000u

struct unit {
    uint8_t bytes[UNIT_BYTES_MAX]; /* Annex B */
    size_t len;
    bool key;
};

struct trip {
    uint64_t random;
    unsigned loss_per_mille;
    bool hole; /* something was lost since the last push */
    struct td_depay *d;
    struct unit units[UNITS];
    bool seen[UNITS];
    unsigned count;
};

static size_t random_below(struct trip *t, size_t end)
{
    return (size_t)(rig_random(&t->random) % end);
}

static void add_nal(struct unit *u, const uint8_t *nal, size_t len)
{
    static const uint8_t code[] = {0, 0, 0, 1};
    assert_true(u->len + sizeof(code) + len <= sizeof(u->bytes));
    memcpy(u->bytes + u->len, code, sizeof(code));
    memcpy(u->bytes + u->len + sizeof(code), nal, len);
    u->len += sizeof(code) + len;
}

static void add_hex(struct unit *u, const char *hex)
{
    static uint8_t nal[RIG_BYTES_MAX];
    add_nal(u, nal, rig_hex(hex, nal));
}

static void make_unit(struct trip *t, struct unit *u)
{
    static uint8_t nal[RIG_BYTES_MAX];
    u->len = 0;
    u->key = random_below(t, 6) == 0;
    if (u->key) {
        add_hex(u, random_below(t, 2) == 0 ? SPS : SPS2);
        add_hex(u, PPS);
    }
    size_t slices = 1 + random_below(t, 3);
    for (size_t i = 0; i < slices; i++) {
        size_t len = rig_hex(i > 0 ? DELTA2 : u->key ? IDR : DELTA, nal);
        nal[0] = u->key ? 0x65 : 0x41;
        size_t end = len + random_below(t, SLICE_BYTES_MAX - len);
        while (len < end) /* no zero bytes: there is nothing to escape */
            nal[len++] = (uint8_t)(1 + random_below(t, 255));
        add_nal(u, nal, len);
    }
}

static void fetch(struct trip *t)
{
    struct td_frame frame;
    while (td_depay_pop(t->d, &frame) == 1) {
        assert_in_range(frame.rtp_timestamp, 0, UNITS - 1);
        const struct unit *u = &t->units[frame.rtp_timestamp];
        assert_false(t->seen[frame.rtp_timestamp]);
        t->seen[frame.rtp_timestamp] = true;
        t->count++;
        assert_int_equal(frame.key, u->key);
        assert_int_equal(frame.len, u->len);
        assert_memory_equal(frame.bytes, u->bytes, u->len);
    }
}

static void send(struct trip *t, uint32_t timestamp, bool marker, const uint8_t *bytes, size_t len)
{
    if (random_below(t, 1000) < t->loss_per_mille) {
        t->hole = true;
        return;
    }
    if (t->hole)
        td_depay_hole(t->d);
    t->hole = false;
    struct td_rtp_packet packet = {
        .timestamp = timestamp, .marker = marker, .payload = bytes, .payload_len = len};
    int r = td_depay_push(t->d, &packet);
    assert_true(r == 0 || t->loss_per_mille > 0);
    fetch(t);
}

static void send_fragments(struct trip *t, uint32_t timestamp, bool marker,
                           const struct td_h264_nal *nal)
{
    uint8_t bytes[SLICE_BYTES_MAX + 2];
    for (size_t at = 1; at < nal->len;) {
        size_t left = nal->len - at;
        size_t part = 1 + random_below(t, left);
        bytes[0] = (uint8_t)((nal->bytes[0] & 0x60) | 28);
        bytes[1] = (uint8_t)(nal->type | (at == 1 ? 0x80 : 0) | (part == left ? 0x40 : 0));
        memcpy(bytes + 2, nal->bytes + at, part);
        at += part;
        send(t, timestamp, marker && part == left, bytes, part + 2);
    }
}

static void send_unit(struct trip *t, uint32_t timestamp)
{
    const struct unit *u = &t->units[timestamp];
    bool marker = random_below(t, 4) > 0;
    uint8_t stap[UNIT_BYTES_MAX] = {0x78};
    size_t stap_len = 1;
    size_t offset = 0;
    struct td_h264_nal nal;
    while (td_h264_next_nal(u->bytes, u->len, &offset, &nal) == 1) {
        bool last = offset == u->len;
        size_t how = random_below(t, 3);
        if (how == 0 || (last && stap_len > 1)) { /* collected until something else is chosen */
            stap[stap_len++] = (uint8_t)(nal.len >> 8);
            stap[stap_len++] = (uint8_t)nal.len;
            memcpy(stap + stap_len, nal.bytes, nal.len);
            stap_len += nal.len;
            how = 0;
        }
        if (stap_len > 1 && (how != 0 || last)) {
            send(t, timestamp, marker && last, stap, stap_len);
            stap_len = 1;
        }
        if (how == 1)
            send(t, timestamp, marker && last, nal.bytes, nal.len);
        if (how == 2)
            send_fragments(t, timestamp, marker && last, &nal);
    }
}

static void round_trip(uint64_t seed, unsigned loss_per_mille)
{
    static struct trip t;
    t = (struct trip){.random = seed, .loss_per_mille = loss_per_mille};
    assert_int_equal(td_depay_new(TD_CODEC_H264, NULL, &t.d), 0);
    for (uint32_t i = 0; i < UNITS; i++) {
        make_unit(&t, &t.units[i]);
        if (i == 0 || i == UNITS - 1) { /* the last one ends itself */
            t.units[i] = (struct unit){.key = true};
            add_hex(&t.units[i], SPS);
            add_hex(&t.units[i], PPS);
            add_hex(&t.units[i], IDR);
        }
    }
    for (uint32_t i = 0; i + 1 < UNITS; i++)
        send_unit(&t, i);
    t.loss_per_mille = 0;
    uint8_t last[RIG_BYTES_MAX];
    if (t.hole)
        td_depay_hole(t.d);
    t.hole = false;
    send(&t, UNITS - 1, true, last, rig_hex(STAP_KEY, last));
    assert_true(t.seen[UNITS - 1]);
    if (loss_per_mille == 0)
        assert_int_equal(t.count, UNITS);
    t.d = td_depay_free(t.d);
}

static void test_round_trip(void **state)
{
    (void)state;
    uint64_t random = UINT64_C(0x7261666965);
    print_message("# seed 0x%llx\n", (unsigned long long)random);
    for (unsigned i = 0; i < 200; i++)
        round_trip(rig_random(&random), i % 4 * 40); /* up to 12 % lost */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packets),    cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_sets),       cmocka_unit_test(test_holes),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
