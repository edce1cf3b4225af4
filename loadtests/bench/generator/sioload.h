/* What the parts of sioload share: options, the memory that workers and their parent look at, connections. */
#ifndef SIOLOAD_H
#define SIOLOAD_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "histogram.h"

#define MAX_WORKERS 64
#define MAX_TARGETS 64
#define MAX_PIDS 64
#define RBUF (256 * 1024)
#define SENT_RING (1u << 16) /* publishes whose time is remembered */
#define MAX_DEPTH 16

/* ---- options ---- */

enum mode { M_FANOUT, M_ECHO, M_CONNECT };
enum winby { W_DELIVER, W_ACK };

typedef struct {
    int pid[MAX_PIDS], count;
} pids_t;

typedef struct {
    enum mode mode;
    const char *mode_name;
    int n, procs, conc, payload, window, depth, slow, slow_rcvbuf, src_count, pubs;
    enum winby winby;
    double rate, connect_rate, warmup, dur, settle, idle, drain, connect_timeout;
    const char *path, *ns, *auth, *body, *event, *query;
    char *headers;
    char **auths;
    int nauths;
    bool fin_close, want_ack, ok_acks, counted, deaf, spin, quickack;
    struct sockaddr_in target[MAX_TARGETS];
    char target_name[MAX_TARGETS][64];
    int ntargets;
    pids_t server, friends;
} config_t;

extern config_t C;
void read_options(int argc, char **argv);

/* Connections that hear what is published. */
static inline uint64_t receivers(void)
{
    return (uint64_t)(C.n - C.slow - (C.deaf ? C.pubs : 0));
}

/* ---- what the workers tell ---- */

enum phase { P_CONNECT, P_SETTLE, P_WARMUP, P_MEASURE, P_DRAIN, P_EXIT };

typedef struct {
    _Atomic uint64_t joined, failed, closed, slow_closed, turned_away;
    _Atomic uint64_t delivered; /* all phases */
    _Atomic uint64_t measured;  /* deliveries or acks in the measured phase */
    _Atomic uint64_t published, acked;
    _Atomic uint64_t published_measured;
    _Atomic uint64_t gaps, dups, bytes, reads, pings, errors, refused, ignored;
    _Atomic uint64_t idle_ns; /* spinning without work in the measured phase */
    hist_t lat, conn;
} wstat_t;

typedef struct {
    _Atomic int phase;
    _Atomic uint64_t sent_at[SENT_RING]; /* when the k-th publish was (to be) sent */
    wstat_t w[MAX_WORKERS];
} shared_t;

extern shared_t *S;
extern wstat_t *W; /* this worker's */
extern int w_index;

#define GET(field) atomic_load_explicit(&(field), memory_order_relaxed)
#define PUT(field, v) atomic_store_explicit(&(field), (v), memory_order_relaxed)
/* single writer: a plain load + store avoids the locked instruction */
#define INC(field, v) PUT(field, GET(field) + (v))

/* ---- connections ---- */

enum cstate { C_IDLE, C_CONNECTING, C_HTTP, C_OPEN, C_NS, C_JOINED, C_DEAD };

typedef struct {
    int fd;
    uint8_t state, slow, deaf, want_out;
    uint32_t id; /* global index */
    uint32_t next_ack, heard;
    uint32_t in_len, in_cap, out_len, out_cap;
    uint8_t *in, *out;
    uint64_t t0, due; /* due: turned away, comes back then */
    uint64_t *asked; /* echo: when each request in flight was (to be) sent */
} conn_t;

extern conn_t *conns;
extern int nconns, inflight, started, ep;
extern uint8_t *rbuf;

static inline uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
uint32_t random_bits(void);

/* connections.c */
void conn_start(conn_t *c);
void conn_joined(conn_t *c);
void conn_kill(conn_t *c, bool failed);
void conn_again(conn_t *c, double seconds);
void conn_arm(conn_t *c, bool out);
void conn_write(conn_t *c, const void *p, size_t n);
void conn_flush(conn_t *c);

/* wire.c */
void wire_init(void);
void ws_send(conn_t *c, uint8_t op, const char *p, size_t n);
void conn_upgrade(conn_t *c);
void conn_read(conn_t *c, int phase);
size_t body_build(char *b, int64_t ack, uint64_t t, uint32_t seq);
size_t body_most(void);

/* traffic.c */
extern uint64_t next_pub;
void traffic_pump(int phase);
void echo_one(conn_t *c, uint64_t t);
void on_event(conn_t *c, const uint8_t *p, size_t n, uint64_t t, int phase);
void on_ack(conn_t *c, const uint8_t *p, size_t n, uint64_t t, int phase);

/* worker.c */
void worker_main(int index) __attribute__((noreturn));

/* machine.c */
double cpu_of(const pids_t *p);
double cpu_seconds(int pid);
long kb_of(const pids_t *p, const char *file, const char *key);
long descriptors_of(const pids_t *p);
long available_kb(void);
double machine_seconds(double *busy);

#endif
