/* SPDX-License-Identifier: Apache-2.0 */
#include "codecd/picture.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    COLUMNS = 12, /* 2 rows of 12 cells: 16 bits of counter, 8 of CRC */
    ROWS = 2,
    BITS = COLUMNS * ROWS,
    BLACK = 20,
    WHITE = 232,
    QUIET = 56,             /* around the cells: no bright neighbour bleeds in */
    CELL_CONTRAST_MIN = 24, /* |mean - 128| below which a cell is not trusted */
    TEXTURE = 256,          /* period of the texture in both directions */
    TEXTURE_LOW = 40,       /* its darkest and brightest luminance, before noise: */
    TEXTURE_HIGH = 168,     /* the mean stays far below a flash */
    NOISE_BYTES = 8192,
    BOXES = 5,
};

struct td_painter {
    unsigned width;
    unsigned height;
    size_t stride;    /* of the texture: one period more than a row of the picture */
    uint8_t *texture; /* luminance, TEXTURE rows */
    uint8_t *chroma;  /* the same, around 128 */
    int8_t *noise;    /* NOISE_BYTES and one row more */
};

struct rect {
    unsigned x0, y0, x1, y1;
};

/* Xorshift (Marsaglia 2003): the pattern must be the same on every machine. */
static uint32_t next_random(uint32_t *state)
{
    uint32_t x = *state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *state = x;
}

uint8_t td_picture_crc8(uint16_t counter)
{
    uint8_t crc = 0xff;
    for (int shift = 8; shift >= 0; shift -= 8) {
        crc = (uint8_t)(crc ^ (counter >> shift));
        for (int bit = 0; bit < 8; bit++)
            crc = (uint8_t)((crc << 1) ^ ((crc & 0x80) != 0 ? 0x07 : 0));
    }
    return crc;
}

/* The band of cells: from 1/16 to 15/16 of the width, from 1/16 of the height on, 1/10 a row. */
static struct rect cell_rect(unsigned width, unsigned height, unsigned cell)
{
    unsigned left = width / 16;
    unsigned span = width - 2 * left;
    unsigned top = height / 16;
    unsigned tall = height / 10;
    unsigned column = cell % COLUMNS;
    unsigned row = cell / COLUMNS;
    return (struct rect){
        .x0 = left + column * span / COLUMNS,
        .y0 = top + row * tall,
        .x1 = left + (column + 1) * span / COLUMNS,
        .y1 = top + (row + 1) * tall,
    };
}

static void fill(const struct td_plane *plane, struct rect r, uint8_t value)
{
    for (unsigned y = r.y0; y < r.y1 && y < plane->height; y++)
        memset(plane->at + y * plane->stride + r.x0, value, r.x1 - r.x0);
}

static unsigned mean(const struct td_plane *plane, struct rect r)
{
    uint64_t sum = 0;
    for (unsigned y = r.y0; y < r.y1; y++)
        for (unsigned x = r.x0; x < r.x1; x++)
            sum += plane->at[y * plane->stride + x];
    uint64_t count = (uint64_t)(r.x1 - r.x0) * (r.y1 - r.y0);
    return count == 0 ? 0 : (unsigned)(sum / count);
}

/* One octave of value noise on a lattice of `step`, wrapping at TEXTURE, added with weight/256. */
static void add_octave(uint16_t *sum, unsigned step, unsigned weight, uint32_t *seed)
{
    enum { LATTICE = TEXTURE / 4 };
    uint8_t lattice[LATTICE * LATTICE];
    unsigned cells = TEXTURE / step;
    assert(cells <= LATTICE);
    for (unsigned i = 0; i < cells * cells; i++)
        lattice[i] = (uint8_t)(next_random(seed) >> 24);
    for (unsigned y = 0; y < TEXTURE; y++) {
        const uint8_t *above = lattice + y / step * cells;
        const uint8_t *below = lattice + (y / step + 1) % cells * cells;
        unsigned fy = y % step;
        for (unsigned x = 0; x < TEXTURE; x++) {
            unsigned l = x / step;
            unsigned r = (l + 1) % cells;
            unsigned fx = x % step;
            unsigned top = above[l] * (step - fx) + above[r] * fx;
            unsigned bottom = below[l] * (step - fx) + below[r] * fx;
            unsigned value = (top * (step - fy) + bottom * fy) / (step * step);
            sum[y * TEXTURE + x] = (uint16_t)(sum[y * TEXTURE + x] + value * weight / 256);
        }
    }
}

