#include "bigram.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const struct row EMPTY = {0};

static const struct row *row_of(const struct counts *counts, uint32_t before)
{
    return before < counts->length ? &counts->rows[before] : &EMPTY;
}

/* The place of an id in a row, or the one where it belongs. */
static size_t place_of(const struct row *row, uint32_t id)
{
    size_t low = 0, high = row->length;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (row->pairs[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint64_t times_of(const struct row *row, uint32_t id)
{
    size_t place = place_of(row, id);
    return place < row->length && row->pairs[place].id == id ? row->pairs[place].times : 0;
}

void counts_add(struct counts *counts, uint32_t before, uint32_t id, uint64_t times)
{
    if (before >= counts->length) {
        counts->rows = grow(counts->rows, &counts->room, (size_t)before + 1, sizeof *counts->rows);
        memset(counts->rows + counts->length, 0, (before + 1 - counts->length) * sizeof *counts->rows);
        counts->length = (size_t)before + 1;
    }
    struct row *row = &counts->rows[before];
    size_t place = place_of(row, id);
    if (place == row->length || row->pairs[place].id != id) {
        row->pairs = grow(row->pairs, &row->room, row->length + 1, sizeof *row->pairs);
        memmove(row->pairs + place + 1, row->pairs + place, (row->length - place) * sizeof *row->pairs);
        row->pairs[place] = (struct pair){id, 0};
        row->length++;
    }
    row->pairs[place].times += times;
    row->total += times;
}

void counts_merge(struct counts *counts, const struct counts *other)
{
    for (size_t before = 0; before < other->length; before++) {
        const struct row *row = &other->rows[before];
        for (size_t at = 0; at < row->length; at++)
            counts_add(counts, (uint32_t)before, row->pairs[at].id, row->pairs[at].times);
    }
}

void counts_clear(struct counts *counts)
{
    for (size_t before = 0; before < counts->length; before++)
        counts->rows[before].length = counts->rows[before].total = 0;
}

void counts_free(struct counts *counts)
{
    for (size_t before = 0; before < counts->length; before++)
        free(counts->rows[before].pairs);
    free(counts->rows);
    *counts = (struct counts){0};
}

uint64_t counts_distinct(const struct counts *counts)
{
    uint64_t distinct = 0;
    for (size_t before = 0; before < counts->length; before++)
        distinct += counts->rows[before].length;
    return distinct;
}

double counts_norm(const struct counts *counts)
{
    double squares = 0;
    for (size_t before = 0; before < counts->length; before++) {
        const struct row *row = &counts->rows[before];
        for (size_t at = 0; at < row->length; at++)
            squares += (double)row->pairs[at].times * (double)row->pairs[at].times;
    }
    return sqrt(squares);
}

double counts_probability(const struct counts *counts, uint32_t before, uint32_t id, uint32_t vocab_size, double smoothing)
{
    const struct row *row = row_of(counts, before);
    return ((double)times_of(row, id) + smoothing) / ((double)row->total + smoothing * vocab_size);
}

uint32_t counts_rank(const struct counts *counts, uint32_t before, uint32_t id)
{
    const struct row *row = row_of(counts, before);
    uint64_t own = times_of(row, id);
    uint32_t rank = 0;
    for (size_t at = 0; at < row->length; at++)
        rank += row->pairs[at].times > own;
    return rank;
}

void counts_write(const struct counts *counts, struct text *to)
{
    for (size_t before = 0; before < counts->length; before++) {
        const struct row *row = &counts->rows[before];
        for (size_t at = 0; at < row->length; at++) {
            text_add_number(to, before);
            text_add(to, " ");
            text_add_number(to, row->pairs[at].id);
            text_add(to, " ");
            text_add_number(to, row->pairs[at].times);
            text_add(to, "\n");
        }
    }
}

/* Takes a number with the one character that ends it; false where there is none, or it is above `most`. */
static bool take_number(const char **at, const char *end, char ends_with, uint64_t most, uint64_t *number)
{
    const char *first = *at;
    *number = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; ++*at) {
        uint64_t digit = (uint64_t)(**at - '0');
        if (digit > most || *number > (most - digit) / 10)
            return false;
        *number = *number * 10 + digit;
    }
    return *at > first && *at < end && *(*at)++ == ends_with;
}

size_t counts_read(struct counts *counts, const void *text, size_t length, uint32_t vocab_size)
{
    const char *at = text, *end = at + length;
    for (size_t line = 1; at < end; line++) {
        uint64_t before, id, times;
        if (!take_number(&at, end, ' ', vocab_size - 1, &before) || !take_number(&at, end, ' ', vocab_size - 1, &id) ||
            !take_number(&at, end, '\n', UINT64_MAX, &times))
            return line;
        counts_add(counts, (uint32_t)before, (uint32_t)id, times);
    }
    return 0;
}
