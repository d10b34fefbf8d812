/* SPDX-License-Identifier: Apache-2.0 */
#include "api/files.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/range.h"
#include "base/clock.h"
#include "base/limits.h"

#define GROWING ".recording"
#define ETAG_MAX 64u
#define ID_MAX 64u
/* Stands for the end of what has none yet (RFC 8673 section 2.2): the largest number that all
 * clients count to exactly. */
#define END_UNKNOWN ((UINT64_C(1) << 53) - 1)

enum job {
    JOB_OPEN,
    JOB_READ,
    JOB_CLOSE,
};

/* One answer. What the pool works on is left alone while `busy`. */
struct stream {
    struct td_files *files;
    struct stream *next;
    struct stream *prev;
    SoupServerMessage *message; /* NULL once it is finished */
    guint timer;
    bool busy;
    bool follow;
    bool over; /* it does not grow any more */
    bool done; /* there is nothing more to read */
    char folder[TD_PATH_MAX];
    char name[TD_PATH_MAX];
    char recording_id[ID_MAX];
    /* the job and what came of it */
    enum job job;
    int result;
    int handle;
    struct td_fs_stat stat;
    uint64_t offset;
    uint64_t end; /* exclusive */
    uint8_t *bytes;
    size_t len;
};

struct td_files {
    struct td_files_config config;
    GThreadPool *pool;
    GAsyncQueue *results;
    GSourceFuncs wake_funcs;
    GSource *wake;
    struct stream *first;
    struct td_files_counts counts;
};

static const struct {
    const char *extension;
    const char *type;
} types[] = {
    {".ts", "video/mp2t"},
    {".mkv", "video/x-matroska"},
    {".mp4", "video/mp4"},
    {".m4s", "video/iso.segment"},
    {".webm", "video/webm"},
    {".ogg", "audio/ogg"},
    {".m3u8", "application/vnd.apple.mpegurl"},
    {".json", "application/json"},
    {".jsonl", "application/x-ndjson"},
    {".jpg", "image/jpeg"},
    {".png", "image/png"},
};

static const char *type_of(const char *name)
{
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot != NULL && i < sizeof(types) / sizeof(*types); i++) {
        if (strcmp(types[i].extension, dot) == 0)
            return types[i].type;
    }
    return "application/octet-stream";
}

/* ---- the I/O pool ---- */

/* A plain file: never a link, a folder, or something that could make us wait. */
static int open_plain(struct stream *s)
{
    struct td_fs *fs = s->files->config.fs;
    char path[2 * TD_PATH_MAX];
    struct td_fs_stat before;
    (void)snprintf(path, sizeof(path), "%s/%s", s->folder, s->name);
    int err = td_fs_stat_path(fs, path, &before);
    if (err < 0 || !before.is_file)
        return err < 0 && err != -ENOTDIR && err != -ENAMETOOLONG ? err : -ENOENT;
    int handle = td_fs_open(fs, path, TD_FS_READ | TD_FS_NOFOLLOW, 0);
    if (handle < 0)
        return handle == -ELOOP ? -ENOENT : handle;
    err = td_fs_fstat(fs, handle, &s->stat);
    if (err == 0 && s->stat.is_file && s->stat.ino == before.ino && s->stat.dev == before.dev) {
        s->handle = handle;
        return 0;
    }
    int closed = td_fs_close(fs, handle);
    return err < 0 ? err : closed < 0 ? closed : -ENOENT;
}

/* Cuts ".recording" out of NAME.recording.EXT. */
static bool drop_growing(char *name)
{
    const size_t len = sizeof(GROWING) - 1;
    const size_t end = strlen(name);
    const char *dot = strrchr(name, '.');
    const size_t at = dot != NULL ? (size_t)(dot - name) : 0;
    if (at <= len || memcmp(name + at - len, GROWING, len) != 0)
        return false;
    memmove(name + at - len, name + at, end - at + 1);
    return true;
}

