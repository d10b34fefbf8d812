/* SPDX-License-Identifier: Apache-2.0 */
#include "said.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct redirect {
    FILE *stream;
    FILE *file;
    int kept;
};

static void begin(struct redirect *r, FILE *stream)
{
    r->stream = stream;
    r->file = tmpfile();
    assert_non_null(r->file);
    assert_int_equal(fflush(stream), 0);
    r->kept = dup(fileno(stream));
    assert_true(r->kept >= 0 && dup2(fileno(r->file), fileno(stream)) >= 0);
}

static void end(struct redirect *r, char ret_text[static TD_SAID_MAX])
{
    int flushed = fflush(r->stream);
    assert_true(dup2(r->kept, fileno(r->stream)) >= 0);
    assert_int_equal(flushed, 0);
    assert_int_equal(close(r->kept), 0);
    td_said_read(r->file, ret_text);
}

void td_said_read(FILE *file, char ret_text[static TD_SAID_MAX])
{
    rewind(file);
    ret_text[fread(ret_text, 1, TD_SAID_MAX - 1, file)] = '\0';
    assert_int_equal(fclose(file), 0);
}

int td_said_run(const struct td_command *command, const char *const *words, struct td_said *said)
{
    char *argv[TD_SAID_WORDS_MAX + 2] = {said->argv[0]};
    int argc = 1;
    (void)snprintf(said->argv[0], sizeof(said->argv[0]), "%s", command->name);
    for (; words[argc - 1] != NULL; argc++) {
        assert_true(argc <= TD_SAID_WORDS_MAX);
        assert_true(strlen(words[argc - 1]) < sizeof(said->argv[0]));
        memcpy(said->argv[argc], words[argc - 1], strlen(words[argc - 1]) + 1);
        argv[argc] = said->argv[argc];
    }
    struct redirect out;
    struct redirect err;
    begin(&out, stdout);
    begin(&err, stderr);
    int code = command->run(command, argc, argv);
    end(&err, said->err);
    end(&out, said->out);
    return code;
}
