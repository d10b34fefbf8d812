/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config: the daemon's settings: one YAML file, TAPEDECK_* environment over it, flags over that.
 * Owner: the serve command; strings and lists are inside and freed by td_config_done.
 * Thread: main.
 * Bound: TD_CONFIG_BYTES_MAX of a file, TD_CONFIG_LIST_MAX entries of a list.
 * Does not: open anything it names. Unknown keys, wrong types and values out of range are refused
 *           with file, line and key; secrets are never printed.
 *
 * docs/configuration.md is made from the same table of rows. All times are microseconds here.
 */
#ifndef TD_CONFIG_CONFIG_H
#define TD_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/limits.h"

#define TD_CONFIG_BYTES_MAX (1u << 20)
#define TD_CONFIG_LIST_MAX 64u

/* api_keys and whip.tokens: who may come in, and to which rooms. */
struct td_config_key {
    char *key;   /* secret */
    char *rooms; /* pattern (base/glob.h); NULL = all */
};

struct td_config_webhook {
    char *url;
    char *api_key;    /* signs; NULL = the daemon's LiveKit key and secret */
    char *api_secret; /* secret */
    char *rooms;      /* pattern; NULL = all */
};

struct td_config_rule { /* auto_record */
    char *room;         /* pattern */
    char *participant;  /* pattern: only these are recorded; NULL = all */
    char *format;       /* NULL = the default */
    char *tier;         /* NULL = the default */
};

struct td_config_quota { /* disk.quotas */
    char *room;          /* pattern */
    int64_t max_bytes;
};

enum td_config_policy { /* disk.policy: below min_free_bytes */
                        TD_POLICY_STOP_NEW,
                        TD_POLICY_DROP_OLDEST,
                        TD_POLICY_STOP_ALL,
};

enum td_config_on_full { /* disk.on_full: a running recording finds no space */
                         TD_ON_FULL_END,
                         TD_ON_FULL_PAUSE,
};

enum td_config_on_gap { /* limits.on_gap */
                        TD_ON_GAP_STOP,
                        TD_ON_GAP_WAIT,
};

enum td_config_on_shutdown {
    TD_ON_SHUTDOWN_FINISH,
    TD_ON_SHUTDOWN_INTERRUPT,
};

/* Lists are an array and its count. */
struct td_config_keys {
    struct td_config_key *items;
    size_t count;
};
struct td_config_webhooks {
    struct td_config_webhook *items;
    size_t count;
};
struct td_config_rules {
    struct td_config_rule *items;
    size_t count;
};
struct td_config_quotas {
    struct td_config_quota *items;
    size_t count;
};
struct td_config_texts {
    char **items;
    size_t count;
};

