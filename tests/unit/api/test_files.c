/* SPDX-License-Identifier: Apache-2.0 */
#include "api/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "wire.h"

#define ID "rec_0123456789abcdef"

static struct {
    struct td_http *http;
    struct td_files *files;
    char folder[64];
    bool growing;
    unsigned asked;
} d;

/* ---- the server ---- */

static bool on_growing(void *ctx, const char *recording_id, const char *name)
{
    (void)ctx;
    assert_string_equal(recording_id, ID);
    assert_true(strlen(name) > 0);
    d.asked++;
    return d.growing;
}

static void on_file(void *ctx, SoupServerMessage *message, const char *path)
{
    (void)ctx;
    td_files_serve(
        d.files, message,
        &(struct td_files_request){.folder = d.folder, .name = path, .recording_id = ID});
}

static void open_server(struct td_fs *fs, int64_t stall_us)
{
    static const struct td_config config = {.listen = NULL};
    struct td_fail fail = {.code = 0};
    memset(&d, 0, sizeof(d));
    (void)snprintf(d.folder, sizeof(d.folder), "/tmp/td-files-XXXXXX");
    assert_non_null(mkdtemp(d.folder));
    assert_int_equal(td_http_new(&(struct td_http_config){.listen = "127.0.0.1:0",
                                                          .config = &config,
                                                          .stall_us = stall_us},
                                 &fail, &d.http),
                     0);
    assert_int_equal(
        td_files_new(&(struct td_files_config){.fs = fs, .growing = on_growing}, &d.files), 0);
    td_http_route(d.http, "/files", TD_HTTP_KEY, on_file, NULL);
}

static void remove_folder(void)
{
    DIR *dir = opendir(d.folder);
    assert_non_null(dir);
    for (const struct dirent *e; (e = readdir(dir)) != NULL;)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            assert_int_equal(
                unlinkat(dirfd(dir), e->d_name, e->d_type == DT_DIR ? AT_REMOVEDIR : 0), 0);
    assert_int_equal(closedir(dir), 0);
    assert_int_equal(rmdir(d.folder), 0);
}

static void close_server(void)
{
    d.files = td_files_free(d.files);
    d.http = td_http_free(d.http);
    wire_run();
    remove_folder();
}

/* Until all answers are over and their files closed. */
static void wait_idle(void)
{
    while (td_files_counts(d.files).streams > 0 || td_http_counts(d.http).connections > 0)
        (void)g_main_context_iteration(NULL, TRUE);
}

static size_t open_descriptors(void)
{
    size_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir) != NULL)
        count++;
    assert_int_equal(closedir(dir), 0);
    return count;
}

/* ---- files ---- */

static const char *path_of(const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", d.folder, name);
    return path;
}

static char byte_at(size_t i)
{
    return (char)((i * 31 + (i >> 8) * 7 + (i >> 16)) & 0xff);
}

