/* The arithmetic of `surprise`, the same in Rust and Python: all sums in double, in the order of the targets, so that
   every language gives the same bits. Nothing here knows of WebAssembly. */
#ifndef SURPRISE_H
#define SURPRISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a state: two counters and two sums, each 8 bytes, little-endian. */
#define SURPRISE_STATE_BYTES 32

typedef struct {
    uint64_t targets;
    uint64_t confident;
    double sum;
    double max;
} surprise_t;

/* Nothing was seen. */
surprise_t surprise_new(void);

/* Adds `count` targets by their natural-log probabilities, packed as 4 bytes each. Gives `count`, or the place of a
   target that is not a number; then nothing was added. */
size_t surprise_update(surprise_t *metric, const uint8_t *scores, size_t count);

/* Mean and greatest surprise in nats, and the share of expected targets; NaN without any target. */
void surprise_scores(const surprise_t *metric, double scores[3]);

/* Everything that was seen, as bytes, and back. */
void surprise_state(const surprise_t *metric, uint8_t state[SURPRISE_STATE_BYTES]);
surprise_t surprise_from_state(const uint8_t state[SURPRISE_STATE_BYTES]);

/* Adds what another instance saw. */
void surprise_merge(surprise_t *metric, const surprise_t *other);

#endif
