/* The command line. */
#include "sioload.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

config_t C = {
    .n = 100, .procs = 1, .conc = 100, .payload = 100, .window = 1, .depth = 1, .pubs = 1,
    .slow_rcvbuf = 4096, .warmup = 1, .dur = 5, .settle = 0.5, .idle = 30, .drain = 5,
    .connect_timeout = 120, .path = "/socket.io/", .ns = "/", .query = "",
};

static void usage(void)
{
    fprintf(stderr,
            "usage: sioload fanout|echo|connect [options]\n"
            "  -t, --target HOST:PORT[,HOST:PORT...]  servers, connections go round robin (127.0.0.1:5000)\n"
            "  -n, --clients N       connections (100)\n"
            "      --procs P         worker processes (1); each is one epoll loop\n"
            "      --conc K          handshakes in flight per worker (100)\n"
            "      --connect-rate R  new connections per second, all workers (no limit)\n"
            "      --connect-timeout S (120)\n"
            "      --src-count K     spread over K source addresses 127.0.0.2.. (kernel's choice)\n"
            "      --path P          (/socket.io/)   --query '&a=b' appended to the query string\n"
            "      --namespace NS    (/)             --auth JSON   --auth-file F  one JSON per line\n"
            "      --header 'K: V'   may be repeated\n"
            "      --body JSON       the event that is sent, e.g. [\"pub\",\"%%T\"]; %%T is a text with time and\n"
            "                        number, filled up to --payload B bytes (100); %%S is the number,\n"
            "                        %%R the same for one run only\n"
            "      --warmup S (1)  --duration S (5)  --settle S (0.5)  --drain S (5)  --idle S (30, connect)\n"
            " fanout: --rate R  publishes per second, open loop; or --window W, closed loop: at most W\n"
            "         publishes not yet wholly delivered (--window-by deliver) or acknowledged (ack)\n"
            "         --pubs K  the first K clients take turns to publish (1)   --ack  ask for acks\n"
            "         --deaf    publishers are not among those who hear\n"
            "         --event E only this event is a delivery\n"
            "         --counted deliveries carry no %%T: the k-th heard is the k-th said (one publisher)\n"
            "         --slow K  the last K clients never read   --slow-rcvbuf B (4096)\n"
            " echo:   --depth D  requests in flight per client (1), or --rate R in all, open loop\n"
            "      --ok              acks must begin with [{\"ok\":true; others are counted as refused\n"
            "      --server-pid P[,P...]  report the CPU and the memory of these\n"
            "      --friend-pid P[,P...]  report the CPU of these apart; they are not strangers\n"
            "      --spin            never sleep while measuring: the server does not pay for waking the\n"
            "                        generator (one worker only); load_idle_pct then tells the slack\n"
            "      --quickack        keep the kernel's habit of one TCP ACK per read\n"
            "      --fin             close with FIN, not RST\n");
    exit(2);
}

enum {
    O_PROCS = 256, O_CONC, O_CRATE, O_CTO, O_SRC, O_PATH, O_QUERY, O_NS, O_AUTH, O_AUTHF, O_HDR, O_BODY, O_PAY,
    O_WARM, O_DUR, O_SETTLE, O_DRAIN, O_IDLE, O_RATE, O_WIN, O_WINBY, O_PUBS, O_ACK, O_DEAF, O_EVENT, O_COUNTED,
    O_SLOW, O_SRB, O_DEPTH, O_OK, O_PID, O_FRIEND, O_SPIN, O_QUICKACK, O_FIN,
};

static const struct option LONG[] = {
    {"target", 1, 0, 't'}, {"clients", 1, 0, 'n'}, {"procs", 1, 0, O_PROCS}, {"conc", 1, 0, O_CONC},
    {"connect-rate", 1, 0, O_CRATE}, {"connect-timeout", 1, 0, O_CTO}, {"src-count", 1, 0, O_SRC},
    {"path", 1, 0, O_PATH}, {"query", 1, 0, O_QUERY}, {"namespace", 1, 0, O_NS}, {"auth", 1, 0, O_AUTH},
    {"auth-file", 1, 0, O_AUTHF}, {"header", 1, 0, O_HDR}, {"body", 1, 0, O_BODY}, {"payload", 1, 0, O_PAY},
    {"warmup", 1, 0, O_WARM}, {"duration", 1, 0, O_DUR}, {"settle", 1, 0, O_SETTLE}, {"drain", 1, 0, O_DRAIN},
    {"idle", 1, 0, O_IDLE}, {"rate", 1, 0, O_RATE}, {"window", 1, 0, O_WIN}, {"window-by", 1, 0, O_WINBY},
    {"pubs", 1, 0, O_PUBS}, {"ack", 0, 0, O_ACK}, {"deaf", 0, 0, O_DEAF}, {"event", 1, 0, O_EVENT},
    {"counted", 0, 0, O_COUNTED}, {"slow", 1, 0, O_SLOW}, {"slow-rcvbuf", 1, 0, O_SRB}, {"depth", 1, 0, O_DEPTH},
    {"ok", 0, 0, O_OK}, {"server-pid", 1, 0, O_PID}, {"friend-pid", 1, 0, O_FRIEND}, {"spin", 0, 0, O_SPIN},
    {"quickack", 0, 0, O_QUICKACK}, {"fin", 0, 0, O_FIN}, {"help", 0, 0, 'h'}, {0},
};

static void read_auths(const char *path)
{
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;
    ssize_t k;
    if (!f)
        die("%s: %s", path, strerror(errno));
    while ((k = getline(&line, &cap, f)) > 0) {
        if (line[k - 1] == '\n')
            line[--k] = 0;
        if (!k)
            continue;
        C.auths = realloc(C.auths, sizeof(char *) * (size_t)(C.nauths + 1));
        C.auths[C.nauths++] = strdup(line);
    }
    free(line);
    fclose(f);
}

