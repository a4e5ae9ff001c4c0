/* Long numbers in texts. Nothing here knows of WebAssembly. */
#ifndef LONG_NUMBERS_H
#define LONG_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longer runs are found in pieces of this many bytes. */
#define RUN_LONGEST 64

/* Finds the next run of at least `shortest` digits behind `*end`; false when there is none. Begin with `*end` 0. */
bool next_run(const uint8_t *text, size_t length, size_t shortest, size_t *start, size_t *end);

#endif
