/* Who publishes when, and what a delivery or an ack tells. */
#include "sioload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t next_pub;
static uint32_t pub_seq;
static char *body;

static void reserve_body(void)
{
    if (!body && !(body = malloc(body_most())))
        die("out of memory");
}

/* ---- publishing ---- */

static void pub_one(uint64_t t)
{
    reserve_body();
    conn_t *c = &conns[pub_seq % (unsigned)C.pubs];
    pub_seq++;
    PUT(S->sent_at[pub_seq % SENT_RING], t);
    INC(W->published, 1); /* before it is sent: another worker may hear it at once */
    size_t n = body_build(body, C.winby == W_ACK || C.want_ack ? (int64_t)pub_seq : -1, t, pub_seq);
    if (c->state == C_JOINED)
        ws_send(c, 1, body, n);
    else
        INC(W->errors, 1);
    if (GET(S->phase) == P_MEASURE)
        INC(W->published_measured, 1);
}

static uint64_t delivered_all(void)
{
    uint64_t s = 0;
    for (int i = 0; i < C.procs; i++)
        s += GET(S->w[i].delivered);
    return s;
}

static bool window_open(void)
{
    uint64_t p = GET(W->published);
    if (C.winby == W_ACK)
        return p - GET(W->acked) < (uint64_t)C.window;
    return p * receivers() < delivered_all() + (uint64_t)C.window * receivers();
}

static void pub_pump(void)
{
    if (w_index != 0)
        return;
    if (C.rate > 0) {
        uint64_t t = now_ns(), step = (uint64_t)(1e9 / C.rate);
        if (!next_pub)
            next_pub = t;
        for (int k = 0; k < 256 && next_pub <= t; k++) {
            pub_one(next_pub);
            next_pub += step;
        }
    } else {
        for (int k = 0; k < C.window && window_open(); k++)
            pub_one(now_ns());
    }
}

/* ---- asking ---- */

void echo_one(conn_t *c, uint64_t t)
{
    reserve_body();
    c->asked[c->next_ack % MAX_DEPTH] = t;
    size_t n = body_build(body, c->next_ack, t, c->next_ack);
    c->next_ack++;
    ws_send(c, 1, body, n);
    INC(W->published, 1);
}

static void echo_pump(void)
{
    static unsigned turn;
    static bool begun;
    if (C.rate <= 0) {
        if (begun)
            return;
        begun = true;
        for (int d = 0; d < C.depth; d++)
            for (int i = 0; i < nconns; i++)
                if (conns[i].state == C_JOINED)
                    echo_one(&conns[i], now_ns());
        return;
    }
    uint64_t t = now_ns(), step = (uint64_t)(1e9 * C.procs / C.rate);
    if (!next_pub)
        next_pub = t;
    for (int k = 0; k < 256 && next_pub <= t; k++) {
        conn_t *c = &conns[turn++ % (unsigned)nconns];
        if (c->state == C_JOINED)
            echo_one(c, next_pub);
        next_pub += step;
    }
}

void traffic_pump(int phase)
{
    if (phase != P_WARMUP && phase != P_MEASURE)
        return;
    if (C.mode == M_FANOUT)
        pub_pump();
    else if (C.mode == M_ECHO)
        echo_pump();
}

/* ---- hearing ---- */

static uint64_t digits(const uint8_t *p, const uint8_t *end)
{
    uint64_t v = 0;
    while (p < end && *p >= '0' && *p <= '9')
        v = v * 10 + (uint64_t)(*p++ - '0');
    return v;
}

/* Whether this is the event that counts: 42["EVENT", with or without a namespace. */
static bool is_ours(const uint8_t *p, size_t n)
{
    if (!C.event)
        return true;
    size_t k = strlen(C.event);
    const uint8_t *q = memchr(p, '"', n < 80 ? n : 80);
    return q && (size_t)(p + n - q) > k + 1 && !memcmp(q + 1, C.event, k) && q[k + 1] == '"';
}

/* The number and the time of the publish behind a delivery. */
static bool whose(conn_t *c, const uint8_t *p, size_t n, uint32_t *seq, uint64_t *sent)
{
    if (C.counted) { /* the k-th that is heard is the k-th that was said: order is promised */
        *seq = c->heard + 1;
        *sent = GET(S->sent_at[*seq % SENT_RING]);
        return *seq <= GET(S->w[0].published);
    }
    const uint8_t *m = memmem(p, n < 640 ? n : 640, "T=", 2);
    if (!m || m + 34 > p + n)
        return false;
    *sent = digits(m + 2, m + 21);
    *seq = (uint32_t)digits(m + 24, m + 34);
    return true;
}

void on_event(conn_t *c, const uint8_t *p, size_t n, uint64_t t, int phase)
{
    uint32_t seq;
    uint64_t sent;
    if (C.mode != M_FANOUT || c->deaf || !is_ours(p, n)) {
        INC(W->ignored, 1);
        return;
    }
    if (!whose(c, p, n, &seq, &sent)) {
        INC(W->errors, 1);
        return;
    }
    INC(W->delivered, 1);
    if (c->heard) {
        if (seq <= c->heard)
            INC(W->dups, 1);
        else if (seq != c->heard + 1)
            INC(W->gaps, seq - c->heard - 1);
    }
    if (seq > c->heard)
        c->heard = seq;
    if (phase == P_MEASURE)
        INC(W->measured, 1);
    if (phase == P_MEASURE || phase == P_DRAIN) /* what was published while measuring counts as latency */
        hist_add(&W->lat, t > sent ? t - sent : 0);
}

/* An answer is good when it begins [{"ok":true. */
static bool is_ok(const uint8_t *p, size_t n)
{
    const uint8_t *q = memchr(p, '[', n < 32 ? n : 32);
    return q && (size_t)(p + n - q) > 11 && !memcmp(q, "[{\"ok\":true", 11);
}

void on_ack(conn_t *c, const uint8_t *p, size_t n, uint64_t t, int phase)
{
    INC(W->acked, 1);
    if (C.ok_acks && !is_ok(p, n)) {
        if (!GET(W->refused))
            fprintf(stderr, "sioload: not ok: %.*s\n", (int)(n < 200 ? n : 200), p);
        INC(W->refused, 1);
    }
    if (C.mode != M_ECHO)
        return;
    if (phase == P_MEASURE) {
        uint64_t sent = c->asked[digits(p + 2, p + n) % MAX_DEPTH];
        INC(W->measured, 1);
        hist_add(&W->lat, t > sent ? t - sent : 0);
    }
    if (C.rate <= 0 && (phase == P_WARMUP || phase == P_MEASURE))
        echo_one(c, now_ns());
}
