/* A histogram of nanoseconds with under one per cent of error: 128 buckets for every power of two. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

#define H_SUB_BITS 7
#define H_SUB (1 << H_SUB_BITS)
#define H_BUCKETS ((44 - H_SUB_BITS) * H_SUB + H_SUB)

typedef struct {
    uint64_t count, sum, max;
    uint64_t b[H_BUCKETS];
} hist_t;

static inline unsigned hist_index(uint64_t v)
{
    if (v < H_SUB)
        return (unsigned)v;
    unsigned e = 63 - (unsigned)__builtin_clzll(v);
    unsigned i = (e - H_SUB_BITS) * H_SUB + H_SUB + (unsigned)((v >> (e - H_SUB_BITS)) & (H_SUB - 1));
    return i < H_BUCKETS ? i : H_BUCKETS - 1;
}

static inline void hist_add(hist_t *h, uint64_t v)
{
    h->count++;
    h->sum += v;
    if (v > h->max)
        h->max = v;
    h->b[hist_index(v)]++;
}

/* The middle of bucket i. */
static inline uint64_t hist_value(unsigned i)
{
    if (i < H_SUB)
        return i;
    unsigned e = (i - H_SUB) / H_SUB + H_SUB_BITS, s = (i - H_SUB) % H_SUB;
    uint64_t w = 1ull << (e - H_SUB_BITS);
    return ((uint64_t)(H_SUB + s) << (e - H_SUB_BITS)) + w / 2;
}

static inline double hist_pct_us(const hist_t *h, double p)
{
    uint64_t want = (uint64_t)(p / 100.0 * (double)h->count + 0.5), seen = 0;
    if (!h->count)
        return 0;
    if (want < 1)
        want = 1;
    for (unsigned i = 0; i < H_BUCKETS; i++) {
        seen += h->b[i];
        if (seen >= want) {
            uint64_t v = hist_value(i);
            return (double)(v > h->max ? h->max : v) / 1000.0;
        }
    }
    return (double)h->max / 1000.0;
}

static inline void hist_merge(hist_t *d, const hist_t *s)
{
    d->count += s->count;
    d->sum += s->sum;
    if (s->max > d->max)
        d->max = s->max;
    for (unsigned i = 0; i < H_BUCKETS; i++)
        d->b[i] += s->b[i];
}

#endif
