/*
 * limit - the least work a one-core server can do for the traffic of this benchmark.
 *
 * It speaks just enough Engine.IO v4 / Socket.IO v5 over websocket to be driven by sioload: open packet,
 * CONNECT (nobody is checked), and the events `typing`, `send_message` and `ping`, answered with frames as
 * large as Plaza's. A broadcast builds one frame and calls send() once per socket: what remains is the
 * kernel's cost, the physical limit for one core here.
 *
 *   limit PORT [send|joined]
 *     send    one send() per delivery
 *     joined  the frames of one epoll round are joined: one send() per socket and round
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST 65536
#define SOMEONE "4b1f0a52-6d0e-4d5b-9c55-0d1c2b3a4f5e"

/* ---- SHA-1 (RFC 3174), only for Sec-WebSocket-Accept ---- */

static uint32_t rol(uint32_t v, int n)
{
    return v << n | v >> (32 - n);
}

static void sha1_block(uint32_t h[5], const uint8_t *p)
{
    uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 | (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
    for (int i = 16; i < 80; i++)
        w[i] = rol(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        uint32_t f = i < 20 ? (b & c) | (~b & d) : i < 40 ? b ^ c ^ d : i < 60 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
        uint32_t k = i < 20 ? 0x5a827999 : i < 40 ? 0x6ed9eba1 : i < 60 ? 0x8f1bbcdc : 0xca62c1d6;
        uint32_t t = rol(a, 5) + f + e + k + w[i];
        e = d;
        d = c;
        c = rol(b, 30);
        b = a;
        a = t;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

/* The digest of at most 119 bytes. */
static void sha1(const uint8_t *p, size_t n, uint8_t out[20])
{
    uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint8_t m[128] = {0};
    size_t total = (n + 9 + 63) / 64 * 64;
    memcpy(m, p, n);
    m[n] = 0x80;
    for (int i = 0; i < 8; i++)
        m[total - 1 - i] = (uint8_t)((uint64_t)n * 8 >> (8 * i));
    for (size_t o = 0; o < total; o += 64)
        sha1_block(h, m + o);
    for (int i = 0; i < 20; i++)
        out[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

/* ---- connections ---- */

typedef struct {
    int fd, slot;
    uint8_t open, joined;
    uint32_t in_len;
    uint8_t in[12288];
} conn;

static conn *by_fd[1 << 20];
static int *members, nmembers; /* descriptors */
static int ep, joins;
static uint8_t pend[1 << 20];
static size_t pend_len;
static uint64_t dropped;

static size_t frame(uint8_t *b, const char *p, size_t n)
{
    size_t h = 2;
    b[0] = 0x81;
    if (n < 126) {
        b[1] = (uint8_t)n;
    } else {
        b[1] = 126;
        b[2] = (uint8_t)(n >> 8);
        b[3] = (uint8_t)n;
        h = 4;
    }
    memcpy(b + h, p, n);
    return h + n;
}

static void out(int fd, const void *p, size_t n)
{
    if (send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)n)
        dropped++;
}

static void text(int fd, const char *p, size_t n)
{
    static uint8_t b[MOST + 16];
    out(fd, b, frame(b, p, n));
}

static void flush_pending(void)
{
    for (int i = 0; pend_len && i < nmembers; i++)
        out(members[i], pend, pend_len);
    pend_len = 0;
}

/* To everyone but the sender; joined frames go to everyone, which is one send() more. */
static void broadcast(const char *p, size_t n, int sender)
{
    static uint8_t f[MOST + 16];
    size_t k = frame(f, p, n);
    if (joins) {
        if (pend_len + k > MOST)
            flush_pending();
        memcpy(pend + pend_len, f, k);
        pend_len += k;
        return;
    }
    for (int i = 0; i < nmembers; i++)
        if (members[i] != sender)
            out(members[i], f, k);
}

static void drop(conn *c)
{
    if (c->joined) {
        int last = members[--nmembers];
        members[c->slot] = last;
        by_fd[last]->slot = c->slot;
    }
    by_fd[c->fd] = NULL;
    close(c->fd);
    free(c);
}

/* ---- events: what stands behind "42" and the number of the ack ---- */

static int starts(const char *p, size_t n, const char *with)
{
    size_t k = strlen(with);
    return n > k && !memcmp(p, with, k);
}

static void typing(conn *c, const char *p, size_t n)
{
    static char b[MOST];
    const char *body = p + strlen("[\"typing\","), *rest = memmem(p, n, ",\"isTyping\"", 11);
    if (!rest)
        return;
    int k = sprintf(b, "42[\"typing_indicator\",%.*s,\"userId\":\"" SOMEONE "\"%.*s", (int)(rest - body), body,
                    (int)(p + n - rest), rest);
    broadcast(b, (size_t)k, c->fd);
}

/* The text behind "name": up to the next quote. */
static int value(const char *p, size_t n, const char *name, const char **at)
{
    const char *found = memmem(p, n, name, strlen(name));
    if (!found)
        return 0;
    *at = found + strlen(name);
    const char *end = memchr(*at, '"', (size_t)(p + n - *at));
    return end ? (int)(end - *at) : 0;
}

static void send_message(conn *c, const char *p, size_t n, const char *id, int idn)
{
    static char b[2 * MOST], m[MOST];
    static unsigned seq;
    const char *place = "", *words = "", *client = "";
    int pn = value(p, n, "\"conversationId\":\"", &place), wn = value(p, n, "\"text\":\"", &words);
    int cn = value(p, n, "\"clientId\":\"", &client);
    sprintf(m,
            "{\"id\":\"" SOMEONE "\",\"conversationId\":\"%.*s\",\"seq\":%u,\"from\":\"" SOMEONE "\",\"to\":null,"
            "\"text\":\"%.*s\",\"mediaUrl\":null,\"mediaType\":null,\"replyTo\":null,\"reactions\":{},\"read\":false,"
            "\"readAt\":null,\"editedAt\":null,\"deletedAt\":null,\"clientId\":\"%.*s\","
            "\"createdAt\":\"2026-01-01T00:00:00.000000Z\",\"rev\":0}",
            pn, place, ++seq, wn, words, cn, client);
    broadcast(b, (size_t)sprintf(b, "42[\"new_message\",%s]", m), -1);
    if (idn)
        text(c->fd, b, (size_t)snprintf(b, sizeof b, "43%.*s[{\"ok\":true,\"data\":%s}]", idn, id, m));
}

static void event(conn *c, const char *p, size_t n)
{
    const char *q = p;
    while (q < p + n && *q >= '0' && *q <= '9')
        q++;
    int idn = (int)(q - p);
    size_t rest = n - (size_t)idn;
    char b[64];
    if (starts(q, rest, "[\"typing\","))
        typing(c, q, rest);
    else if (starts(q, rest, "[\"send_message\","))
        send_message(c, q, rest, p, idn);
    else if (starts(q, rest, "[\"ping\""))
        text(c->fd, b, (size_t)snprintf(b, sizeof b, "43%.*s[{\"ok\":true,\"data\":{\"time\":%lld}}]", idn, p,
                                       (long long)time(NULL) * 1000));
}

static void message(conn *c, const char *p, size_t n)
{
    char b[64];
    if (starts(p, n + 1, "40")) {
        text(c->fd, b, (size_t)sprintf(b, "40{\"sid\":\"s%d\"}", c->fd));
        c->joined = 1;
        c->slot = nmembers;
        members[nmembers++] = c->fd;
    } else if (starts(p, n, "42")) {
        event(c, p + 2, n - 2);
    }
}

/* ---- reading ---- */

/* Answer the upgrade request; 0 when it has not wholly come yet. */
static int upgrade(conn *c)
{
    static const char a[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *e = memmem(c->in, c->in_len, "\r\n\r\n", 4), *k = memmem(c->in, c->in_len, "Sec-WebSocket-Key: ", 19);
    uint8_t d[21] = {0};
    char cat[64], acc[32], b[512], o[256];
    if (!e || !k)
        return 0;
    memcpy(cat, k + 19, 24);
    memcpy(cat + 24, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
    sha1((uint8_t *)cat, 60, d);
    for (int i = 0; i < 7; i++) {
        uint32_t v = (uint32_t)d[3 * i] << 16 | (uint32_t)d[3 * i + 1] << 8 | d[3 * i + 2];
        for (int j = 0; j < 4; j++)
            acc[4 * i + j] = a[v >> (18 - 6 * j) & 63];
    }
    acc[27] = '=';
    acc[28] = 0;
    int n = sprintf(b, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Accept: %s\r\n\r\n", acc);
    int on = sprintf(o, "0{\"sid\":\"e%d\",\"upgrades\":[],\"pingTimeout\":20000,\"pingInterval\":25000,"
                        "\"maxPayload\":1000000}", c->fd);
    n += (int)frame((uint8_t *)b + n, o, (size_t)on);
    out(c->fd, b, (size_t)n);
    size_t used = (size_t)((uint8_t *)e + 4 - c->in);
    memmove(c->in, c->in + used, c->in_len - used);
    c->in_len -= (uint32_t)used;
    c->open = 1;
    return 1;
}

static void readable(conn *c)
{
    ssize_t r = recv(c->fd, c->in + c->in_len, sizeof c->in - c->in_len, MSG_DONTWAIT);
    if (r <= 0) {
        if (r == 0 || errno != EAGAIN)
            drop(c);
        return;
    }
    c->in_len += (uint32_t)r;
    if (!c->open && !upgrade(c))
        return;
    size_t used = 0;
    while (c->in_len - used >= 6) {
        uint8_t *f = c->in + used;
        size_t n = f[1] & 127, h = 2;
        if (n == 126) {
            if (c->in_len - used < 8)
                break;
            n = (size_t)f[2] << 8 | f[3];
            h = 4;
        }
        if (c->in_len - used < h + 4 + n)
            break;
        uint8_t *k = f + h, *p = f + h + 4;
        for (size_t i = 0; i < n; i++)
            p[i] ^= k[i & 3];
        if ((f[0] & 15) == 8) {
            drop(c);
            return;
        }
        message(c, (char *)p, n);
        used += h + 4 + n;
    }
    memmove(c->in, c->in + used, c->in_len - used);
    c->in_len -= (uint32_t)used;
}

/* ---- the loop ---- */

static void welcome(int listener)
{
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        conn *c = calloc(1, sizeof *c);
        if (!c)
            exit(1);
        c->fd = fd;
        by_fd[fd] = c;
        struct epoll_event n = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(ep, EPOLL_CTL_ADD, fd, &n);
    }
}

static int listen_on(int port)
{
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (void *)&a, sizeof a) || listen(listener, 4096)) {
        perror("limit: bind");
        exit(1);
    }
    return listener;
}

int main(int argc, char **argv)
{
    struct rlimit rl;
    getrlimit(RLIMIT_NOFILE, &rl);
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        fprintf(stderr, "usage: limit PORT [send|joined]\n");
        return 2;
    }
    joins = argc > 2 && !strcmp(argv[2], "joined");
    members = malloc(sizeof(int) << 20);
    int listener = listen_on(atoi(argv[1]));
    struct epoll_event e = {.events = EPOLLIN, .data.fd = listener}, ev[1024];
    ep = epoll_create1(0);
    epoll_ctl(ep, EPOLL_CTL_ADD, listener, &e);
    for (time_t pinged = time(NULL);;) {
        int k = epoll_wait(ep, ev, 1024, 1000);
        for (int i = 0; i < k; i++) {
            if (ev[i].data.fd == listener)
                welcome(listener);
            else if (by_fd[ev[i].data.fd])
                readable(by_fd[ev[i].data.fd]);
        }
        flush_pending();
        if (time(NULL) - pinged >= 25) {
            pinged = time(NULL);
            for (int i = 0; i < nmembers; i++)
                text(members[i], "2", 1);
        }
    }
}
