/* A worker: one process, one epoll loop, its share of the connections. */
#include "sioload.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define LONGEST_NAP 5000000u /* short enough to notice a phase change */

wstat_t *W;
int w_index;
static uint64_t next_conn, idle_from, next_look;

static void begin(int index)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    w_index = index;
    W = &S->w[index];
    wire_init();
    int lo = (int)((int64_t)C.n * index / C.procs), hi = (int)((int64_t)C.n * (index + 1) / C.procs);
    nconns = hi - lo;
    conns = calloc((size_t)nconns, sizeof *conns);
    ep = epoll_create1(EPOLL_CLOEXEC);
    if (!conns || ep < 0)
        die("worker %d: %s", index, strerror(errno));
    for (int i = 0; i < nconns; i++) {
        conns[i].id = (uint32_t)(lo + i);
        conns[i].fd = -1;
        conns[i].slow = conns[i].id >= (unsigned)(C.n - C.slow);
        conns[i].deaf = C.deaf && conns[i].id < (unsigned)C.pubs;
    }
}

static void start_some(void)
{
    uint64_t t = now_ns();
    while (started < nconns && inflight < C.conc) {
        if (C.connect_rate > 0) {
            if (!next_conn)
                next_conn = t;
            if (next_conn > t)
                break;
            next_conn += (uint64_t)(1e9 * C.procs / C.connect_rate);
        }
        conn_start(&conns[started++]);
    }
}

/* Those who were turned away and are due. */
static void start_again(void)
{
    uint64_t t = now_ns();
    if (t < next_look || !GET(W->turned_away))
        return;
    next_look = t + 10000000;
    for (int i = 0; i < started && inflight < C.conc; i++)
        if (conns[i].state == C_IDLE && conns[i].due <= t)
            conn_start(&conns[i]);
}

static uint64_t nap_for(int phase)
{
    if (C.spin && phase >= P_WARMUP)
        return 0;
    if (phase == P_CONNECT && C.connect_rate > 0)
        return 500000;
    if (phase != P_WARMUP && phase != P_MEASURE)
        return LONGEST_NAP;
    if (C.rate > 0 && (C.mode == M_ECHO || w_index == 0)) {
        uint64_t t = now_ns(), nap = next_pub > t ? next_pub - t : 0;
        return nap > LONGEST_NAP ? LONGEST_NAP : nap;
    }
    return C.mode == M_FANOUT && w_index == 0 && C.procs > 1 ? 100000 : LONGEST_NAP;
}

/* Time between the first empty poll and the next event is slack. */
static void note_slack(int events, int phase)
{
    if (events == 0 && !idle_from) {
        idle_from = now_ns();
    } else if (events > 0 && idle_from) {
        if (phase == P_MEASURE)
            INC(W->idle_ns, now_ns() - idle_from);
        idle_from = 0;
    }
}

static void writable(conn_t *c)
{
    if (c->state != C_CONNECTING) {
        conn_flush(c);
        return;
    }
    int err = 0;
    socklen_t l = sizeof err;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &l);
    if (err) {
        INC(W->errors, 1);
        conn_kill(c, true);
        return;
    }
    conn_arm(c, false);
    conn_upgrade(c);
}

static void handle(conn_t *c, uint32_t events, int phase)
{
    if (c->state == C_DEAD || c->state == C_IDLE)
        return;
    if (c->slow && c->state == C_JOINED) {
        if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
            conn_kill(c, true);
        return;
    }
    if (events & EPOLLOUT)
        writable(c);
    if (c->state != C_DEAD && c->state != C_IDLE && (events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)))
        conn_read(c, phase);
}

void worker_main(int index)
{
    struct epoll_event ev[1024];
    begin(index);
    for (;;) {
        int phase = GET(S->phase);
        if (phase == P_EXIT)
            _exit(0);
        if (phase == P_CONNECT) {
            start_again();
            start_some();
        }
        traffic_pump(phase);
        struct timespec ts = {0, (long)nap_for(phase)};
        int k = epoll_pwait2(ep, ev, 1024, &ts, NULL);
        phase = GET(S->phase);
        if (C.spin)
            note_slack(k, phase);
        for (int i = 0; i < k; i++)
            handle(ev[i].data.ptr, ev[i].events, phase);
    }
}
