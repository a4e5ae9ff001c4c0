/* Sums of two numbers. Nothing here knows of WebAssembly. */
#ifndef SUMS_H
#define SUMS_H

#include "text.h"

/* Adds a row's text, a sum of two numbers below that one: a function of its place, so that any row can be read first. */
void sum_write(uint64_t row, uint64_t below, struct text *to);

#endif
