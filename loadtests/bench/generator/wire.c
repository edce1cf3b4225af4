/* Engine.IO v4 and Socket.IO v5 over websocket: what is sent, and what is made of what comes. */
#include "sioload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

uint8_t *rbuf;
static char *pad;
static char run[24]; /* what %R stands for */
static uint32_t rng = 0x9e3779b9;

uint32_t random_bits(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 17;
    rng ^= rng << 5;
    return rng;
}

void wire_init(void)
{
    rng ^= (uint32_t)(now_ns() * 2654435761u) | 1;
    rbuf = malloc(RBUF);
    pad = malloc((size_t)C.payload + 1);
    if (!rbuf || !pad)
        die("out of memory");
    snprintf(run, sizeof run, "%llx", (unsigned long long)now_ns());
    memset(pad, 'x', (size_t)C.payload + 1);
}

/* ---- sending ---- */

/* One masked frame (RFC 6455 5.3), a fresh masking key each time. */
void ws_send(conn_t *c, uint8_t op, const char *p, size_t n)
{
    uint8_t stackbuf[2048], *b = n + 16 <= sizeof stackbuf ? stackbuf : malloc(n + 16);
    size_t h = 2;
    uint8_t k[4];
    b[0] = 0x80 | op;
    if (n < 126) {
        b[1] = 0x80 | (uint8_t)n;
    } else if (n < 65536) {
        b[1] = 0x80 | 126;
        b[2] = (uint8_t)(n >> 8);
        b[3] = (uint8_t)n;
        h = 4;
    } else {
        b[1] = 0x80 | 127;
        for (int i = 0; i < 8; i++)
            b[2 + i] = (uint8_t)((uint64_t)n >> (56 - 8 * i));
        h = 10;
    }
    uint32_t mask = random_bits();
    memcpy(k, &mask, 4);
    memcpy(b + h, k, 4);
    h += 4;
    for (size_t i = 0; i < n; i++)
        b[h + i] = (uint8_t)p[i] ^ k[i & 3];
    conn_write(c, b, h + n);
    if (b != stackbuf)
        free(b);
}

void conn_upgrade(conn_t *c)
{
    static const char b64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char key[25], b[4096];
    for (int i = 0; i < 21; i++)
        key[i] = b64[random_bits() & 63];
    key[21] = "AQgw"[random_bits() >> 30]; /* 16 bytes: the last digit carries two bits */
    key[22] = key[23] = '=';
    key[24] = 0;
    int t = (int)(c->id % (unsigned)C.ntargets);
    int n = snprintf(b, sizeof b,
                     "GET %s?EIO=4&transport=websocket%s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
                     C.path, C.query, C.target_name[t], key, C.headers ? C.headers : "");
    if (n >= (int)sizeof b)
        die("request too long");
    c->state = C_HTTP;
    conn_write(c, b, (size_t)n);
}

/* The longest thing that body_build makes. */
size_t body_most(void)
{
    size_t marks = 1;
    for (const char *p = C.body; *p; p++)
        marks += *p == '%';
    return strlen(C.body) + strlen(C.ns) + 64 + marks * ((size_t)C.payload + 40);
}

/* An event: --body with %T replaced by time and number (padded to --payload bytes), %S by the number,
 * %R by something that only this run has. */
size_t body_build(char *b, int64_t ack, uint64_t t, uint32_t seq)
{
    size_t n = (size_t)sprintf(b, "42");
    if (strcmp(C.ns, "/"))
        n += (size_t)sprintf(b + n, "%s,", C.ns);
    if (ack >= 0)
        n += (size_t)sprintf(b + n, "%lld", (long long)ack);
    for (const char *p = C.body; *p; p++) {
        if (p[0] == '%' && p[1] == 'T') {
            n += (size_t)sprintf(b + n, "T=%019llu;S=%010u;", (unsigned long long)t, seq);
            if (C.payload > 35) {
                memcpy(b + n, pad, (size_t)C.payload - 35);
                n += (size_t)C.payload - 35;
            }
            p++;
        } else if (p[0] == '%' && p[1] == 'S') {
            n += (size_t)sprintf(b + n, "%u", seq);
            p++;
        } else if (p[0] == '%' && p[1] == 'R') {
            n += (size_t)sprintf(b + n, "%s", run);
            p++;
        } else {
            b[n++] = *p;
        }
    }
    return n;
}

/* ---- reading ---- */

static void say_connect(conn_t *c)
{
    char b[8192];
    const char *auth = C.nauths ? C.auths[c->id % (unsigned)C.nauths] : C.auth;
    bool root = !strcmp(C.ns, "/");
    int k = snprintf(b, sizeof b, "40%s%s%s", root ? "" : C.ns, root ? "" : ",", auth ? auth : "");
    if (k >= (int)sizeof b)
        die("auth too long");
    c->state = C_NS;
    ws_send(c, 1, b, (size_t)k);
}