static int job_open(struct stream *s)
{
    int err = open_plain(s);
    /* It may have got its final name a moment ago. */
    return err == -ENOENT && drop_growing(s->name) ? open_plain(s) : err;
}

/* The next chunk; none at the end of the file. -TD_E_DAMAGED: what was sent is not there any more.
 */
static int job_read(struct stream *s)
{
    struct td_fs *fs = s->files->config.fs;
    int err = td_fs_fstat(fs, s->handle, &s->stat);
    uint64_t end = s->stat.size < s->end ? s->stat.size : s->end;
    if (err < 0 || end <= s->offset)
        return err < 0 ? err : s->stat.size < s->offset ? -TD_E_DAMAGED : 0;
    uint64_t left = end - s->offset;
    size_t len = left < TD_FILES_CHUNK_BYTES ? (size_t)left : TD_FILES_CHUNK_BYTES;
    uint8_t *bytes = malloc(len);
    if (bytes == NULL)
        return -ENOMEM;
    int64_t n = td_fs_pread(fs, s->handle, bytes, len, s->offset);
    if (n <= 0) {
        free(bytes);
        return (int)n;
    }
    s->bytes = bytes;
    s->len = (size_t)n;
    return 0;
}

static int job_close(struct stream *s)
{
    int handle = s->handle;
    s->handle = -1;
    return handle >= 0 ? td_fs_close(s->files->config.fs, handle) : 0;
}

static void work(gpointer data, gpointer user_data)
{
    static int (*const jobs[])(struct stream * s) = {
        [JOB_OPEN] = job_open,
        [JOB_READ] = job_read,
        [JOB_CLOSE] = job_close,
    };
    struct stream *s = data;
    struct td_files *f = user_data;
    s->result = jobs[s->job](s);
    g_async_queue_push(f->results, s);
    g_source_set_ready_time(f->wake, 0);
}

static void submit(struct stream *s, enum job job)
{
    g_assert(!s->busy);
    s->busy = true;
    s->job = job;
    /* The threads are there from the beginning, so that it cannot fail. */
    (void)g_thread_pool_push(s->files->pool, s, NULL);
}

/* ---- the end of a stream ---- */

static void free_stream(struct stream *s)
{
    struct td_files *f = s->files;
    if (s->prev != NULL)
        s->prev->next = s->next;
    else
        f->first = s->next;
    if (s->next != NULL)
        s->next->prev = s->prev;
    f->counts.streams--;
    free(s->bytes);
    free(s);
}

static void let_go(struct stream *s)
{
    if (s->timer != 0)
        g_source_remove(s->timer);
    s->timer = 0;
    if (s->message == NULL)
        return;
    g_signal_handlers_disconnect_by_data(s->message, s);
    g_clear_object(&s->message);
}

/* The answer is out, or nobody is there to take it. */
static void on_finished(SoupServerMessage *message, gpointer data)
{
    (void)message;
    struct stream *s = data;
    let_go(s);
    if (!s->busy)
        submit(s, JOB_CLOSE);
}

static void break_off(struct stream *s, int error)
{
    s->done = true;
    s->files->counts.broken++;
    td_log_line(s->files->config.log, TD_LOG_WARN,
                "topic=files event=broken_off recording=%s file=%s offset=%" PRIu64 " error=%s",
                s->recording_id, s->name, s->offset, td_err_name(error));
    td_http_cut(s->message);
}

/* ---- reading ---- */

static void complete(struct stream *s)
{
    s->done = true;
    if (s->follow)
        soup_message_body_complete(soup_server_message_get_response_body(s->message));
    soup_server_message_unpause(s->message);
}

static gboolean on_timer(gpointer data)
{
    struct stream *s = data;
    const struct td_files_config *config = &s->files->config;
    s->timer = 0;
    /* Asked before it is read: what comes after the answer is nothing. */
    s->over = !config->growing(config->ctx, s->recording_id, s->name);
    submit(s, JOB_READ);
    return G_SOURCE_REMOVE;
}

