/* SPDX-License-Identifier: Apache-2.0 */
#include "api/head.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define METHOD_BYTES_MAX 32u
#define LENGTH_DIGITS_MAX 18u /* of a Content-Length; more do not fit a file either */

/* [at, end). */
struct text {
    const char *at;
    const char *end;
};

/* Fields of which there may be one. */
enum single {
    HOST,
    CONTENT_LENGTH,
    TRANSFER_ENCODING,
    AUTHORIZATION,
    CONTENT_TYPE,
    EXPECT,
    ORIGIN,
    SINGLES,
};

static const char *const single_names[SINGLES] = {
    [HOST] = "Host",
    [CONTENT_LENGTH] = "Content-Length",
    [TRANSFER_ENCODING] = "Transfer-Encoding",
    [AUTHORIZATION] = "Authorization",
    [CONTENT_TYPE] = "Content-Type",
    [EXPECT] = "Expect",
    [ORIGIN] = "Origin",
};

struct head {
    bool old; /* HTTP/1.0 */
    bool has[SINGLES];
};

static size_t len_of(struct text t)
{
    return (size_t)(t.end - t.at);
}

/* In any case. */
static bool is(struct text t, const char *word)
{
    return len_of(t) == strlen(word) && strncasecmp(t.at, word, len_of(t)) == 0;
}

static bool is_exactly(struct text t, const char *word)
{
    return len_of(t) == strlen(word) && memcmp(t.at, word, len_of(t)) == 0;
}

/* The bytes of `t` up to the first `stop`, which is taken too; all when there is none. */
static struct text cut(struct text *t, char stop)
{
    const char *found = memchr(t->at, stop, len_of(*t));
    struct text first = {t->at, found != NULL ? found : t->end};
    t->at = found != NULL ? found + 1 : t->end;
    return first;
}

static bool is_digits(struct text t)
{
    for (const char *p = t.at; p < t.end; p++) {
        if (*p < '0' || *p > '9')
            return false;
    }
    return t.at < t.end;
}

/* RFC 9110 section 5.6.2 */
static bool is_token(struct text t)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";
    for (const char *p = t.at; p < t.end; p++) {
        bool letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z');
        if (!letter && (*p < '0' || *p > '9') && memchr(marks, *p, sizeof(marks) - 1) == NULL)
            return false;
    }
    return t.at < t.end;
}

/* No control characters; with `spaced` the blank ones may be in it. */
static bool is_printable(struct text t, bool spaced)
{
    for (const char *p = t.at; p < t.end; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == 0x7f || (c < ' ' && !(spaced && c == '\t')) || (c == ' ' && !spaced))
            return false;
    }
    return true;
}

/* A line without its end: LF, or CR LF. */
static struct text next_line(struct text *rest)
{
    struct text line = cut(rest, '\n');
    if (line.at < line.end && line.end[-1] == '\r')
        line.end--;
    return line;
}

static struct text trim(struct text t)
{
    while (t.at < t.end && (*t.at == ' ' || *t.at == '\t'))
        t.at++;
    while (t.at < t.end && (t.end[-1] == ' ' || t.end[-1] == '\t'))
        t.end--;
    return t;
}

/* "." or "..", escaped or not: they are for clients to resolve. */
static bool is_dots(struct text segment)
{
    static const char escaped[] = "%2e";
    const size_t len = sizeof(escaped) - 1;
    unsigned dots = 0;
    while (segment.at < segment.end && dots <= 2) {
        bool plain = *segment.at == '.';
        if (!plain && (len_of(segment) < len || strncasecmp(segment.at, escaped, len) != 0))
            return false;
        segment.at += plain ? 1 : len;
        dots++;
    }
    return dots == 1 || dots == 2;
}

static bool has_dot_segment(struct text target)
{
    struct text path = cut(&target, '?');
    while (path.at < path.end) {
        if (is_dots(cut(&path, '/')))
            return true;
    }
    return false;
}

