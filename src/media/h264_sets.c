/* SPDX-License-Identifier: Apache-2.0 */
#include "media/h264_sets.h"

#include <assert.h>
#include <string.h>

#include "media/h264_bits.h"

/* The slot of `id`; else a free one; else the one that was not sent for the longest time. */
static size_t slot_of(const struct td_h264_set *sets, size_t count, uint32_t id)
{
    size_t best = 0;
    for (size_t i = 0; i < count; i++) {
        if (sets[i].len > 0 && sets[i].id == id)
            return i;
        if (sets[i].unit < sets[best].unit)
            best = i;
    }
    return best;
}

static const struct td_h264_set *find(const struct td_h264_set *sets, size_t count, uint32_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (sets[i].len > 0 && sets[i].id == id)
            return &sets[i];
    }
    return NULL;
}

static int put(struct td_h264_set *set, uint8_t id, uint8_t sps_id, const uint8_t *nal, size_t len,
               uint64_t unit)
{
    if (len > TD_H264_SET_BYTES_MAX) {
        if (set->len > 0 && set->id == id)
            *set = (struct td_h264_set){.len = 0};
        return -TD_E_LIMIT;
    }
    set->len = (uint16_t)len;
    set->id = id;
    set->sps_id = sps_id;
    set->unit = unit;
    memcpy(set->bytes, nal, len);
    return 0;
}

int td_h264_sets_put_sps(struct td_h264_sets *s, const struct td_h264_sps *info, const uint8_t *nal,
                         size_t len, uint64_t unit)
{
    assert(s && info && nal && len > 0 && unit > 0);
    size_t i = slot_of(s->sps, TD_H264_SPS_KEPT, info->id);
    int r = put(&s->sps[i], info->id, 0, nal, len, unit);
    if (r == 0)
        s->info[i] = *info;
    return r;
}

int td_h264_sets_put_pps(struct td_h264_sets *s, const uint8_t *nal, size_t len, uint64_t unit)
{
    assert(s && nal && len > 0 && unit > 0);
    struct td_h264_bits b;
    td_h264_bits_init(&b, nal + 1, len - 1);
    uint32_t id = td_h264_bits_ue_max(&b, 255); /* ISO 14496-10 section 7.4.2.2 */
    uint32_t sps_id = td_h264_bits_ue_max(&b, 31);
    if (b.bad)
        return -TD_E_PARSE;
    size_t i = slot_of(s->pps, TD_H264_PPS_KEPT, id);
    return put(&s->pps[i], (uint8_t)id, (uint8_t)sps_id, nal, len, unit);
}

const struct td_h264_set *td_h264_sets_pps(const struct td_h264_sets *s, uint32_t id)
{
    return find(s->pps, TD_H264_PPS_KEPT, id);
}

const struct td_h264_set *td_h264_sets_sps(const struct td_h264_sets *s, uint32_t id,
                                           const struct td_h264_sps **ret_info)
{
    const struct td_h264_set *set = find(s->sps, TD_H264_SPS_KEPT, id);
    if (set)
        *ret_info = &s->info[set - s->sps];
    return set;
}
