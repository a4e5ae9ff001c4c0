/* How often something is a surprise. Nothing here knows of WebAssembly. */
#ifndef RATE_H
#define RATE_H

#include <stdint.h>

struct rate {
    /* The chance below which a token is a surprise. */
    double bound;
    uint64_t surprises, tokens;
};

/* Counts one natural-log probability. */
void rate_add(struct rate *rate, float log_probability);

/* The share of surprises; not a number where nothing was counted. */
double rate_value(const struct rate *rate);

#endif