static unsigned check_version(struct text version, bool *ret_old)
{
    *ret_old = is_exactly(version, "HTTP/1.0");
    if (*ret_old || is_exactly(version, "HTTP/1.1"))
        return TD_HEAD_WHOLE;
    struct text minor = version;
    struct text name = cut(&minor, '/');
    struct text major = cut(&minor, '.');
    return is_exactly(name, "HTTP") && is_digits(major) && is_digits(minor) ? 505 : 400;
}

static unsigned check_request_line(struct text line, struct head *head)
{
    struct text rest = line;
    struct text method = cut(&rest, ' ');
    struct text target = cut(&rest, ' ');
    if (!is_token(method) || len_of(method) > METHOD_BYTES_MAX || target.at == target.end ||
        !is_printable(target, false))
        return 400;
    unsigned answer = check_version(rest, &head->old);
    return answer == TD_HEAD_WHOLE && has_dot_segment(target) ? 400 : answer;
}

static unsigned check_single(enum single which, struct text value, const struct head *head)
{
    switch (which) {
    case CONTENT_LENGTH:
        return is_digits(value) && len_of(value) <= LENGTH_DIGITS_MAX ? TD_HEAD_WHOLE : 400;
    case TRANSFER_ENCODING:
        return head->old ? 400 : is(value, "chunked") ? TD_HEAD_WHOLE : 501;
    case EXPECT:
        return is(value, "100-continue") ? TD_HEAD_WHOLE : 417;
    default:
        return TD_HEAD_WHOLE;
    }
}

static unsigned check_field(struct text line, struct head *head)
{
    struct text value = line;
    struct text name = cut(&value, ':');
    /* A line that goes on with the one before begins with a blank, and has no name. */
    if (name.end == line.end || !is_token(name) || !is_printable(value, true))
        return 400;
    for (unsigned i = 0; i < SINGLES; i++) {
        if (!is(name, single_names[i]))
            continue;
        if (head->has[i])
            return 400;
        head->has[i] = true;
        return check_single((enum single)i, trim(value), head);
    }
    return TD_HEAD_WHOLE;
}

static unsigned check_all(struct text rest)
{
    struct head head = {.old = false};
    unsigned answer = check_request_line(next_line(&rest), &head);
    unsigned fields = 0;
    while (answer == TD_HEAD_WHOLE && rest.at < rest.end) {
        answer = check_field(next_line(&rest), &head);
        if (++fields > TD_HEAD_FIELDS_MAX)
            return 431;
    }
    if (answer != TD_HEAD_WHOLE)
        return answer;
    /* Two lengths: whoever stands in front of us may have believed the other one. */
    bool two_lengths = head.has[CONTENT_LENGTH] && head.has[TRANSFER_ENCODING];
    return two_lengths || (!head.old && !head.has[HOST]) ? 400 : TD_HEAD_WHOLE;
}

/* The empty line; NULL = not there yet. */
static const char *find_end(const char *bytes, size_t len, size_t seen)
{
    const char *end = bytes + len;
    const char *at = bytes + (seen > 3 ? seen - 3 : 0);
    while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        at++;
        if (at < end && *at == '\n')
            return at;
        if (end - at >= 2 && at[0] == '\r' && at[1] == '\n')
            return at;
    }
    return NULL;
}

unsigned td_head_check(const char *bytes, size_t len, size_t seen)
{
    const char *end = find_end(bytes, len, seen);
    if (end != NULL)
        return (size_t)(end - bytes) < TD_HEAD_BYTES_MAX ? check_all((struct text){bytes, end})
                                                         : 431;
    /* What cannot become a request is not waited for. */
    if (len > 0 && !is_token((struct text){bytes, bytes + 1}))
        return 400;
    return len >= TD_HEAD_BYTES_MAX ? 431 : TD_HEAD_PARTIAL;
}