static void add_header(const char *line)
{
    size_t have = C.headers ? strlen(C.headers) : 0;
    C.headers = realloc(C.headers, have + strlen(line) + 3);
    sprintf(C.headers + have, "%s\r\n", line);
}

static void read_pids(pids_t *pids, char *list)
{
    for (char *s = strtok(list, ","); s && pids->count < MAX_PIDS; s = strtok(NULL, ","))
        pids->pid[pids->count++] = atoi(s);
}

static void read_targets(char *list)
{
    for (char *s = strtok(list, ","); s && C.ntargets < MAX_TARGETS; s = strtok(NULL, ",")) {
        char *colon = strrchr(s, ':');
        struct sockaddr_in *a = &C.target[C.ntargets];
        if (!colon)
            die("target without port: %s", s);
        snprintf(C.target_name[C.ntargets], sizeof C.target_name[0], "%s", s);
        *colon = 0;
        a->sin_family = AF_INET;
        a->sin_port = htons((uint16_t)atoi(colon + 1));
        if (inet_pton(AF_INET, s, &a->sin_addr) != 1)
            die("not an IPv4 address: %s", s);
        C.ntargets++;
    }
}

static void read_mode(const char *mode)
{
    C.mode_name = mode;
    if (!strcmp(mode, "fanout"))
        C.mode = M_FANOUT;
    else if (!strcmp(mode, "echo"))
        C.mode = M_ECHO;
    else if (!strcmp(mode, "connect"))
        C.mode = M_CONNECT;
    else
        usage();
}

static enum winby window_by(const char *name)
{
    if (!strcmp(name, "ack"))
        return W_ACK;
    if (strcmp(name, "deliver"))
        usage();
    return W_DELIVER;
}

static void read_option(int o)
{
    switch (o) {
    case 't': read_targets(optarg); break;
    case 'n': C.n = atoi(optarg); break;
    case O_PROCS: C.procs = atoi(optarg); break;
    case O_CONC: C.conc = atoi(optarg); break;
    case O_CRATE: C.connect_rate = atof(optarg); break;
    case O_CTO: C.connect_timeout = atof(optarg); break;
    case O_SRC: C.src_count = atoi(optarg); break;
    case O_PATH: C.path = optarg; break;
    case O_QUERY: C.query = optarg; break;
    case O_NS: C.ns = optarg; break;
    case O_AUTH: C.auth = optarg; break;
    case O_AUTHF: read_auths(optarg); break;
    case O_HDR: add_header(optarg); break;
    case O_BODY: C.body = optarg; break;
    case O_PAY: C.payload = atoi(optarg); break;
    case O_WARM: C.warmup = atof(optarg); break;
    case O_DUR: C.dur = atof(optarg); break;
    case O_SETTLE: C.settle = atof(optarg); break;
    case O_DRAIN: C.drain = atof(optarg); break;
    case O_IDLE: C.idle = atof(optarg); break;
    case O_RATE: C.rate = atof(optarg); break;
    case O_WIN: C.window = atoi(optarg); break;
    case O_WINBY: C.winby = window_by(optarg); break;
    case O_PUBS: C.pubs = atoi(optarg); break;
    case O_ACK: C.want_ack = true; break;
    case O_DEAF: C.deaf = true; break;
    case O_EVENT: C.event = optarg; break;
    case O_COUNTED: C.counted = true; break;
    case O_SLOW: C.slow = atoi(optarg); break;
    case O_SRB: C.slow_rcvbuf = atoi(optarg); break;
    case O_DEPTH: C.depth = atoi(optarg); break;
    case O_OK: C.ok_acks = true; break;
    case O_PID: read_pids(&C.server, optarg); break;
    case O_FRIEND: read_pids(&C.friends, optarg); break;
    case O_SPIN: C.spin = true; break;
    case O_QUICKACK: C.quickack = true; break;
    case O_FIN: C.fin_close = true; break;
    default: usage();
    }
}

static void check(void)
{
    struct rlimit rl;
    if (C.n < 1 || C.procs < 1 || C.procs > MAX_WORKERS || C.n < C.procs || C.payload < 35)
        die("bad parameters: payload >= 35, 1 <= procs <= %d, clients >= procs", MAX_WORKERS);
    if (C.pubs < 1 || C.pubs > C.n / C.procs || C.slow < 0 || C.slow + C.pubs * C.deaf >= C.n)
        die("bad parameters: pubs <= clients per worker, slow and deaf < clients");
    if (C.depth < 1 || C.depth > MAX_DEPTH || (C.counted && C.pubs != 1))
        die("bad parameters: 1 <= depth <= %d, one publisher when --counted", MAX_DEPTH);
    if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
        rl.rlim_cur = rl.rlim_max;
        setrlimit(RLIMIT_NOFILE, &rl);
        if ((uint64_t)(C.n / C.procs + 32) > rl.rlim_cur)
            die("%d connections per worker but RLIMIT_NOFILE is %llu: raise --procs", C.n / C.procs,
                (unsigned long long)rl.rlim_cur);
    }
}

void read_options(int argc, char **argv)
{
    char local[] = "127.0.0.1:5000";
    int o;
    if (argc < 2)
        usage();
    read_mode(argv[1]);
    optind = 2;
    while ((o = getopt_long(argc, argv, "t:n:h", LONG, NULL)) != -1)
        read_option(o);
    if (!C.ntargets)
        read_targets(local);
    if (!C.body)
        C.body = C.mode == M_ECHO ? "[\"echo\",\"%T\"]" : "[\"pub\",\"%T\"]";
    check();
}
