/* SPDX-License-Identifier: Apache-2.0 */
#include "publisher/pattern_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define MAGIC "TDLOOP1\n"
#define MAGIC_BYTES 8u
#define FIXED_BYTES (MAGIC_BYTES + 2 + 3 * 4 + 4) /* without the request and the table */
#define REQUEST_BYTES_MAX (TD_MSG_HEADER_BYTES + TD_MSG_FIXED_MAX)
#define UNITS_MAX (TD_PATTERN_FRAMES_MAX + TD_PATTERN_SECONDS_MAX * TD_PATTERN_PACKETS_PER_S)
#define FILE_BYTES_MAX (FIXED_BYTES + REQUEST_BYTES_MAX + 4 * UNITS_MAX + TD_PATTERN_BYTES_MAX)
#define KEY_BIT 0x80000000u

/* The request is the loop's name: what was asked for, byte by byte. */
static size_t write_request(const struct td_pattern_config *config,
                            uint8_t ret_bytes[static REQUEST_BYTES_MAX])
{
    struct td_writer w;
    td_writer_init(&w, ret_bytes, REQUEST_BYTES_MAX);
    td_msg_write_pattern(&w, config);
    return td_writer_len(&w);
}

/* ---- saving ---- */

static void write_table(struct td_writer *w, const struct td_pattern_unit *units, size_t count)
{
    for (size_t i = 0; i < count; i++)
        td_write_be32(w, units[i].len | (units[i].key ? KEY_BIT : 0));
}

static void write_units(struct td_writer *w, const struct td_pattern *p,
                        const struct td_pattern_unit *units, size_t count)
{
    for (size_t i = 0; i < count; i++)
        td_write_bytes(w, p->bytes.data + units[i].offset, units[i].len);
}

int td_pattern_file_save(struct td_fs *fs, const char *path, const struct td_pattern *pattern)
{
    uint8_t request[REQUEST_BYTES_MAX];
    size_t request_len = write_request(&pattern->config, request);
    size_t size = FIXED_BYTES + request_len + 4 * (pattern->frame_count + pattern->packet_count) +
                  pattern->bytes.len;
    uint8_t *bytes = malloc(size);
    struct td_writer w;
    if (bytes == NULL)
        return -ENOMEM;
    td_writer_init(&w, bytes, size);
    td_write_bytes(&w, MAGIC, MAGIC_BYTES);
    td_write_be16(&w, (uint16_t)request_len);
    td_write_bytes(&w, request, request_len);
    td_write_be32(&w, (uint32_t)pattern->frame_count);
    td_write_be32(&w, (uint32_t)pattern->packet_count);
    td_write_be32(&w, pattern->lookahead_samples);
    write_table(&w, pattern->frames, pattern->frame_count);
    write_table(&w, pattern->packets, pattern->packet_count);
    write_units(&w, pattern, pattern->frames, pattern->frame_count);
    write_units(&w, pattern, pattern->packets, pattern->packet_count);
    td_write_be32(&w, td_crc32(0, bytes, td_writer_len(&w)));
    int r = w.bad ? -TD_E_LIMIT : td_fs_replace(fs, path, bytes, td_writer_len(&w));
    free(bytes);
    return r;
}

/* ---- loading ---- */

static int read_table(struct td_reader *r, size_t count, size_t *offset,
                      struct td_pattern_unit **ret_units)
{
    if (count > td_reader_left(r) / 4)
        return -TD_E_PARSE;
    struct td_pattern_unit *units = calloc(count + 1, sizeof(*units));
    if (units == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        uint32_t word = td_read_be32(r);
        units[i] = (struct td_pattern_unit){
            .offset = *offset,
            .len = word & ~KEY_BIT,
            .key = (word & KEY_BIT) != 0,
        };
        *offset += units[i].len;
    }
    *ret_units = units;
    return 0;
}

/* Behind the request. */
static int read_loop(struct td_reader *r, struct td_pattern *p)
{
    const struct td_pattern_config *c = &p->config;
    size_t offset = 0;
    p->frame_count = td_read_be32(r);
    p->packet_count = td_read_be32(r);
    p->lookahead_samples = td_read_be32(r);
    if (p->frame_count != (c->video == TD_CODEC_NONE ? 0u : (size_t)c->fps * c->seconds) ||
        p->packet_count != (c->channels == 0 ? 0u : (size_t)TD_PATTERN_PACKETS_PER_S * c->seconds))
        return -TD_E_PARSE;
    int err = read_table(r, p->frame_count, &offset, &p->frames);
    if (err == 0)
        err = read_table(r, p->packet_count, &offset, &p->packets);
    if (err < 0)
        return err;
    const uint8_t *units = td_read_bytes(r, offset);
    if (units == NULL || td_reader_left(r) != 0 || (p->frame_count > 0 && !p->frames[0].key))
        return -TD_E_PARSE;
    return td_bytes_append(&p->bytes, units, offset);
}

static int parse(const uint8_t *bytes, size_t len, struct td_pattern *p)
{
    uint8_t request[REQUEST_BYTES_MAX];
    size_t request_len = write_request(&p->config, request);
    struct td_reader r;
    struct td_reader end;
    if (len < FIXED_BYTES || memcmp(bytes, MAGIC, MAGIC_BYTES) != 0)
        return -TD_E_PARSE;
    td_reader_init(&end, bytes + len - 4, 4);
    if (td_crc32(0, bytes, len - 4) != td_read_be32(&end))
        return -TD_E_PARSE;
    td_reader_init(&r, bytes + MAGIC_BYTES, len - MAGIC_BYTES - 4);
    size_t found_len = td_read_be16(&r);
    const uint8_t *found = td_read_bytes(&r, found_len);
    if (found == NULL)
        return -TD_E_PARSE;
    if (found_len != request_len || memcmp(found, request, request_len) != 0)
        return -TD_E_STATE;
    return read_loop(&r, p);
}

int td_pattern_file_load(struct td_fs *fs, const char *path, const struct td_pattern_config *config,
                         struct td_pattern **ret_pattern)
{
    char *text = NULL;
    size_t len = 0;
    int r = td_fs_slurp(fs, path, FILE_BYTES_MAX, &text, &len);
    if (r < 0)
        return r;
    struct td_pattern *p = calloc(1, sizeof(*p));
    r = p != NULL ? 0 : -ENOMEM;
    if (r == 0) {
        p->config = *config;
        td_bytes_init(&p->bytes, TD_PATTERN_BYTES_MAX, NULL);
        r = parse((const uint8_t *)text, len, p);
    }
    free(text);
    if (r < 0) {
        (void)td_pattern_free(p);
        return r;
    }
    *ret_pattern = p;
    return 0;
}
