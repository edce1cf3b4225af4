/*
 * sioload - a Socket.IO v5 / Engine.IO v4 (websocket) load generator.
 *
 * Worker processes with one epoll loop each, no threads, no library but libc. This parent only drives the
 * phases and prints one JSON object on stdout.
 *
 *   sioload fanout  -n 1001 --deaf --event msg --body '["pub","%T"]' --window 1     (closed loop)
 *   sioload fanout  -n 1001 --rate 50                                               (open loop)
 *   sioload echo    -n 100 --depth 1 --body '["ping",{}]' --ok
 *   sioload connect -n 10000 --idle 30 --server-pid 1234
 *
 * Latency runs from when a publish was sent to when its delivery was read. In the open loop it runs from when
 * the publish was due, so that a stalled server or a stalled generator is not hidden (no coordinated omission).
 */
#include "sioload.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

shared_t *S;

/* What the machine and the servers had used at one moment. */
typedef struct {
    double at, load, server, friends, busy, stolen;
    long rss, pss, available;
} used_t;

typedef struct {
    long rss_peak, cut;
    bool measured;
    used_t start, joined, from, to;
} run_t;

static pid_t workers[MAX_WORKERS];

void die(const char *fmt, ...)
{
    va_list a;
    va_start(a, fmt);
    fprintf(stderr, "sioload: ");
    vfprintf(stderr, fmt, a);
    fprintf(stderr, "\n");
    va_end(a);
    exit(2);
}

#define SUM(field) ({ uint64_t s_ = 0; for (int i_ = 0; i_ < C.procs; i_++) s_ += GET(S->w[i_].field); s_; })
#define ULL(field) (unsigned long long)SUM(field)

static void nap(double s)
{
    if (s <= 0)
        return;
    struct timespec t = {(time_t)s, (long)((s - (double)(time_t)s) * 1e9)};
    nanosleep(&t, NULL);
}

static double seconds(void)
{
    return (double)now_ns() / 1e9;
}

static used_t used(void)
{
    used_t u = {.at = seconds(), .server = cpu_of(&C.server), .friends = cpu_of(&C.friends)};
    for (int i = 0; i < C.procs; i++)
        u.load += workers[i] ? cpu_seconds(workers[i]) : 0;
    u.stolen = machine_seconds(&u.busy);
    u.rss = kb_of(&C.server, "status", "VmRSS:");
    u.pss = kb_of(&C.server, "smaps_rollup", "Pss:");
    u.available = available_kb();
    return u;
}

static void begin_workers(void)
{
    for (int i = 0; i < C.procs; i++) {
        workers[i] = fork();
        if (workers[i] < 0)
            die("fork: %s", strerror(errno));
        if (workers[i] == 0)
            worker_main(i);
    }
}

static void wait_for_connections(double since)
{
    int st;
    while (SUM(joined) + SUM(failed) < (uint64_t)C.n && seconds() - since < C.connect_timeout) {
        nap(0.002);
        pid_t p = waitpid(-1, &st, WNOHANG);
        if (p <= 0)
            continue;
        for (int i = 0; i < C.procs; i++)
            if (workers[i] != p)
                kill(workers[i], SIGKILL);
        die("a worker ended early (status %d)", st);
    }
}

/* Until everything that was published has been heard, or --drain is over. */
static void wait_for_deliveries(void)
{
    double since = seconds();
    while (SUM(delivered) + SUM(gaps) - SUM(dups) < SUM(published) * receivers() && seconds() - since < C.drain)
        nap(0.005);
}

static void measure(run_t *r)
{
    bool idles = C.mode == M_CONNECT;
    long descriptors = descriptors_of(&C.server);
    PUT(S->phase, P_SETTLE);
    nap(C.settle);
    if (!idles) {
        PUT(S->phase, P_WARMUP);
        nap(C.warmup);
    }
    r->from = used();
    PUT(S->phase, idles ? P_SETTLE : P_MEASURE);
    nap(idles ? C.idle : C.dur);
    PUT(S->phase, idles ? P_SETTLE : P_DRAIN);
    r->to = used();
    r->measured = true;
    if (C.mode == M_FANOUT)
        wait_for_deliveries();
    r->rss_peak = kb_of(&C.server, "status", "VmHWM:");
    r->cut = descriptors - descriptors_of(&C.server);
}

static double share_of_others(const used_t *from, const used_t *to)
{
    double ours = to->load - from->load + to->server - from->server + to->friends - from->friends;
    return (to->busy - from->busy - ours) / (to->at - from->at) * 100;
}