/* Appends bytes [from, from + len) of the pattern. */
static void append(const char *name, size_t from, size_t len)
{
    int fd = open(path_of(name), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    char *bytes = malloc(len + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = byte_at(from + i);
    for (size_t done = 0; done < len;) {
        ssize_t n = write(fd, bytes + done, len - done);
        assert_true(n > 0);
        done += (size_t)n;
    }
    free(bytes);
    assert_int_equal(close(fd), 0);
}

static void assert_pattern(const GString *body, size_t from, size_t len)
{
    assert_int_equal(body->len, len);
    for (size_t i = 0; i < len; i++)
        if (body->str[i] != byte_at(from + i))
            assert_int_equal(i, len); /* where it differs */
}

/* ---- asking ---- */

static void get(const char *name, const char *fields, struct wire_answer *ret_answer)
{
    char *path = g_strconcat("/files/", name, NULL);
    wire_call(td_http_address(d.http), "GET", path, fields, ret_answer);
    g_free(path);
}

/* A range of a file of 1,000 bytes: status, Content-Range (NULL = none) and what is sent. */
static void expect_range(const char *fields, unsigned status, const char *range, size_t from,
                         size_t len)
{
    struct wire_answer a;
    get("a.ts", fields, &a);
    wire_expect(&a, status, status == 416 ? "bad_range" : NULL);
    assert_true(a.whole);
    const char *got = wire_field(&a, "Content-Range");
    if (range == NULL)
        assert_null(got);
    else
        assert_string_equal(got != NULL ? got : "(absent)", range);
    if (status != 416)
        assert_pattern(a.body, from, len);
    wire_done(&a);
}

/* Begins a GET; what comes back is read with wire_read. */
static int begin(const char *name, const char *fields)
{
    int fd = wire_connect(td_http_address(d.http));
    char *text =
        g_strdup_printf("GET /files/%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", name, fields);
    assert_true(wire_send(fd, text, strlen(text)));
    g_free(text);
    return fd;
}

/* Reads until the head and so much of the body are there, and parses what is. */
static void read_until(int fd, GString *all, size_t body_len, struct wire_answer *ret_answer)
{
    for (;;) {
        wire_parse(all, ret_answer);
        if (ret_answer->status != 0 && ret_answer->body->len >= body_len)
            return;
        wire_done(ret_answer);
        assert_true(wire_read(fd, all, all->len + 1));
    }
}

/* ---- tests ---- */

static void test_whole(void **state)
{
    (void)state;
    open_server(td_fs_posix(), 0);
    static const struct {
        const char *name;
        const char *type;
        size_t len;
    } rows[] = {
        {"a.ts", "video/mp2t", 1000},
        {"a.screen.p2.mkv", "video/x-matroska", 1},
        {"empty.mp4", "video/mp4", 0},
        {"a.webm", "video/webm", TD_FILES_CHUNK_BYTES},
        {"a.ogg", "audio/ogg", TD_FILES_CHUNK_BYTES + 1},
        {"manifest.json", "application/json", 20},
        {"timeline.jsonl", "application/x-ndjson", 3 * TD_FILES_CHUNK_BYTES},
        {"A-Z_0.idx", "application/octet-stream", 9u << 20},
        {"noextension", "application/octet-stream", 5},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct wire_answer a;
        char length[32];
        (void)snprintf(length, sizeof(length), "%zu", rows[i].len);
        append(rows[i].name, 0, rows[i].len);
        get(rows[i].name, "", &a);
        wire_expect(&a, 200, NULL);
        assert_string_equal(wire_field(&a, "Content-Type"), rows[i].type);
        assert_string_equal(wire_field(&a, "Content-Length"), length);
        assert_string_equal(wire_field(&a, "Accept-Ranges"), "bytes");
        assert_string_equal(wire_field(&a, "Cache-Control"), "private, no-cache");
        assert_int_equal(wire_field(&a, "ETag")[0], '"');
        assert_non_null(strstr(wire_field(&a, "Last-Modified"), " GMT"));
        assert_pattern(a.body, 0, rows[i].len);
        wire_done(&a);
        char path[128];
        (void)snprintf(path, sizeof(path), "/files/%s", rows[i].name);
        wire_call(td_http_address(d.http), "HEAD", path, "", &a);
        wire_expect(&a, 200, NULL);
        assert_string_equal(wire_field(&a, "Content-Length"), length);
        assert_int_equal(a.body->len, 0);
        wire_done(&a);
        wire_call(td_http_address(d.http), "POST", path, "Content-Length: 0\r\n", &a);
        wire_expect(&a, 405, "method_not_allowed");
        wire_done(&a);
    }
    wait_idle();
    close_server();
}

/* Nothing but plain files with plain names is ever opened. */
static void test_names(void **state)
{
    (void)state;
    open_server(td_fs_posix(), 0);
    append("real.ts", 0, 10);
    assert_int_equal(symlink("real.ts", path_of("link.ts")), 0);
    assert_int_equal(symlink("nowhere", path_of("dangling.ts")), 0);
    assert_int_equal(mkdir(path_of("folder.ts"), 0755), 0);
    assert_int_equal(mkfifo(path_of("fifo.ts"), 0644), 0); /* opening it would wait for ever */
    append(".hidden", 0, 10);
    append("with space", 0, 10);
    char longest[1500];
    memset(longest, 'n', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    static const char *const names[] = {
        "",
        "missing.ts",
        "link.ts",
        "dangling.ts",
        "folder.ts",
        "fifo.ts",
        ".hidden",
        "a/b",
        "real.ts/x",
        "with%20space",
        "%0areal.ts",
        "real.ts%0a",
        "real.ts%01",
        "caf%C3%A9",
        "missing.recording.ts",
        ".recording.ts",
        "*",
        "~",
    };
    for (size_t i = 0; i <= sizeof(names) / sizeof(*names); i++) {
        struct wire_answer a;
        get(i < sizeof(names) / sizeof(*names) ? names[i] : longest, "", &a);
        wire_expect(&a, 404, "no_such_file");
        wire_done(&a);
    }
    longest[300] = '\0'; /* a name that no file system has */
    struct wire_answer a;
    get(longest, "", &a);
    wire_expect(&a, 404, "no_such_file");
    wire_done(&a);
    static const char *const paths[] = {"..%2f..%2fetc%2fpasswd", "%2e%2e/x", "../x", "real.ts%00"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
        get(paths[i], "", &a);
        assert_int_equal(a.status, 400);
        wire_done(&a);
    }
    get("real.ts?follow=%00", "", &a);
    assert_int_equal(a.status, 400);
    wire_done(&a);
    wait_idle();
    close_server();
}

static void test_ranges(void **state)
{
    (void)state;
    open_server(td_fs_posix(), 0);
    append("a.ts", 0, 1000);
    expect_range("", 200, NULL, 0, 1000);
    expect_range("Range: bytes=0-0\r\n", 206, "bytes 0-0/1000", 0, 1);
    expect_range("Range: bytes=10-19\r\n", 206, "bytes 10-19/1000", 10, 10);
    expect_range("Range: bytes=990-\r\n", 206, "bytes 990-999/1000", 990, 10);
    expect_range("Range: bytes=990-5000\r\n", 206, "bytes 990-999/1000", 990, 10);
    expect_range("Range: bytes=-5\r\n", 206, "bytes 995-999/1000", 995, 5);
    expect_range("Range: bytes=-5000\r\n", 206, "bytes 0-999/1000", 0, 1000);
    expect_range("Range: bytes=1000-\r\n", 416, "bytes */1000", 0, 0);
    expect_range("Range: bytes=-0\r\n", 416, "bytes */1000", 0, 0);
    expect_range("Range: bytes=9-5\r\n", 200, NULL, 0, 1000);
    expect_range("Range: lines=1-2\r\n", 200, NULL, 0, 1000);
    expect_range("Range: bytes=0-1,5-6\r\n", 200, NULL, 0, 1000);
    struct wire_answer a;
    wire_call(td_http_address(d.http), "HEAD", "/files/a.ts", "Range: bytes=0-1\r\n", &a);
    wire_expect(&a, 200, NULL);
    assert_string_equal(wire_field(&a, "Content-Length"), "1000");
    wire_done(&a);
    append("b.ts", 0, 0);
    get("b.ts", "Range: bytes=0-\r\n", &a);
    wire_expect(&a, 416, "bad_range");
    assert_string_equal(wire_field(&a, "Content-Range"), "bytes */0");
    wire_done(&a);
    wait_idle();
    close_server();
}

/* "NAME: VALUE\r\n" with what an answer said. */
static char *field_line(const char *name, const char *value, const char *more)
{
    return g_strdup_printf("%s: %s\r\n%s", name, value, more);
}

static void test_validators(void **state)
{
    (void)state;
    open_server(td_fs_posix(), 0);
    struct wire_answer a;
    append("a.ts", 0, 1000);
    get("a.ts", "", &a);
    char *etag = g_strdup(wire_field(&a, "ETag"));
    char *weak = g_strconcat("W/", etag, NULL);
    char *list = g_strconcat("\"x\", ", etag, NULL);
    char *date = g_strdup(wire_field(&a, "Last-Modified"));
    wire_done(&a);
    const char *const past = "Sun, 06 Nov 1994 08:49:37 GMT";
    const struct {
        const char *name;
        const char *value;
        unsigned status;
    } rows[] = {
        {"If-None-Match", etag, 304},
        {"If-None-Match", weak, 304},
        {"If-None-Match", list, 304},
        {"If-None-Match", "*", 304},
        {"If-None-Match", "\"x\"", 200},
        {"If-None-Match", "x", 200},
        {"If-Modified-Since", date, 304},
        {"If-Modified-Since", past, 200},
        {"If-Modified-Since", "soon", 200},
        {"If-Match", etag, 200},
        {"If-Match", "*", 200},
        {"If-Match", weak, 412},
        {"If-Match", "\"x\"", 412},
        {"If-Unmodified-Since", date, 200},
        {"If-Unmodified-Since", past, 412},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char *fields = field_line(rows[i].name, rows[i].value, "");
        get("a.ts", fields, &a);
        wire_expect(&a, rows[i].status, rows[i].status == 412 ? "changed" : NULL);
        if (rows[i].status == 304) {
            assert_int_equal(a.body->len, 0);
            assert_null(wire_field(&a, "Content-Length"));
            assert_string_equal(wire_field(&a, "ETag"), etag);
        }
        wire_done(&a);
        g_free(fields);
    }
    const struct {
        const char *value;
        unsigned status;
    } ifs[] = {{etag, 206}, {date, 206}, {weak, 200}, {"\"x\"", 200}, {past, 200}, {"?", 200}};
    for (size_t i = 0; i < sizeof(ifs) / sizeof(*ifs); i++) {
        char *fields = field_line("If-Range", ifs[i].value, "Range: bytes=5-6\r\n");
        bool part = ifs[i].status == 206;
        expect_range(fields, ifs[i].status, part ? "bytes 5-6/1000" : NULL, part ? 5 : 0,
                     part ? 2 : 1000);
        g_free(fields);
    }
    append("a.ts", 1000, 1); /* another file now */
    get("a.ts", "", &a);
    assert_string_not_equal(wire_field(&a, "ETag"), etag);
    wire_done(&a);
    g_free(etag);
    g_free(weak);
    g_free(list);
    g_free(date);
    wait_idle();
    close_server();
}

static void test_growing(void **state)
{
    (void)state;
    open_server(td_fs_posix(), 0);
    struct wire_answer a;
    d.growing = true;
    append("a.ts", 0, 1000);
    get("a.ts", "", &a);
    wire_expect(&a, 200, NULL);
    assert_null(wire_field(&a, "ETag"));
    assert_string_equal(wire_field(&a, "Cache-Control"), "no-store");
    assert_pattern(a.body, 0, 1000);
    wire_done(&a);
    expect_range("Range: bytes=-10\r\n", 206, "bytes 990-999/1000", 990, 10);
    /* It is never the file that somebody had before. */
    expect_range("Range: bytes=5-6\r\nIf-Range: \"x\"\r\n", 200, NULL, 0, 1000);
    get("a.ts", "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n", &a);
    wire_expect(&a, 200, NULL);
    wire_done(&a);
    append("a.ts", 1000, 500);
    get("a.ts", "Range: bytes=1000-\r\n", &a);
    wire_expect(&a, 206, NULL);
    assert_string_equal(wire_field(&a, "Content-Range"), "bytes 1000-1499/1500");
    assert_pattern(a.body, 1000, 500);
    wire_done(&a);
    /* Its old name leads to the finished file. */
    d.growing = false;
    append("b.p2.mkv", 0, 100);
    get("b.p2.recording.mkv", "", &a);
    wire_expect(&a, 200, NULL);
    assert_pattern(a.body, 0, 100);
    assert_string_equal(wire_field(&a, "Content-Type"), "video/x-matroska");
    wire_done(&a);
    wait_idle();
    close_server();
}

/* From the first to the last byte, though the file gets its final name meanwhile. */
static void test_follow(void **state)
{
    (void)state;
    open_server(td_fs_posix(), 0);
    struct wire_answer a;
    size_t size = 0;
    d.growing = true;
    append("a.recording.ts", 0, 0);
    GString *all = g_string_new(NULL);
    int fd = begin("a.recording.ts?follow=1", "");
    read_until(fd, all, 0, &a); /* the headers come before there is anything */
    wire_expect(&a, 200, NULL);
    assert_string_equal(wire_field(&a, "Transfer-Encoding"), "chunked");
    assert_string_equal(wire_field(&a, "Cache-Control"), "no-store");
    assert_null(wire_field(&a, "Content-Length"));
    assert_null(wire_field(&a, "ETag"));
    wire_done(&a);
    for (size_t i = 0; i < 8; i++) {
        size_t len = i == 3 ? 2 * TD_FILES_CHUNK_BYTES + 77 : 1000 + i;
        append(i < 4 ? "a.recording.ts" : "a.ts", size, len);
        size += len;
        read_until(fd, all, size, &a);
        assert_false(a.whole);
        assert_pattern(a.body, 0, size);
        wire_done(&a);
        char from[512];
        (void)snprintf(from, sizeof(from), "%s", path_of("a.recording.ts"));
        assert_true(i != 3 || rename(from, path_of("a.ts")) == 0);
    }
    append("a.ts", size, 3); /* written before it was said that nothing follows */
    d.growing = false;
    assert_false(wire_read(fd, all, SIZE_MAX));
    wire_parse(all, &a);
    assert_true(a.whole);
    assert_pattern(a.body, 0, size + 3);
    wire_done(&a);
    wire_close(fd);
    g_string_free(all, TRUE);
    wait_idle();
    assert_true(td_files_counts(d.files).bytes == size + 3);
    assert_int_equal(td_files_counts(d.files).broken, 0);
    close_server();
}

/* RFC 8673: the end of what is live is a very large number. */
static void test_follow_from_the_middle(void **state)
{
    (void)state;
    open_server(td_fs_posix(), 0);
    static const struct {
        const char *fields;
        const char *range;
        size_t from;
        size_t end;
    } rows[] = {
        {"Range: bytes=900-\r\n", "bytes 900-9007199254740991/*", 900, 1200},
        {"Range: bytes=-10\r\n", "bytes 990-9007199254740991/*", 990, 1200},
        {"Range: bytes=-0\r\n", "bytes 1000-9007199254740991/*", 1000, 1200},
        {"Range: bytes=1000-\r\n", "bytes 1000-9007199254740991/*", 1000, 1200},
        {"Range: bytes=900-1099\r\n", "bytes 900-1099/*", 900, 1100},
        {"Range: bytes=10-20\r\n", "bytes 10-20/*", 10, 21},
        {"Range: bytes=10-5000\r\n", "bytes 10-5000/*", 10, 1200},
        {"Range: bytes=10-99999999999999999999\r\n", "bytes 10-9007199254740991/*", 10, 1200},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct wire_answer a;
        GString *all = g_string_new(NULL);
        d.growing = true;
        append("a.ts", 0, 1000);
        int fd = begin("a.ts?follow=1", rows[i].fields);
        read_until(fd, all, 0, &a);
        wire_expect(&a, 206, NULL);
        assert_string_equal(wire_field(&a, "Content-Range"), rows[i].range);
        wire_done(&a);
        append("a.ts", 1000, 200);
        d.growing = false;
        assert_false(wire_read(fd, all, SIZE_MAX));
        wire_parse(all, &a);
        assert_true(a.whole);
        assert_pattern(a.body, rows[i].from, rows[i].end - rows[i].from);
        wire_done(&a);
        wire_close(fd);
        g_string_free(all, TRUE);
        wait_idle();
        assert_int_equal(unlink(path_of("a.ts")), 0);
    }
    struct wire_answer a;
    append("a.ts", 0, 1000);
    d.growing = true;
    get("a.ts?follow=1", "Range: bytes=1001-\r\n", &a);
    wire_expect(&a, 416, "bad_range");
    wire_done(&a);
    wait_idle();
    close_server();
}

static void test_follow_variants(void **state)
{
    (void)state;
    open_server(td_fs_posix(), 0);
    struct wire_answer a;
    append("a.ts", 0, 1000);
    get("a.ts?follow=1", "", &a); /* finished: as without */
    wire_expect(&a, 200, NULL);
    assert_string_equal(wire_field(&a, "Content-Length"), "1000");
    assert_non_null(wire_field(&a, "ETag"));
    wire_done(&a);
    d.growing = true;
    get("a.ts?follow=0", "", &a);
    assert_string_equal(wire_field(&a, "Content-Length"), "1000");
    wire_done(&a);
    wire_call(td_http_address(d.http), "HEAD", "/files/a.ts?follow=1", "", &a);
    wire_expect(&a, 200, NULL);
    assert_null(wire_field(&a, "Content-Length"));
    wire_done(&a);
    /* HTTP/1.0 has no chunks: the end is the end of the connection. */
    GString *all = g_string_new(NULL);
    int fd = wire_connect(td_http_address(d.http));
    const char *const text = "GET /files/a.ts?follow=1 HTTP/1.0\r\nHost: localhost\r\n\r\n";
    assert_true(wire_send(fd, text, strlen(text)));
    read_until(fd, all, 1000, &a);
    assert_null(wire_field(&a, "Transfer-Encoding"));
    wire_done(&a);
    append("a.ts", 1000, 10);
    d.growing = false;
    assert_false(wire_read(fd, all, SIZE_MAX));
    wire_parse(all, &a);
    assert_pattern(a.body, 0, 1010);
    wire_done(&a);
    wire_close(fd);
    g_string_free(all, TRUE);
    wait_idle();
    close_server();
}

/* ---- what goes wrong ---- */

static void truncate_to(const char *name, off_t size)
{
    assert_int_equal(truncate(path_of(name), size), 0);
}

/* Larger than what sockets hold. */
#define SPARSE_BYTES (64u << 20)

static void test_cut_short(void **state)
{
    (void)state;
    open_server(td_fs_posix(), 0);
    struct wire_answer a;
    GString *all = g_string_new(NULL);
    append("a.ts", 0, 1);
    truncate_to("a.ts", SPARSE_BYTES);
    int fd = begin("a.ts", "");
    assert_true(wire_read(fd, all, 100));
    truncate_to("a.ts", 1u << 20);
    assert_false(wire_read(fd, all, SIZE_MAX));
    wire_parse(all, &a);
    assert_int_equal(a.status, 200);
    assert_false(a.whole); /* and it shows */
    assert_true(a.body->len < SPARSE_BYTES);
    wire_done(&a);
    wire_close(fd);
    wait_idle();
    assert_int_equal(td_files_counts(d.files).broken, 1);
    /* A followed one that lost what was sent. */
    d.growing = true;
    g_string_truncate(all, 0);
    fd = begin("a.ts?follow=1", "");
    read_until(fd, all, 1u << 20, &a);
    wire_done(&a);
    truncate_to("a.ts", 10);
    assert_false(wire_read(fd, all, SIZE_MAX));
    wire_parse(all, &a);
    assert_false(a.whole);
    wire_done(&a);
    wire_close(fd);
    wait_idle();
    assert_int_equal(td_files_counts(d.files).broken, 2);
    g_string_free(all, TRUE);
    close_server();
}

/* Each call to the disk fails once: an answer, or an end that shows, and nothing stays behind. */
static void test_failing_disk(void **state)
{
    (void)state;
    struct td_fs_fault fault;
    struct td_fs *fs = td_fs_fault_init(&fault, td_fs_posix());
    open_server(fs, 0);
    append("a.ts", 0, 1000);
    unsigned answered = 0;
    unsigned cut = 0;
    unsigned fine = 0;
    for (uint64_t at = 1; fine < 2; at++) {
        struct wire_answer a;
        size_t before = open_descriptors();
        fault.calls = 0;
        fault.error = -EIO;
        fault.fail_at = at;
        get("a.ts", "", &a);
        wait_idle();
        answered += a.status == 500;
        cut += a.status == 0;
        fine += a.status == 200 && a.whole;
        assert_int_equal(answered + cut + fine, at);
        wire_done(&a);
        assert_true(at < 20);
        /* A close that fails leaves it to the wrapped one whether it is open. */
        assert_true(open_descriptors() <= before + (fault.calls == at));
    }
    assert_int_equal(answered, 3); /* stat, open, fstat */
    assert_int_equal(cut, 2);      /* fstat, read */
    close_server();
}

static void test_client_leaves(void **state)
{
    (void)state;
    open_server(td_fs_posix(), 400000);
    size_t before = open_descriptors();
    append("a.ts", 0, 1);
    truncate_to("a.ts", SPARSE_BYTES);
    GString *all = g_string_new(NULL);
    for (unsigned i = 0; i < 6; i++) {
        d.growing = i >= 2;
        int fd =
            begin(d.growing ? "a.ts?follow=1&x=y" : "a.ts", i >= 4 ? "Range: bytes=-0\r\n" : "");
        if (i % 2 == 0) /* in the middle of it, or, when nothing comes, while it waits */
            assert_true(wire_read(fd, all, all->len + 50));
        wire_close(fd);
        wait_idle();
    }
    assert_int_equal(td_files_counts(d.files).broken, 0);
    assert_int_equal(open_descriptors(), before);
    g_string_free(all, TRUE);
    close_server();
}

static void test_slow_client(void **state)
{
    (void)state;
    open_server(td_fs_posix(), 300000);
    append("a.ts", 0, 1);
    truncate_to("a.ts", SPARSE_BYTES);
    for (unsigned i = 0; i < 2; i++) {
        d.growing = i == 1;
        int fd = begin("a.ts?follow=1", "");
        while (td_http_counts(d.http).too_slow == i)
            (void)g_main_context_iteration(NULL, TRUE);
        wait_idle(); /* its file is closed, though the client still holds on */
        wire_close(fd);
    }
    /* One that only has nothing to get is left alone. */
    int fd = begin("a.ts?follow=1", "Range: bytes=-0\r\n");
    GString *all = g_string_new(NULL);
    assert_true(wire_read(fd, all, 50));
    d.asked = 0;
    while (d.asked < 10)
        (void)g_main_context_iteration(NULL, TRUE);
    assert_int_equal(td_files_counts(d.files).streams, 1);
    assert_int_equal(td_http_counts(d.http).too_slow, 2);
    wire_close(fd);
    wait_idle();
    g_string_free(all, TRUE);
    close_server();
}

static void test_as_many_as_may_be(void **state)
{
    (void)state;
    open_server(td_fs_posix(), 0);
    int fds[TD_FILES_STREAMS_MAX];
    GString *all = g_string_new(NULL);
    struct wire_answer a;
    d.growing = true;
    append("a.ts", 0, 10);
    for (unsigned i = 0; i < TD_FILES_STREAMS_MAX; i++) {
        fds[i] = begin("a.ts?follow=1", "");
        while (td_files_counts(d.files).streams <= i)
            (void)g_main_context_iteration(NULL, TRUE);
    }
    get("a.ts", "", &a);
    wire_expect(&a, 503, "too_many_streams");
    assert_string_equal(wire_field(&a, "Retry-After"), "5");
    wire_done(&a);
    assert_int_equal(td_files_counts(d.files).refused, 1);
    append("a.ts", 10, 90);
    d.growing = false;
    for (unsigned i = 0; i < TD_FILES_STREAMS_MAX; i++) {
        g_string_truncate(all, 0);
        assert_false(wire_read(fds[i], all, SIZE_MAX));
        wire_parse(all, &a);
        assert_true(a.whole);
        assert_pattern(a.body, 0, 100);
        wire_done(&a);
        wire_close(fds[i]);
    }
    wait_idle();
    get("a.ts", "", &a);
    wire_expect(&a, 200, NULL);
    wire_done(&a);
    g_string_free(all, TRUE);
    close_server();
}

/* Either of the two goes first, in the middle of answers of all kinds. */
static void test_free_while_sending(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        open_server(td_fs_posix(), 0);
        int fds[9];
        append("a.ts", 0, 1);
        truncate_to("a.ts", SPARSE_BYTES);
        for (unsigned k = 0; k < 9; k++) {
            d.growing = k % 3 == 0;
            fds[k] = begin("a.ts?follow=1", k % 3 == 1 ? "" : "Range: bytes=-1\r\n");
            if (k < 6) /* the last ones are just being opened */
                wire_wait_readable(fds[k]);
        }
        if (i == 1)
            d.http = td_http_free(d.http);
        d.files = td_files_free(d.files);
        for (unsigned k = 0; k < 9; k++)
            wire_close(fds[k]);
        close_server();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_validators),
        cmocka_unit_test(test_growing),
        cmocka_unit_test(test_follow),
        cmocka_unit_test(test_follow_from_the_middle),
        cmocka_unit_test(test_follow_variants),
        cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_failing_disk),
        cmocka_unit_test(test_client_leaves),
        cmocka_unit_test(test_slow_client),
        cmocka_unit_test(test_as_many_as_may_be),
        cmocka_unit_test(test_free_while_sending),
    };
    return cmocka_run_group_tests_name("api/files", tests, NULL, NULL);
}