static void on_text(conn_t *c, const uint8_t *p, size_t n, uint64_t t, int phase)
{
    if (n == 0)
        return;
    if (p[0] == '4' && n > 1) {
        if (p[1] == '2') {
            on_event(c, p, n, t, phase);
        } else if (p[1] == '3') {
            on_ack(c, p, n, t, phase);
        } else if (p[1] == '0' && c->state == C_NS) {
            conn_joined(c);
        } else if (p[1] == '4') {
            if (!GET(W->errors))
                fprintf(stderr, "sioload: refused: %.*s\n", (int)(n < 200 ? n : 200), p);
            INC(W->errors, 1);
            conn_kill(c, true);
        } else if (p[1] == '1') {
            conn_kill(c, true);
        }
    } else if (p[0] == '2') {
        INC(W->pings, 1);
        ws_send(c, 1, n > 1 ? "3probe" : "3", n > 1 ? 6 : 1);
    } else if (p[0] == '0' && c->state == C_OPEN) {
        say_connect(c);
    } else if (p[0] == '1') {
        conn_kill(c, true);
    }
}

/* The answer to the upgrade request; how many bytes it had, 0 for not yet or never. */
static size_t take_upgrade(conn_t *c, const uint8_t *p, size_t n)
{
    const uint8_t *e = memmem(p, n, "\r\n\r\n", 4);
    if (!e)
        return 0;
    if (n > 12 && (!memcmp(p, "HTTP/1.1 503", 12) || !memcmp(p, "HTTP/1.1 429", 12))) {
        const char *after = memmem(p, (size_t)(e - p), "Retry-After: ", 13);
        conn_again(c, after ? atof(after + 13) : 1.0);
        return 0;
    }
    if (n < 12 || memcmp(p, "HTTP/1.1 101", 12)) {
        if (!GET(W->errors))
            fprintf(stderr, "sioload: not upgraded: %.*s\n", (int)(n < 200 ? n : 200), p);
        INC(W->errors, 1);
        conn_kill(c, true);
        return 0;
    }
    c->state = C_OPEN;
    return (size_t)(e + 4 - p);
}

/* Consumes whole frames from p; returns how many bytes were used. */
static size_t consume(conn_t *c, const uint8_t *p, size_t n, uint64_t t, int phase)
{
    size_t used = 0;
    if (c->state == C_HTTP && (used = take_upgrade(c, p, n)) == 0)
        return 0;
    while (n - used >= 2 && c->state != C_DEAD) {
        const uint8_t *f = p + used;
        size_t left = n - used, h = 2;
        uint64_t len = f[1] & 0x7f;
        if (len == 126) {
            if (left < 4)
                break;
            len = ((uint64_t)f[2] << 8) | f[3];
            h = 4;
        } else if (len == 127) {
            if (left < 10)
                break;
            len = 0;
            for (int i = 0; i < 8; i++)
                len = len << 8 | f[2 + i];
            h = 10;
        }
        if (left - h < len)
            break;
        uint8_t op = f[0] & 15;
        if ((f[0] & 0x70) || (f[1] & 0x80) || !(f[0] & 0x80)) { /* RSV, masked or fragmented: not expected */
            INC(W->errors, 1);
            conn_kill(c, true);
            return n;
        }
        if (op == 1)
            on_text(c, f + h, (size_t)len, t, phase);
        else if (op == 9)
            ws_send(c, 10, (const char *)f + h, (size_t)len);
        else if (op == 8) {
            conn_kill(c, true);
            return n;
        }
        used += h + (size_t)len;
    }
    return used;
}

/* Edge triggered: a read shorter than asked for has emptied the socket. */
void conn_read(conn_t *c, int phase)
{
    for (;;) {
        size_t have = c->in_len;
        if (have)
            memcpy(rbuf, c->in, have);
        ssize_t r = recv(c->fd, rbuf + have, RBUF - have, MSG_DONTWAIT);
        if (r <= 0) {
            if (r == 0 || (errno != EAGAIN && errno != EINTR))
                conn_kill(c, true);
            return;
        }
        INC(W->reads, 1);
        INC(W->bytes, (uint64_t)r);
        size_t n = have + (size_t)r, used = consume(c, rbuf, n, now_ns(), phase);
        if (c->state == C_DEAD || c->state == C_IDLE)
            return;
        n -= used;
        if (n > c->in_cap) {
            if (n >= RBUF)
                die("frame larger than %d bytes", RBUF);
            c->in = realloc(c->in, n);
            c->in_cap = (uint32_t)n;
        }
        if (n)
            memcpy(c->in, rbuf + used, n);
        c->in_len = (uint32_t)n;
        if ((size_t)r < RBUF - have)
            return;
    }
}
