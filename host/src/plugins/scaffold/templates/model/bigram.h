/* Counts of pairs of ids, and the probabilities that follow from them: a token is predicted from the one before it. Nothing here
 * knows of WebAssembly. */
#ifndef BIGRAM_H
#define BIGRAM_H

#include "text.h"

struct pair {
    uint32_t id;
    uint64_t times;
};

/* What came after one id, ordered by id. */
struct row {
    struct pair *pairs;
    size_t length, room;
    uint64_t total;
};

/* How often each id came after each other: a row for each id before. It begins as `{0}`. */
struct counts {
    struct row *rows;
    size_t length, room;
};

void counts_add(struct counts *counts, uint32_t before, uint32_t id, uint64_t times);
void counts_merge(struct counts *counts, const struct counts *other);
/* Forgets everything; the memory stays for what is counted next. */
void counts_clear(struct counts *counts);
void counts_free(struct counts *counts);

/* How many different pairs were counted. */
uint64_t counts_distinct(const struct counts *counts);
/* The Euclidean norm of the counts. */
double counts_norm(const struct counts *counts);
double counts_probability(const struct counts *counts, uint32_t before, uint32_t id, uint32_t vocab_size, double smoothing);
/* How many ids are likelier than this one. */
uint32_t counts_rank(const struct counts *counts, uint32_t before, uint32_t id);

/* One line a pair: the id before, the id, how often. */
void counts_write(const struct counts *counts, struct text *to);
/* Adds what `counts_write` wrote; gives 0, or the number of the line that is wrong. */
size_t counts_read(struct counts *counts, const void *text, size_t length, uint32_t vocab_size);

#endif
