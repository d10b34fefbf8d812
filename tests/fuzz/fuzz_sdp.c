/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_sdp: any bytes as an offer; what parses is answered, and the answer must parse.
 */
#include "fuzz.h"

#include <string.h>

#include "webrtc/sdp.h"

static bool takes_some(void *ctx, const struct td_sdp_section *offered,
                       const struct td_sdp_codec *codec)
{
    (void)ctx;
    (void)offered;
    return codec->payload_type % 3 != 0;
}

static void check_answer(const struct td_sdp *offer, const char *text)
{
    struct td_sdp *answer = NULL;
    FUZZ_CHECK(td_sdp_parse(text, strlen(text), &answer) == 0);
    FUZZ_CHECK(answer->section_count == offer->section_count);
    for (unsigned i = 0; i < offer->section_count; i++) {
        FUZZ_CHECK(strcmp(answer->sections[i].mid, offer->sections[i].mid) == 0);
        FUZZ_CHECK(answer->sections[i].kind == offer->sections[i].kind);
        FUZZ_CHECK(!offer->sections[i].rejected || answer->sections[i].rejected);
    }
    FUZZ_CHECK(td_sdp_free(answer) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct td_sdp_local local = {
        .ufrag = "abcdefgh",
        .pwd = "abcdefghijklmnopqrstuvwx",
        .fingerprint = "sha-256 00",
        .setup = TD_SDP_ACTIVE,
    };
    struct td_sdp *offer = NULL;
    int r = td_sdp_parse((const char *)bytes, len, &offer);
    FUZZ_CHECK((r == 0) == (offer != NULL));
    if (r < 0) {
        FUZZ_CHECK(r == -TD_E_PARSE || r == -TD_E_LIMIT);
        return 0;
    }
    for (int reject = 0; reject < 2; reject++) {
        char *text = NULL;
        r = td_sdp_answer(offer, &local, takes_some, NULL, reject != 0, &text);
        FUZZ_CHECK(r == 0 || r == -TD_E_UNSUPPORTED);
        if (r == 0)
            check_answer(offer, text);
        free(text);
    }
    FUZZ_CHECK(td_sdp_free(offer) == NULL);
    return 0;
}