static void on_end_of_file(struct stream *s)
{
    if (s->follow && s->over) {
        complete(s);
    } else if (s->follow) {
        soup_server_message_unpause(s->message); /* for the headers, if nothing else */
        s->timer = g_timeout_add(TD_FILES_POLL_MS, on_timer, s);
    } else {
        break_off(s, -TD_E_DAMAGED); /* shorter than was promised */
    }
}

static void on_read(struct stream *s)
{
    if (s->result < 0) {
        break_off(s, s->result);
        return;
    }
    if (s->len == 0) {
        on_end_of_file(s);
        return;
    }
    GBytes *chunk = g_bytes_new_with_free_func(s->bytes, s->len, free, s->bytes);
    s->bytes = NULL;
    s->offset += s->len;
    s->files->counts.bytes += s->len;
    s->len = 0;
    soup_message_body_append_bytes(soup_server_message_get_response_body(s->message), chunk);
    g_bytes_unref(chunk);
    if (s->offset == s->end)
        complete(s);
    else
        soup_server_message_unpause(s->message);
}

/* The chunk is with the socket: room for the next. */
static void on_wrote_chunk(SoupServerMessage *message, gpointer data)
{
    (void)message;
    struct stream *s = data;
    if (!s->done && !s->busy && s->timer == 0)
        submit(s, JOB_READ);
}

/* ---- what is answered ---- */

struct validators {
    char etag[ETAG_MAX]; /* "" = none: it changes while we look */
    int64_t modified_s;
};

static void set_header(const struct stream *s, const char *name, const char *value)
{
    soup_message_headers_replace(soup_server_message_get_response_headers(s->message), name, value);
}

static const char *get_header(const struct stream *s, const char *name)
{
    return soup_message_headers_get_list(soup_server_message_get_request_headers(s->message), name);
}

/* Whether one of an entity-tag list is ours. Weak ones count only in a weak comparison. */
static bool has_etag(const char *list, const char *etag, bool weak)
{
    if (strcmp(list, "*") == 0)
        return true;
    bool found = false;
    GSList *tags = soup_header_parse_list(list);
    for (const GSList *at = tags; at != NULL && etag[0] != '\0'; at = at->next) {
        const char *tag = at->data;
        if (weak && g_str_has_prefix(tag, "W/"))
            tag += 2;
        found = found || strcmp(tag, etag) == 0;
    }
    soup_header_free_list(tags);
    return found;
}

/* Seconds since 1970; false when the header is absent or not a date. */
static bool get_date(const struct stream *s, const char *name, int64_t *ret_s)
{
    const char *value = get_header(s, name);
    GDateTime *date = value != NULL ? soup_date_time_new_from_http_string(value) : NULL;
    if (date == NULL)
        return false;
    *ret_s = g_date_time_to_unix(date);
    g_date_time_unref(date);
    return true;
}

/* RFC 9110 section 13.2.2: 412, 304, or 0 to go on. */
static unsigned precondition(const struct stream *s, const struct validators *v)
{
    int64_t date_s = 0;
    const char *match = get_header(s, "If-Match");
    const char *none_match = get_header(s, "If-None-Match");
    if (match != NULL) {
        if (!has_etag(match, v->etag, false))
            return SOUP_STATUS_PRECONDITION_FAILED;
    } else if (get_date(s, "If-Unmodified-Since", &date_s) && v->modified_s > date_s) {
        return SOUP_STATUS_PRECONDITION_FAILED;
    }
    if (none_match != NULL)
        return has_etag(none_match, v->etag, true) ? SOUP_STATUS_NOT_MODIFIED : 0;
    bool unmodified = get_date(s, "If-Modified-Since", &date_s) && v->modified_s <= date_s;
    return unmodified && v->etag[0] != '\0' ? SOUP_STATUS_NOT_MODIFIED : 0;
}

