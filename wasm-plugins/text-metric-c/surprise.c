#include "surprise.h"

#include <string.h>

/* A target with a greater log-probability was expected: more likely than all others together. */
static const double EXPECTED = -0.693147180559945309417232121458176568;

surprise_t surprise_new(void)
{
    return (surprise_t){.max = -__builtin_inf()};
}

size_t surprise_update(surprise_t *metric, const uint8_t *scores, size_t count)
{
    surprise_t next = *metric;
    for (size_t at = 0; at < count; at++) {
        /* WebAssembly is little-endian, as the packed numbers are; they need not be aligned. */
        float packed;
        memcpy(&packed, scores + 4 * at, sizeof packed);
        const double score = packed;
        if (score != score) {
            return at;
        }
        next.targets += 1;
        next.confident += score > EXPECTED;
        next.sum += -score;
        if (-score > next.max) {
            next.max = -score;
        }
    }
    *metric = next;
    return count;
}

void surprise_scores(const surprise_t *metric, double scores[3])
{
    if (metric->targets == 0) {
        scores[0] = scores[1] = scores[2] = __builtin_nan("");
        return;
    }
    const double targets = (double)metric->targets;
    scores[0] = metric->sum / targets;
    scores[1] = metric->max;
    scores[2] = (double)metric->confident / targets;
}

void surprise_state(const surprise_t *metric, uint8_t state[SURPRISE_STATE_BYTES])
{
    memcpy(state, &metric->targets, 8);
    memcpy(state + 8, &metric->confident, 8);
    memcpy(state + 16, &metric->sum, 8);
    memcpy(state + 24, &metric->max, 8);
}

surprise_t surprise_from_state(const uint8_t state[SURPRISE_STATE_BYTES])
{
    surprise_t metric;
    memcpy(&metric.targets, state, 8);
    memcpy(&metric.confident, state + 8, 8);
    memcpy(&metric.sum, state + 16, 8);
    memcpy(&metric.max, state + 24, 8);
    return metric;
}

void surprise_merge(surprise_t *metric, const surprise_t *other)
{
    metric->targets += other->targets;
    metric->confident += other->confident;
    metric->sum += other->sum;
    if (other->max > metric->max) {
        metric->max = other->max;
    }
}
