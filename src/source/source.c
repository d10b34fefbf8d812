/* SPDX-License-Identifier: Apache-2.0 */
#include "source/source.h"

#include <assert.h>

int td_source_select(struct td_source *s, uint32_t handle, bool wanted)
{
    assert(s != NULL && s->ops->select != NULL);
    return s->ops->select(s, handle, wanted);
}

void td_source_stop(struct td_source *s)
{
    assert(s != NULL && s->ops->stop != NULL);
    s->ops->stop(s);
}

struct td_source *td_source_free(struct td_source *s)
{
    if (s == NULL)
        return NULL;
    assert(s->ops->free != NULL);
    return s->ops->free(s);
}

int td_source_send_rtcp(struct td_source *s, const uint8_t *bytes, size_t len)
{
    assert(s != NULL && s->ops->send_rtcp != NULL);
    return s->ops->send_rtcp(s, bytes, len);
}
