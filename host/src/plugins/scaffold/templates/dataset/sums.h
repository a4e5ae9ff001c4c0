/* Sums of two numbers. Nothing here knows of WebAssembly. */
#ifndef SUMS_H
#define SUMS_H

#include <stddef.h>
#include <stdint.h>

/* No sum is longer: "99 + 99 = 198". */
#define SUM_LONGEST 16

/* Writes a row's text, without an end mark; gives its length. A function of its place, so that any row can be read first. */
size_t sum_write(uint64_t row, char *to);

#endif
