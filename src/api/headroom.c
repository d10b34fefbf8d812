/* SPDX-License-Identifier: Apache-2.0 */
#include "api/headroom.h"

/* How far above the threshold it must come again: what is freed and used in turn must not switch
 * everything on and off. */
#define HYSTERESIS 20u /* a twentieth: 5 % */

static uint64_t above(uint64_t bytes)
{
    uint64_t more = bytes / HYSTERESIS;
    return more > UINT64_MAX - bytes ? UINT64_MAX : bytes + more;
}

static uint64_t without_reserve(const struct td_headroom_view *view)
{
    uint64_t taken = view->reserve_missing_bytes;
    return view->space.free_bytes > taken ? view->space.free_bytes - taken : 0;
}

static bool is_low(uint64_t free_bytes, uint64_t files, uint64_t min_free, bool was_low)
{
    uint64_t files_min = was_low ? 2 * TD_HEADROOM_FILES_MIN : TD_HEADROOM_FILES_MIN;
    return min_free > 0 &&
           (free_bytes < (was_low ? above(min_free) : min_free) || files < files_min);
}

void td_headroom_judge(const struct td_headroom_rules *rules, const struct td_headroom_view *view,
                       struct td_headroom *ret_headroom)
{
    uint64_t free_bytes = without_reserve(view);
    uint64_t files = view->space.files_free;
    /* Unwatched, a disk that was full has space again when it is clearly not full any more. */
    uint64_t floor = rules->min_free_bytes > 2 * TD_HEADROOM_FULL_BYTES
                         ? rules->min_free_bytes
                         : 2 * TD_HEADROOM_FULL_BYTES;
    bool low = is_low(free_bytes, files, rules->min_free_bytes, view->was_low);
    uint64_t target = above(rules->min_free_bytes);
    uint64_t missing = target > free_bytes ? target - free_bytes : 1;
    *ret_headroom = (struct td_headroom){
        .low = low,
        .full = rules->min_free_bytes > 0 && free_bytes < TD_HEADROOM_FULL_BYTES,
        .roomy = !low && free_bytes >= above(floor) && files >= 2 * TD_HEADROOM_FILES_MIN,
        .make = view->reserve_missing_bytes > 0 && free_bytes > floor,
        .missing_bytes = low ? missing : 0,
    };
}

void td_headroom_decide(const struct td_headroom_rules *rules, const struct td_headroom *headroom,
                        bool exhausted, struct td_headroom_acts *ret_acts)
{
    bool helpless = rules->policy != TD_POLICY_DROP_OLDEST || exhausted;
    bool stops = (headroom->low && rules->policy == TD_POLICY_STOP_ALL) ||
                 (headroom->full && helpless);
    *ret_acts = (struct td_headroom_acts){
        .refuse = (headroom->low || headroom->full) && helpless,
        .end = stops && rules->on_full == TD_ON_FULL_END,
        .pause = stops && rules->on_full == TD_ON_FULL_PAUSE,
        .resume = headroom->roomy,
    };
}
