/* Sockets: begun, written to without waiting, and ended. */
#include "sioload.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

conn_t *conns;
int nconns, inflight, started, ep = -1;

static void forget(conn_t *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    free(c->in);
    free(c->out);
    free(c->asked);
    c->in = c->out = NULL;
    c->asked = NULL;
    c->in_len = c->in_cap = c->out_len = c->out_cap = 0;
}

void conn_kill(conn_t *c, bool failed)
{
    if (c->state == C_DEAD)
        return;
    if (c->state == C_JOINED) {
        if (c->slow)
            INC(W->slow_closed, 1);
        else
            INC(W->closed, 1);
    } else {
        inflight--;
        if (failed)
            INC(W->failed, 1);
    }
    c->state = C_DEAD;
    forget(c);
}

/* The server has no room at the moment and says when to come back. */
void conn_again(conn_t *c, double seconds)
{
    INC(W->turned_away, 1);
    inflight--;
    c->state = C_IDLE;
    c->due = now_ns() + (uint64_t)(seconds * 1e9);
    forget(c);
}

void conn_arm(conn_t *c, bool out)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLET | (out ? EPOLLOUT : 0), .data.ptr = c};
    c->want_out = out;
    epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
}

void conn_write(conn_t *c, const void *p, size_t n)
{
    if (c->out_len == 0) {
        ssize_t r = send(c->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (r == (ssize_t)n)
            return;
        if (r < 0) {
            if (errno != EAGAIN && errno != EINTR) {
                conn_kill(c, true);
                return;
            }
            r = 0;
        }
        p = (const char *)p + r;
        n -= (size_t)r;
    }
    if (c->out_len + n > c->out_cap) {
        c->out_cap = (uint32_t)(c->out_len + n) * 2;
        c->out = realloc(c->out, c->out_cap);
        if (!c->out)
            die("out of memory");
    }
    memcpy(c->out + c->out_len, p, n);
    c->out_len += (uint32_t)n;
    if (!c->want_out)
        conn_arm(c, true);
}

void conn_flush(conn_t *c)
{
    while (c->out_len) {
        ssize_t r = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (r < 0) {
            if (errno == EAGAIN || errno == EINTR)
                return;
            conn_kill(c, true);
            return;
        }
        memmove(c->out, c->out + r, c->out_len - (size_t)r);
        c->out_len -= (uint32_t)r;
    }
    free(c->out);
    c->out = NULL;
    c->out_cap = 0;
    conn_arm(c, false);
}

static void set_up(conn_t *c)
{
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (!C.fin_close) { /* RST on close: no TIME_WAIT pile between runs */
        struct linger l = {1, 0};
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
    }
    if (c->slow)
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &C.slow_rcvbuf, sizeof C.slow_rcvbuf);
    if (C.src_count > 0) {
        struct sockaddr_in a = {.sin_family = AF_INET};
        a.sin_addr.s_addr = htonl(0x7f000002u + c->id % (unsigned)C.src_count);
        setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(c->fd, (struct sockaddr *)&a, sizeof a) < 0)
            die("bind: %s", strerror(errno));
    }
}

void conn_start(conn_t *c)
{
    struct sockaddr_in *to = &C.target[c->id % (unsigned)C.ntargets];
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket: %s (worker %d, connection %d; ulimit -n?)", strerror(errno), w_index, started);
    set_up(c);
    c->t0 = now_ns();
    c->state = C_CONNECTING;
    inflight++;
    if (connect(c->fd, (struct sockaddr *)to, sizeof *to) < 0 && errno != EINPROGRESS) {
        conn_kill(c, true);
        return;
    }
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    c->want_out = true;
    epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e);
}

void conn_joined(conn_t *c)
{
    c->state = C_JOINED;
    if (!C.quickack) { /* an ACK per read would cost the generator as much as the read does */
        int zero = 0;
        setsockopt(c->fd, IPPROTO_TCP, TCP_QUICKACK, &zero, sizeof zero);
    }
    inflight--;
    hist_add(&W->conn, now_ns() - c->t0);
    INC(W->joined, 1);
    if (C.mode == M_ECHO)
        c->asked = calloc(MAX_DEPTH, sizeof *c->asked);
    if (c->slow) {
        struct epoll_event e = {.events = EPOLLRDHUP, .data.ptr = c};
        epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
    }
}