/* Clouds with fine structure: neither flat nor white noise, like a camera's picture. */
static void make_textures(struct td_painter *p, uint16_t *sum, unsigned detail)
{
    enum { MIDDLE = (TEXTURE_LOW + TEXTURE_HIGH) / 2, SPAN = TEXTURE_HIGH - TEXTURE_LOW };
    uint32_t seed = 0x7a9edec4;
    add_octave(sum, 64, 112, &seed);
    add_octave(sum, 16, 80, &seed);
    add_octave(sum, 4, 64, &seed);
    int scale = (int)detail;
    for (unsigned y = 0; y < TEXTURE; y++) {
        for (size_t x = 0; x < p->stride; x++) {
            int value = (int)sum[y * TEXTURE + x % TEXTURE] - 128; /* -128..127 */
            int luma = MIDDLE + value * SPAN * scale / (256 * TD_PAINTER_DETAIL_MAX);
            int chroma = 128 + value * scale / (3 * TD_PAINTER_DETAIL_MAX);
            p->texture[y * p->stride + x] = (uint8_t)luma;
            p->chroma[y * p->stride + x] = (uint8_t)chroma;
        }
    }
}

static void make_noise(struct td_painter *p, unsigned amplitude)
{
    uint32_t seed = 0x2545f491;
    for (size_t i = 0; i < NOISE_BYTES + p->width; i++) {
        int value = (int)(next_random(&seed) >> 16) % (int)(2 * amplitude + 1);
        p->noise[i] = (int8_t)(value - (int)amplitude);
    }
}

int td_painter_new(unsigned width, unsigned height, unsigned detail, unsigned noise,
                   struct td_painter **ret_painter)
{
    assert(noise <= TD_PAINTER_NOISE_MAX && detail <= TD_PAINTER_DETAIL_MAX);
    struct td_painter *p = calloc(1, sizeof(*p));
    uint16_t *sum = calloc((size_t)TEXTURE * TEXTURE, sizeof(*sum));
    if (!p || !sum) {
        free(p);
        free(sum);
        return -ENOMEM;
    }
    p->width = width;
    p->height = height;
    p->stride = (size_t)width + TEXTURE;
    p->texture = malloc(p->stride * TEXTURE);
    p->chroma = malloc(p->stride * TEXTURE);
    p->noise = malloc(NOISE_BYTES + (size_t)width);
    if (!p->texture || !p->chroma || !p->noise) {
        free(sum);
        (void)td_painter_free(p);
        return -ENOMEM;
    }
    make_textures(p, sum, detail);
    make_noise(p, noise);
    free(sum);
    *ret_painter = p;
    return 0;
}

struct td_painter *td_painter_free(struct td_painter *p)
{
    if (!p)
        return NULL;
    free(p->texture);
    free(p->chroma);
    free(p->noise);
    free(p);
    return NULL;
}

/* A piece of texture that starts at (tx, ty) of it, with noise of this picture. */
static void draw_texture(const struct td_painter *p, const struct td_plane *plane, struct rect r,
                         const uint8_t *texture, unsigned tx, unsigned ty, uint32_t *seed)
{
    for (unsigned y = r.y0; y < r.y1; y++) {
        const uint8_t *from = texture + ((y - r.y0 + ty) % TEXTURE) * p->stride + tx % TEXTURE;
        const int8_t *noise = p->noise + next_random(seed) % NOISE_BYTES;
        uint8_t *to = plane->at + y * plane->stride + r.x0;
        for (unsigned x = 0; x < r.x1 - r.x0; x++)
            to[x] = (uint8_t)(from[x] + noise[x]);
    }
}

/* There and back again between 0 and span. */
static unsigned triangle(unsigned t, unsigned span)
{
    if (span == 0)
        return 0;
    unsigned phase = t % (2 * span);
    return phase < span ? phase : 2 * span - phase;
}

