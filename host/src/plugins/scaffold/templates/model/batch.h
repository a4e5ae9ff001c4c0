/* Packed sequences of ids, and what is to be predicted in them. Nothing here knows of WebAssembly. */
#ifndef BATCH_H
#define BATCH_H

#include <stdbool.h>

#include "text.h"

/* What a sequence may hold. */
struct limits {
    uint32_t vocab_size, sequence_length;
};

/* Ids of 4 bytes, one behind the other, and `count + 1` offsets of 8 bytes between them. */
struct sequences {
    const uint8_t *ids, *offsets;
    size_t count;
};

/* An id, and the one before it. */
struct target {
    uint32_t before, id;
};

/* The targets of all sequences, with offsets between them. It begins as `{0}`. */
struct targets {
    struct target *all;
    size_t length, room;
    struct text offsets;
};

uint32_t u32_at(const uint8_t *packed, uint64_t place);
uint64_t u64_at(const uint8_t *packed, uint64_t place);

/* Whether a sequence may follow that many ids; if not, says why. */
bool check_sequence(const struct sequences *sequences, size_t sequence, uint64_t before, struct limits limits, struct text *why);

/* Reads the targets; `labels` has 8 bytes an id, or is NULL where every id is its own. False where something is wrong, and says
 * why. */
bool read_targets(const struct sequences *sequences, const uint8_t *labels, struct limits limits, struct targets *targets,
                  struct text *why);

void targets_free(struct targets *targets);

#endif
