/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_config: any bytes as a configuration file; what is taken is printed, and what is printed
 * must be taken and print as the same.
 */
#include "fuzz.h"

#include <string.h>

#include "config/yaml.h"

static char *print(const struct td_config *c)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    FUZZ_CHECK(out);
    FUZZ_CHECK(td_config_print(c, out) == 0);
    FUZZ_CHECK(fclose(out) == 0);
    return text;
}

static void check_ranges(const struct td_config *c)
{
    FUZZ_CHECK(c->listen != NULL && c->data_dir != NULL && c->log_level != NULL);
    FUZZ_CHECK(c->formats.count >= 1 && c->formats.count <= TD_CONFIG_LIST_MAX);
    FUZZ_CHECK(c->api_keys.count <= TD_CONFIG_LIST_MAX);
    for (size_t i = 0; i < c->api_keys.count; i++)
        FUZZ_CHECK(c->api_keys.items[i].key != NULL);
    FUZZ_CHECK(c->flush_bytes >= 64 << 10 && c->flush_bytes <= 16 << 20);
    FUZZ_CHECK(c->sync_interval_us >= -1);
    FUZZ_CHECK(c->limits.max_recordings >= 1 && c->limits.max_recordings <= 512);
    FUZZ_CHECK((unsigned)c->disk.policy <= TD_POLICY_STOP_ALL);
}

static void check_round(const struct td_config *c)
{
    char *text = print(c);
    struct td_config again;
    struct td_fail fail = {.code = 0};
    FUZZ_CHECK(td_config_init(&again) == 0);
    FUZZ_CHECK(td_config_yaml_read(&again, "printed", text, strlen(text), &fail) == 0);
    char *text_again = print(&again);
    FUZZ_CHECK(strcmp(text, text_again) == 0);
    free(text_again);
    free(text);
    td_config_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct td_config c;
    struct td_fail fail = {.code = 0};
    FUZZ_CHECK(td_config_init(&c) == 0);
    int r = td_config_yaml_read(&c, "fuzz", (const char *)bytes, len, &fail);
    FUZZ_CHECK(r == 0 || r == -TD_E_USAGE);
    FUZZ_CHECK(fail.code == r && (r == 0 || strncmp(fail.text, "fuzz:", 5) == 0));
    if (r == 0) {
        check_ranges(&c);
        check_round(&c);
        FUZZ_CHECK(td_config_check(&c, &fail) <= 0);
    }
    td_config_done(&c);
    return 0;
}