/* Whether the Range is for what we have (RFC 9110 section 13.1.5). */
static bool range_counts(const struct stream *s, const struct validators *v)
{
    int64_t date_s = 0;
    const char *value = get_header(s, "If-Range");
    if (value == NULL)
        return true;
    if (v->etag[0] == '\0')
        return false;
    if (value[0] == '"' || g_str_has_prefix(value, "W/"))
        return strcmp(value, v->etag) == 0;
    return get_date(s, "If-Range", &date_s) && date_s == v->modified_s;
}

static enum td_range_kind chosen_range(const struct stream *s, const struct validators *v,
                                       struct td_range *ret_range)
{
    const char *value = get_header(s, "Range");
    if (soup_server_message_get_method(s->message) != SOUP_METHOD_GET || !range_counts(s, v))
        return TD_RANGE_WHOLE;
    enum td_range_kind kind = td_range_parse(value, s->stat.size, ret_range);
    /* What is followed may begin with what is not there yet. */
    if (kind == TD_RANGE_OUTSIDE && s->follow && ret_range->first == s->stat.size)
        kind = TD_RANGE_PART;
    return kind;
}

static void answer_range_outside(struct stream *s)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "bytes */%" PRIu64, s->stat.size);
    td_http_problem(s->message, SOUP_STATUS_REQUESTED_RANGE_NOT_SATISFIABLE, "bad_range",
                    "The range begins behind the end of the file.");
    set_header(s, "Content-Range", text);
}

/* 200 or 206: where to begin and end, and what the headers say of it. */
static void answer_bytes(struct stream *s, enum td_range_kind kind, const struct td_range *range)
{
    SoupMessageHeaders *headers = soup_server_message_get_response_headers(s->message);
    uint64_t last = END_UNKNOWN;
    s->offset = 0;
    s->end = s->follow ? END_UNKNOWN + 1 : s->stat.size;
    if (kind == TD_RANGE_PART) {
        char text[96];
        last = !s->follow ? range->last : range->wish < last ? range->wish : last;
        s->offset = range->first;
        s->end = last + 1;
        if (s->follow)
            (void)snprintf(text, sizeof(text), "bytes %" PRIu64 "-%" PRIu64 "/*", s->offset, last);
        else
            (void)snprintf(text, sizeof(text), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, s->offset,
                           last, s->stat.size);
        set_header(s, "Content-Range", text);
    }
    soup_server_message_set_status(
        s->message, kind == TD_RANGE_PART ? SOUP_STATUS_PARTIAL_CONTENT : SOUP_STATUS_OK, NULL);
    set_header(s, "Content-Type", type_of(s->name));
    if (!s->follow)
        soup_message_headers_set_content_length(headers, (goffset)(s->end - s->offset));
    else
        soup_message_headers_set_encoding(
            headers, soup_server_message_get_http_version(s->message) == SOUP_HTTP_1_0
                         ? SOUP_ENCODING_EOF
                         : SOUP_ENCODING_CHUNKED);
    /* Chunks go once they are written, and libsoup leaves ranges to us. */
    soup_message_body_set_accumulate(soup_server_message_get_response_body(s->message), FALSE);
}

static void set_validators(const struct stream *s, bool growing, struct validators *ret_validators)
{
    struct validators v = {.modified_s = s->stat.mtime_us / TD_US_PER_S};
    if (!growing)
        (void)snprintf(v.etag, sizeof(v.etag), "\"%" PRIx64 "-%" PRIx64 "-%" PRIx64 "\"",
                       s->stat.ino, s->stat.size, (uint64_t)s->stat.mtime_us);
    GDateTime *date = g_date_time_new_from_unix_utc(v.modified_s);
    if (date != NULL) {
        char *text = soup_date_time_to_string(date, SOUP_DATE_HTTP);
        set_header(s, "Last-Modified", text);
        g_free(text);
        g_date_time_unref(date);
    }
    if (v.etag[0] != '\0')
        set_header(s, "ETag", v.etag);
    set_header(s, "Accept-Ranges", "bytes");
    set_header(s, "Cache-Control", growing ? "no-store" : "private, no-cache");
    *ret_validators = v;
}

