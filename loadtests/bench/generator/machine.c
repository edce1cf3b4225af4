/* What /proc says of processes and of this machine. */
#include "sioload.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

double cpu_seconds(int pid)
{
    char f[64], b[1024];
    snprintf(f, sizeof f, "/proc/%d/stat", pid);
    FILE *h = fopen(f, "r");
    if (!h)
        return 0;
    size_t n = fread(b, 1, sizeof b - 1, h);
    fclose(h);
    b[n] = 0;
    char *p = strrchr(b, ')');
    unsigned long u = 0, s = 0;
    if (p)
        sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &u, &s);
    return (double)(u + s) / (double)sysconf(_SC_CLK_TCK);
}

static long status_kb(const char *path, const char *key)
{
    char line[256];
    long v = 0;
    FILE *h = fopen(path, "r");
    if (!h)
        return 0;
    while (fgets(line, sizeof line, h))
        if (!strncmp(line, key, strlen(key)))
            v = atol(line + strlen(key));
    fclose(h);
    return v;
}

long kb_of(const pids_t *p, const char *file, const char *key)
{
    char path[64];
    long s = 0;
    for (int i = 0; i < p->count; i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", p->pid[i], file);
        s += status_kb(path, key);
    }
    return s;
}

/* Open descriptors: a server that cuts a slow reader off has one less, whatever the reader sees of it. */
long descriptors_of(const pids_t *p)
{
    char path[64];
    long s = 0;
    for (int i = 0; i < p->count; i++) {
        snprintf(path, sizeof path, "/proc/%d/fd", p->pid[i]);
        DIR *d = opendir(path);
        while (d && readdir(d))
            s++;
        if (d)
            closedir(d);
    }
    return s;
}

long available_kb(void)
{
    return status_kb("/proc/meminfo", "MemAvailable:");
}

double cpu_of(const pids_t *p)
{
    double s = 0;
    for (int i = 0; i < p->count; i++)
        s += cpu_seconds(p->pid[i]);
    return s;
}

/* CPU seconds since boot: *busy is all work on this machine, the result what the hypervisor took. */
double machine_seconds(double *busy)
{
    unsigned long long v[8] = {0};
    FILE *h = fopen("/proc/stat", "r");
    *busy = 0;
    if (!h)
        return 0;
    if (fscanf(h, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", v, v + 1, v + 2, v + 3, v + 4, v + 5, v + 6, v + 7) < 8)
        v[7] = 0;
    fclose(h);
    *busy = (double)(v[0] + v[1] + v[2] + v[5] + v[6]) / (double)sysconf(_SC_CLK_TCK);
    return (double)v[7] / (double)sysconf(_SC_CLK_TCK);
}