/* Boxes of other texture that bounce about: edges, occlusion and motion in all directions. */
static void draw_boxes(const struct td_painter *p, const struct td_plane *plane, unsigned t,
                       uint32_t *seed)
{
    unsigned w = p->width / 6;
    unsigned h = p->height / 6;
    for (unsigned i = 0; i < BOXES; i++) {
        unsigned step = p->width * (i + 2) / 640 + 1;
        unsigned x = triangle(t * step + i * 97, p->width - w);
        unsigned y = triangle(t * (step + i) / 2 + i * 61, p->height - h);
        struct rect box = {.x0 = x, .y0 = y, .x1 = x + w, .y1 = y + h};
        draw_texture(p, plane, box, p->texture, i * 50, i * 83, seed);
    }
}

static void draw_counter(const struct td_painter *p, const struct td_plane *plane, uint16_t counter)
{
    uint32_t bits = (uint32_t)counter << 8 | td_picture_crc8(counter);
    struct rect first = cell_rect(p->width, p->height, 0);
    struct rect last = cell_rect(p->width, p->height, BITS - 1);
    unsigned margin = (p->width < p->height ? p->width : p->height) / 40;
    fill(plane,
         (struct rect){first.x0 - margin, first.y0 - margin, last.x1 + margin, last.y1 + margin},
         QUIET);
    for (unsigned i = 0; i < BITS; i++) {
        bool set = (bits >> (BITS - 1 - i) & 1) != 0;
        fill(plane, cell_rect(p->width, p->height, i), set ? WHITE : BLACK);
    }
}

void td_painter_draw(struct td_painter *p, uint16_t counter, bool flash,
                     const struct td_plane planes[static 3])
{
    assert(planes[0].width == p->width && planes[0].height == p->height);
    uint32_t seed = 0x9e3779b9u ^ (counter * 2654435761u);
    unsigned t = counter;
    unsigned pace = p->width / 320 + 1;
    struct rect all = {.x1 = p->width, .y1 = p->height};
    draw_texture(p, &planes[0], all, p->texture, t * pace, t * (pace / 2), &seed);
    draw_boxes(p, &planes[0], t, &seed);
    for (unsigned i = 1; i < 3; i++) {
        struct rect half = {.x1 = planes[i].width, .y1 = planes[i].height};
        uint32_t still = seed + i;
        draw_texture(p, &planes[i], half, p->chroma, t * pace / 2 + i * 100, t / 2 + i * 50,
                     &still);
    }
    if (flash) {
        fill(&planes[0], (struct rect){.y0 = p->height / 2, .x1 = p->width, .y1 = p->height},
             WHITE);
        for (unsigned i = 1; i < 3; i++)
            fill(&planes[i],
                 (struct rect){
                     .y0 = planes[i].height / 2, .x1 = planes[i].width, .y1 = planes[i].height},
                 128);
    }
    draw_counter(p, &planes[0], counter);
}

int32_t td_picture_read_counter(const struct td_plane *luma)
{
    uint32_t bits = 0;
    for (unsigned i = 0; i < BITS; i++) {
        struct rect c = cell_rect(luma->width, luma->height, i);
        unsigned dx = (c.x1 - c.x0) / 4;
        unsigned dy = (c.y1 - c.y0) / 4;
        struct rect inner = {c.x0 + dx, c.y0 + dy, c.x1 - dx, c.y1 - dy};
        if (inner.x1 <= inner.x0 || inner.y1 <= inner.y0)
            return -1;
        unsigned level = mean(luma, inner);
        if (level > 128 - CELL_CONTRAST_MIN && level < 128 + CELL_CONTRAST_MIN)
            return -1;
        bits = bits << 1 | (level > 128 ? 1 : 0);
    }
    uint16_t counter = (uint16_t)(bits >> 8);
    return (bits & 0xff) == td_picture_crc8(counter) ? (int32_t)counter : -1;
}

uint8_t td_picture_read_flash(const struct td_plane *luma)
{
    unsigned w = luma->width;
    unsigned h = luma->height;
    return (uint8_t)mean(
        luma, (struct rect){.x0 = w / 8, .y0 = h * 5 / 8, .x1 = w * 7 / 8, .y1 = h * 7 / 8});
}