/* Leaves `done` when there is no body to send. */
static void answer(struct stream *s)
{
    const struct td_files_config *config = &s->files->config;
    struct validators v;
    struct td_range range = {.first = 0};
    bool growing = config->growing(config->ctx, s->recording_id, s->name);
    s->follow = s->follow && growing;
    set_validators(s, growing, &v);
    unsigned status = precondition(s, &v);
    enum td_range_kind kind = chosen_range(s, &v, &range);
    s->done = true;
    if (status == SOUP_STATUS_NOT_MODIFIED) {
        soup_server_message_set_status(s->message, status, NULL);
        /* Or libsoup says that the file has no bytes. */
        soup_message_headers_set_encoding(soup_server_message_get_response_headers(s->message),
                                          SOUP_ENCODING_NONE);
    } else if (status != 0) {
        td_http_problem(s->message, status, "changed", "The file is not the one that was meant.");
    } else if (kind == TD_RANGE_OUTSIDE) {
        answer_range_outside(s);
    } else {
        answer_bytes(s, kind, &range);
        s->done = s->offset == s->end ||
                  soup_server_message_get_method(s->message) != SOUP_METHOD_GET;
    }
}

static void no_such_file(SoupServerMessage *message)
{
    td_http_problem(message, SOUP_STATUS_NOT_FOUND, "no_such_file",
                    "The recording has no file of this name.");
}

static void on_opened(struct stream *s)
{
    if (s->result == -ENOENT) {
        no_such_file(s->message);
    } else if (s->result < 0) {
        struct td_fail fail = {.code = 0};
        td_log_line(s->files->config.log, TD_LOG_WARN,
                    "topic=files event=not_opened recording=%s file=%s error=%s", s->recording_id,
                    s->name, td_err_name(s->result));
        (void)td_fail_set(&fail, -EIO, "The file cannot be read: %s.", td_err_text(s->result));
        td_http_fail(s->message, &fail);
    } else {
        answer(s);
        if (!s->done) {
            submit(s, JOB_READ);
            return;
        }
    }
    s->done = true;
    soup_server_message_unpause(s->message);
}

static void on_result(struct stream *s)
{
    s->busy = false;
    if (s->job == JOB_CLOSE) {
        if (s->result < 0)
            td_log_line(s->files->config.log, TD_LOG_WARN,
                        "topic=files event=not_closed recording=%s file=%s error=%s",
                        s->recording_id, s->name, td_err_name(s->result));
        free_stream(s);
    } else if (s->message == NULL) {
        submit(s, JOB_CLOSE);
    } else if (s->job == JOB_OPEN) {
        on_opened(s);
    } else {
        on_read(s);
    }
}

/* ---- beginning ---- */

static bool is_plain_name(const char *name)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    return name[0] != '\0' && name[0] != '.' && name[strspn(name, letters)] == '\0';
}

static struct stream *new_stream(struct td_files *f, const struct td_files_request *request)
{
    struct stream *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return NULL;
    s->files = f;
    s->handle = -1;
    (void)snprintf(s->folder, sizeof(s->folder), "%s", request->folder);
    (void)snprintf(s->name, sizeof(s->name), "%s", request->name);
    (void)snprintf(s->recording_id, sizeof(s->recording_id), "%s", request->recording_id);
    s->next = f->first;
    if (f->first != NULL)
        f->first->prev = s;
    f->first = s;
    f->counts.streams++;
    return s;
}