static void say_connections(const run_t *r)
{
    static hist_t con;
    double joined = (double)SUM(joined), each = joined > 0 ? 1e6 / joined : 0, took = r->joined.at - r->start.at;
    for (int i = 0; i < C.procs; i++)
        hist_merge(&con, &S->w[i].conn);
    printf("\"mode\":\"%s\",\"clients\":%d,\"joined\":%llu,\"failed\":%llu,\"closed\":%llu,\"turned_away\":%llu",
           C.mode_name, C.n, ULL(joined), ULL(failed), ULL(closed), ULL(turned_away));
    printf(",\"connect_s\":%.3f,\"connect_per_s\":%.0f,\"connect_p50_us\":%.0f,\"connect_p99_us\":%.0f", took,
           joined / took, hist_pct_us(&con, 50), hist_pct_us(&con, 99));
    printf(",\"connect_server_cpu_us\":%.1f,\"connect_friend_cpu_us\":%.1f,\"connect_other_cpu_pct\":%.1f",
           (r->joined.server - r->start.server) * each, (r->joined.friends - r->start.friends) * each,
           share_of_others(&r->start, &r->joined));
}

static void say_traffic(double elapsed)
{
    static hist_t lat;
    for (int i = 0; i < C.procs; i++)
        hist_merge(&lat, &S->w[i].lat);
    printf(",\"duration_s\":%.3f,\"ops\":%llu,\"ops_per_s\":%.0f", elapsed, ULL(measured),
           (double)SUM(measured) / elapsed);
    printf(",\"p50_us\":%.1f,\"p90_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f,\"mean_us\":%.1f",
           hist_pct_us(&lat, 50), hist_pct_us(&lat, 90), hist_pct_us(&lat, 99), hist_pct_us(&lat, 99.9),
           (double)lat.max / 1e3, lat.count ? (double)lat.sum / (double)lat.count / 1e3 : 0.0);
    if (C.mode == M_FANOUT)
        printf(",\"published_per_s\":%.1f,\"published\":%llu,\"expected\":%llu,\"delivered\":%llu,\"gaps\":%llu"
               ",\"dups\":%llu",
               (double)SUM(published_measured) / elapsed, ULL(published),
               (unsigned long long)(SUM(published) * receivers()), ULL(delivered), ULL(gaps), ULL(dups));
}

static void say_machine(const run_t *r, double elapsed)
{
    double load = r->to.load - r->from.load, server = r->to.server - r->from.server;
    double friends = r->to.friends - r->from.friends;
    double per_op = SUM(measured) ? 1e6 / (double)SUM(measured) : 0, joined = (double)SUM(joined);
    printf(",\"load_cpu_pct\":%.1f,\"load_idle_pct\":%.1f,\"steal_pct\":%.1f,\"other_cpu_pct\":%.1f",
           load / elapsed * 100,
           C.spin ? (double)SUM(idle_ns) / 1e7 / elapsed / C.procs : 100 - load / elapsed * 100 / C.procs,
           (r->to.stolen - r->from.stolen) / elapsed * 100, share_of_others(&r->from, &r->to));
    printf(",\"server_cpu_pct\":%.1f,\"server_cpu_us_per_op\":%.3f,\"friend_cpu_us_per_op\":%.3f,\"server_cpu_s\":%.3f",
           server / elapsed * 100, server * per_op, friends * per_op, r->to.server);
    printf(",\"cut\":%ld", r->cut);
    printf(",\"rss_start_kb\":%ld,\"rss_joined_kb\":%ld,\"rss_end_kb\":%ld,\"rss_peak_kb\":%ld", r->start.rss,
           r->joined.rss, r->to.rss, r->rss_peak);
    if (joined > 0)
        printf(",\"rss_per_conn_kb\":%.2f,\"pss_per_conn_kb\":%.2f,\"system_kb_per_conn\":%.2f",
               (double)(r->to.rss - r->start.rss) / joined, (double)(r->to.pss - r->start.pss) / joined,
               (double)(r->start.available - r->to.available) / joined);
}

int main(int argc, char **argv)
{
    static run_t r;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    read_options(argc, argv);
    S = mmap(NULL, sizeof *S, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (S == MAP_FAILED)
        die("mmap: %s", strerror(errno));
    signal(SIGPIPE, SIG_IGN);
    r.start = used();
    begin_workers();
    wait_for_connections(r.start.at);
    r.joined = used();
    bool all = SUM(joined) == (uint64_t)C.n;
    if (all || C.mode == M_CONNECT)
        measure(&r);
    PUT(S->phase, P_EXIT);
    for (int i = 0; i < C.procs; i++)
        waitpid(workers[i], NULL, 0);
    printf("{");
    say_connections(&r);
    printf(",\"bytes\":%llu,\"reads\":%llu,\"pings\":%llu,\"errors\":%llu,\"acked\":%llu,\"refused\":%llu,\"ignored\":%llu",
           ULL(bytes), ULL(reads), ULL(pings), ULL(errors), ULL(acked), ULL(refused), ULL(ignored));
    if (r.measured) {
        double elapsed = r.to.at - r.from.at;
        if (C.mode != M_CONNECT)
            say_traffic(elapsed);
        say_machine(&r, elapsed);
    }
    printf("}\n");
    return all ? 0 : 1;
}