struct td_config {
    char *listen;      /* "127.0.0.1:8000" */
    char *data_dir;    /* "tapedeck-data" */
    char *runtime_dir; /* NULL = the crash pool's own choice */
    char *log_level;   /* "info" */
    /* LiveKit's own names (design section 12). LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET
     * are read too, below TAPEDECK_WS_URL and so on. */
    char *ws_url;
    char *api_key;
    char *api_secret; /* secret */
    struct td_config_keys api_keys;
    struct td_config_texts formats; /* that callers may ask for, the default first; ["auto", "ts",
                                       "mkv"]; names are checked by the serve command */
    struct td_config_texts tiers;   /* the same; ["source"] */
    int64_t flush_bytes;            /* 256K; 64K to 16M */
    int64_t flush_interval_us;      /* key flush_interval_ms, 400; 10 to 10000 */
    int64_t sync_interval_us;       /* key sync_interval, seconds, 5; 0 = each flush; -1 = off */
    int64_t key_frame_interval_us;  /* key key_frame_interval_s, 10; 0 = off */
    int64_t crash_pool_bytes;       /* 16M; 1M to 4G */
    bool loopback_only;             /* key loopback: media on 127.0.0.1 only */
    bool resume;                    /* true: interrupted recordings go on */
    enum td_config_on_shutdown on_shutdown; /* finish | interrupt */
    struct {
        int64_t max_recordings;       /* 512; 1 to 512 */
        int64_t memory_limit_bytes;   /* key memory_limit_mb, of one recording, 64; 8 to 4096 */
        int64_t process_memory_bytes; /* key process_memory_mb, 1024; 32 to 65536 */
        int64_t max_duration_us;      /* key max_duration_s, 0 = none */
        int64_t max_size_bytes;       /* 0 = none */
        int64_t gap_limit_us;         /* key gap_limit_s, 60; 0 = none */
        enum td_config_on_gap on_gap; /* stop | wait */
        int64_t departure_timeout_us; /* key departure_timeout_s, 20; 0 = wait for ever */
        int64_t empty_timeout_us;     /* key empty_timeout_s, 300; 0 = wait for ever */
        int64_t resume_window_us;     /* key resume_window_s, 60; 0 to 86400 */
        int64_t max_connections;      /* HTTP, 1024; 16 to 65536 */
    } limits;
    struct {
        int64_t min_free_bytes;         /* 256M; 0 = not watched */
        enum td_config_policy policy;   /* stop_new | drop_oldest | stop_all */
        enum td_config_on_full on_full; /* end | pause */
        int64_t reserve_bytes;          /* 4M: kept so that the last words find space; 0 = none */
        int64_t max_age_us;             /* key retention.max_age_s (also "30d"), 0 = keep */
        int64_t max_total_bytes;        /* key retention.max_bytes, 0 = no limit */
        struct td_config_quotas quotas;
    } disk;
    struct {
        bool record; /* true */
        struct td_config_keys tokens;
    } whip;
    struct td_config_webhooks webhooks;
    struct td_config_rules auto_record;
    struct td_config_texts cors_origins; /* key http.cors_origins; empty = CORS off */
};

/* Defaults. -ENOMEM. */
TD_MUST int td_config_init(struct td_config *c);
void td_config_done(struct td_config *c);
/* Lays a YAML file over `c`; -TD_E_USAGE with "FILE:LINE: KEY: sentence", -errno of reading. An
 * empty file is fine. After a failure `c` may be half-changed; only td_config_done is allowed. */
TD_MUST int td_config_load(struct td_config *c, const char *path, struct td_fail *ret_fail);
/* Lays the environment over `c`: TAPEDECK_ and the key in capitals with '_' for '.':
 * TAPEDECK_LIMITS_GAP_LIMIT_S. Scalars only. An unknown TAPEDECK_* variable is refused, but for
 * TAPEDECK_TOKEN (the serve command's) and others the caller names. */
TD_MUST int td_config_environment(struct td_config *c, char *const *environment,
                                  const char *const *known, size_t known_count,
                                  struct td_fail *ret_fail);
/* What only makes sense together; -TD_E_USAGE with the key. (An entry of api_keys without a key, a
 * webhook without url, api_key without api_secret, a whole list …) */
TD_MUST int td_config_check(const struct td_config *c, struct td_fail *ret_fail);
/* The effective settings as YAML that td_config_load reads again, with "(secret)" in place of each
 * secret. -EIO of the stream. */
TD_MUST int td_config_print(const struct td_config *c, FILE *out);
/* SIGHUP: takes over from `fresh` (which is consumed: its strings move) what may change while the
 * daemon runs; `kept` hears the key of each row that differs but cannot be reloaded. */
void td_config_reload(struct td_config *c, struct td_config *fresh,
                      void (*kept)(void *ctx, const char *key), void *ctx);

/* For documents and completion: every row. */
struct td_config_row_text {
    const char *key;     /* "limits.gap_limit_s", "api_keys[].key" */
    const char *type;    /* "seconds", "bytes", "text", "stop_new | drop_oldest | stop_all" … */
    const char *initial; /* default, as written in YAML */
    bool reload;
    bool secret;
    const char *help;
};
void td_config_rows(void (*each)(void *ctx, const struct td_config_row_text *row), void *ctx);

#endif
