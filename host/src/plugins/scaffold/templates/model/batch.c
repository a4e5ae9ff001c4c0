#include "batch.h"

#include <stdlib.h>
#include <string.h>

/* The label of a place that does not count. */
#define IGNORED (-100)

uint32_t u32_at(const uint8_t *packed, uint64_t place)
{
    uint32_t number;
    memcpy(&number, packed + place * 4, 4);
    return number;
}

uint64_t u64_at(const uint8_t *packed, uint64_t place)
{
    uint64_t number;
    memcpy(&number, packed + place * 8, 8);
    return number;
}

static bool is_known(uint64_t id, uint32_t vocab_size, const char *what, struct text *why)
{
    if (id < vocab_size)
        return true;
    text_add(why, what);
    text_add_number(why, id);
    text_add(why, " is not in the vocabulary of ");
    text_add_number(why, vocab_size);
    return false;
}

bool check_sequence(const struct sequences *sequences, size_t sequence, uint64_t before, struct limits limits, struct text *why)
{
    uint64_t start = u64_at(sequences->offsets, sequence), end = u64_at(sequences->offsets, sequence + 1);
    uint64_t length = before + (end - start);
    if (length > limits.sequence_length) {
        text_add(why, "a sequence has ");
        text_add_number(why, length);
        text_add(why, " tokens, and ");
        text_add_number(why, limits.sequence_length);
        text_add(why, " are the most");
        return false;
    }
    for (uint64_t at = start; at < end; at++) {
        if (!is_known(u32_at(sequences->ids, at), limits.vocab_size, "id ", why))
            return false;
    }
    return true;
}

static void end_sequence(struct targets *targets)
{
    uint64_t length = targets->length;
    text_add_bytes(&targets->offsets, &length, sizeof length);
}

bool read_targets(const struct sequences *sequences, const uint8_t *labels, struct limits limits, struct targets *targets,
                  struct text *why)
{
    end_sequence(targets);
    for (size_t sequence = 0; sequence < sequences->count; sequence++) {
        uint64_t start = u64_at(sequences->offsets, sequence), end = u64_at(sequences->offsets, sequence + 1);
        if (!check_sequence(sequences, sequence, 0, limits, why))
            return false;
        for (uint64_t at = start + 1; at < end; at++) {
            uint64_t label = labels ? u64_at(labels, at) : u32_at(sequences->ids, at);
            if ((int64_t)label == IGNORED)
                continue;
            if (!is_known(label, limits.vocab_size, "label ", why))
                return false;
            targets->all = grow(targets->all, &targets->room, targets->length + 1, sizeof *targets->all);
            targets->all[targets->length++] = (struct target){u32_at(sequences->ids, at - 1), (uint32_t)label};
        }
        end_sequence(targets);
    }
    return true;
}

void targets_free(struct targets *targets)
{
    free(targets->all);
    free(targets->offsets.bytes);
    *targets = (struct targets){0};
}
