/* Words and how often they come. Nothing here knows of WebAssembly. */
#ifndef WORDS_H
#define WORDS_H

#include "text.h"

struct word {
    char *bytes;
    size_t length;
    uint64_t count;
};

/* It begins as `{0}`. */
struct words {
    struct word *all;
    size_t length, room;
    /* A hash table: places in the list, counted from 1; 0 where it is free. */
    uint32_t *slots;
    size_t slot_count;
};

/* Counts the words of a text, in lower case. */
void words_add(struct words *words, const void *text, size_t length);

/* Writes a line for each of the most frequent words; of equally frequent ones the first in the alphabet. */
void words_report(const struct words *words, uint64_t top, struct text *to);

void words_free(struct words *words);

#endif
