/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay_main: runs a fuzz entry without libFuzzer: every file of its corpus as it is, then inputs
 * made from them by a seeded generator.
 *
 *     fuzz_<noun> [--runs N] [FILE or FOLDER]...
 *
 * TD_FUZZ_SEED replays another seed; the one in use is printed first.
 */
#include "fuzz.h"

#include <dirent.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_BYTES_MAX (64u << 10)
#define CORPUS_MAX 256u
#define RUNS_DEFAULT 2000ul
#define SEED_DEFAULT UINT64_C(0x7461706564656b)

struct input {
    uint8_t *bytes;
    size_t len;
};

struct corpus {
    struct input inputs[CORPUS_MAX];
    size_t count;
};

/* xorshift64*: the same numbers from the same seed everywhere. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * UINT64_C(0x2545f4914f6cdd1d);
}

static size_t below(uint64_t *state, size_t end)
{
    return end > 0 ? (size_t)(next_random(state) % end) : 0;
}

/* Memory of exactly the input's size, so that a sanitizer sees a read past its end. */
static void run_input(const uint8_t *bytes, size_t len)
{
    uint8_t *exact = malloc(len > 0 ? len : 1);
    FUZZ_CHECK(exact);
    if (len > 0)
        memcpy(exact, bytes, len);
    (void)LLVMFuzzerTestOneInput(exact, len); /* always 0, by its contract */
    free(exact);
}

static void load_file(struct corpus *c, const char *path)
{
    FUZZ_CHECK(c->count < CORPUS_MAX);
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    struct input *in = &c->inputs[c->count];
    in->bytes = malloc(INPUT_BYTES_MAX);
    FUZZ_CHECK(in->bytes);
    in->len = fread(in->bytes, 1, INPUT_BYTES_MAX, file);
    FUZZ_CHECK(!ferror(file));
    FUZZ_CHECK(fclose(file) == 0);
    c->count++;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* In the order of the names, so that a seed means the same on every machine. */
static void load_folder(struct corpus *c, const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, by_name);
    FUZZ_CHECK(count >= 0);
    for (int i = 0; i < count; i++) {
        char name[4096];
        int len = snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
        FUZZ_CHECK(len > 0 && (size_t)len < sizeof(name));
        if (entries[i]->d_name[0] != '.')
            load_file(c, name);
        free(entries[i]);
    }
    free(entries);
}

static void load(struct corpus *c, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        perror(path);
        exit(1);
    }
    if (S_ISDIR(st.st_mode))
        load_folder(c, path);
    else
        load_file(c, path);
}

/* Puts a random piece of another input over or behind a part of this one. */
static size_t splice(const struct corpus *c, uint64_t *state, uint8_t *bytes, size_t len)
{
    const struct input *other = &c->inputs[below(state, c->count)];
    size_t from = below(state, other->len);
    size_t piece = below(state, other->len - from + 1);
    size_t at = below(state, len + 1);
    if (piece > INPUT_BYTES_MAX - at)
        piece = INPUT_BYTES_MAX - at;
    memcpy(bytes + at, other->bytes + from, piece);
    return at + piece > len ? at + piece : len;
}

static size_t make_input(const struct corpus *c, uint64_t *state, uint8_t *bytes)
{
    size_t len = 0;
    if (c->count > 0 && below(state, 8) > 0) {
        const struct input *in = &c->inputs[below(state, c->count)];
        len = in->len;
        memcpy(bytes, in->bytes, len);
    } else {
        len = below(state, 512);
        for (size_t i = 0; i < len; i++)
            bytes[i] = (uint8_t)next_random(state);
    }
    if (c->count > 0 && below(state, 3) == 0)
        len = splice(c, state, bytes, len);
    for (size_t flips = below(state, 9); flips > 0 && len > 0; flips--) {
        size_t at = below(state, len);
        /* A flipped bit, or one of the values that limits are made of. */
        static const uint8_t edges[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
        if (below(state, 2) == 0)
            bytes[at] ^= (uint8_t)(1u << below(state, 8));
        else
            bytes[at] = edges[below(state, sizeof(edges))];
    }
    return below(state, 6) == 0 ? below(state, len + 1) : len;
}

int main(int argc, char **argv)
{
    static struct corpus corpus;
    unsigned long runs = RUNS_DEFAULT;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--runs") == 0 && i + 1 < argc)
            runs = strtoul(argv[++i], NULL, 10);
        else
            load(&corpus, argv[i]);
    }
    const char *text = getenv("TD_FUZZ_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : SEED_DEFAULT;
    printf("TD_FUZZ_SEED=0x%" PRIx64 ", %zu corpus files, %lu made inputs\n", seed, corpus.count,
           runs);
    FUZZ_CHECK(fflush(stdout) == 0); /* before a crash can lose it */
    run_input(NULL, 0);
    for (size_t i = 0; i < corpus.count; i++)
        run_input(corpus.inputs[i].bytes, corpus.inputs[i].len);
    uint64_t state = seed ? seed : 1;
    static uint8_t bytes[INPUT_BYTES_MAX];
    for (unsigned long i = 0; i < runs; i++)
        run_input(bytes, make_input(&corpus, &state, bytes));
    for (size_t i = 0; i < corpus.count; i++)
        free(corpus.inputs[i].bytes);
    return 0;
}
