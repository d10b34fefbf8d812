/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation of the settings fails in turn: -ENOMEM comes back, and nothing is leaked. (Those
 * of libyaml are its own.) */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/yaml.h"

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);

/* Allocations up to the one that fails; 0: none does. */
static unsigned fail_after;

static int alloc_fails(void)
{
    return fail_after > 0 && --fail_after == 0;
}

void *__wrap_calloc(size_t count, size_t size)
{
    return alloc_fails() ? NULL : __real_calloc(count, size);
}

char *__wrap_strdup(const char *text)
{
    return alloc_fails() ? NULL : __real_strdup(text);
}

static void test_init(void **state)
{
    (void)state;
    unsigned n = 0;
    int r = -ENOMEM;
    while (r < 0) {
        struct td_config c;
        fail_after = ++n;
        r = td_config_init(&c);
        assert_true(r == 0 || r == -ENOMEM);
        fail_after = 0;
        td_config_done(&c); /* allowed after a failure too */
    }
    assert_int_equal(n, 3 + 2 + 4 + 1); /* texts, lists, their entries, and the one that passes */
}

static void test_read(void **state)
{
    (void)state;
    static const char text[] = "data_dir: a\n"
                               "api_keys: [{key: a, rooms: b}, {key: c}]\n"
                               "formats: [a, b]\n"
                               "disk: {quotas: [{room: a, max_bytes: 1}]}\n";
    unsigned n = 0;
    int r = -ENOMEM;
    while (r < 0) {
        struct td_config c;
        struct td_fail fail = {.code = 0};
        assert_int_equal(td_config_init(&c), 0);
        fail_after = ++n;
        r = td_config_yaml_read(&c, "x", text, strlen(text), &fail);
        assert_true(r == 0 || r == -ENOMEM);
        assert_int_equal(fail.code, r);
        fail_after = 0;
        td_config_done(&c);
    }
    assert_int_equal(n, 1 + 4 + 3 + 2 + 1);
}

static void test_environment(void **state)
{
    (void)state;
    char listen[] = "TAPEDECK_LISTEN=a:1";
    char url[] = "LIVEKIT_URL=ws://a";
    char *const environment[] = {listen, url, NULL};
    for (unsigned n = 1; n <= 2; n++) {
        struct td_config c;
        struct td_fail fail = {.code = 0};
        assert_int_equal(td_config_init(&c), 0);
        fail_after = n;
        assert_int_equal(td_config_environment(&c, environment, NULL, 0, &fail), -ENOMEM);
        assert_int_equal(fail.code, -ENOMEM);
        fail_after = 0;
        td_config_done(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_environment),
    };
    return cmocka_run_group_tests_name("config/alloc", tests, NULL, NULL);
}