static void begin(struct td_files *f, SoupServerMessage *message,
                  const struct td_files_request *request, bool follow)
{
    struct stream *s = new_stream(f, request);
    if (s == NULL) {
        td_http_problem(message, SOUP_STATUS_INTERNAL_SERVER_ERROR, "failed", "Out of memory.");
        return;
    }
    s->follow = follow;
    s->message = g_object_ref(message);
    g_signal_connect(message, "wrote-chunk", G_CALLBACK(on_wrote_chunk), s);
    g_signal_connect(message, "finished", G_CALLBACK(on_finished), s);
    soup_server_message_pause(message);
    submit(s, JOB_OPEN);
}

void td_files_serve(struct td_files *f, SoupServerMessage *message,
                    const struct td_files_request *request)
{
    char follow[8];
    if (!td_http_is_get(message)) {
        td_http_method(message, "GET, HEAD");
    } else if (!is_plain_name(request->name) || strlen(request->name) >= TD_PATH_MAX ||
               strlen(request->folder) >= TD_PATH_MAX || strlen(request->recording_id) >= ID_MAX) {
        no_such_file(message);
    } else if (td_http_query(message, "follow", follow, sizeof(follow)) < 0) {
        td_http_problem(message, SOUP_STATUS_BAD_REQUEST, "bad_query", "follow is 1 or absent.");
    } else if (f->counts.streams >= TD_FILES_STREAMS_MAX) {
        f->counts.refused++;
        td_http_problem(message, SOUP_STATUS_SERVICE_UNAVAILABLE, "too_many_streams",
                        "As many files as may be are being read now.");
    } else {
        begin(f, message, request, strcmp(follow, "1") == 0);
    }
}

/* ---- all of them ---- */

struct wake {
    GSource source;
    struct td_files *files;
};

static gboolean on_wake(GSource *source, GSourceFunc callback, gpointer data)
{
    (void)callback;
    (void)data;
    struct td_files *f = ((struct wake *)source)->files;
    /* First, so that a result which comes now wakes us again. */
    g_source_set_ready_time(source, -1);
    for (struct stream *s; (s = g_async_queue_try_pop(f->results)) != NULL;)
        on_result(s);
    return G_SOURCE_CONTINUE;
}

int td_files_new(const struct td_files_config *config, struct td_files **ret_files)
{
    struct td_files *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return -ENOMEM;
    f->config = *config;
    f->results = g_async_queue_new();
    f->wake_funcs = (GSourceFuncs){.dispatch = on_wake};
    f->wake = g_source_new(&f->wake_funcs, sizeof(struct wake));
    ((struct wake *)f->wake)->files = f;
    g_source_attach(f->wake, NULL);
    f->pool = g_thread_pool_new(work, f, (gint)TD_FILES_THREADS_MAX, TRUE, NULL);
    if (f->pool == NULL) {
        td_files_free(f);
        return -EAGAIN;
    }
    *ret_files = f;
    return 0;
}

static void end_stream(struct stream *s)
{
    if (s->message != NULL)
        td_http_cut(s->message);
    let_go(s);
}

struct td_files *td_files_free(struct td_files *f)
{
    if (f == NULL)
        return NULL;
    for (struct stream *s = f->first; s != NULL; s = s->next)
        end_stream(s);
    if (f->pool != NULL)
        g_thread_pool_free(f->pool, FALSE, TRUE);
    g_source_destroy(f->wake);
    g_source_unref(f->wake);
    g_async_queue_unref(f->results);
    while (f->first != NULL) {
        struct stream *s = f->first;
        int err = job_close(s);
        if (err < 0)
            td_log_line(f->config.log, TD_LOG_WARN, "topic=files event=not_closed file=%s error=%s",
                        s->name, td_err_name(err));
        free_stream(s);
    }
    free(f);
    return NULL;
}

struct td_files_counts td_files_counts(const struct td_files *f)
{
    return f->counts;
}
