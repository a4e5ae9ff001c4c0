#include "sums.h"

#include <string.h>

static size_t number(uint64_t value, char *to)
{
    size_t digits = 1;
    for (uint64_t rest = value / 10; rest > 0; rest /= 10)
        digits++;
    for (size_t at = digits; at > 0; at--, value /= 10)
        to[at - 1] = (char)('0' + value % 10);
    return digits;
}

size_t sum_write(uint64_t row, char *to)
{
    uint64_t z = (row + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z ^= z >> 27;
    uint64_t a = (z & 0xffffffffu) % 100, b = (z >> 32) % 100;
    size_t at = number(a, to);
    memcpy(to + at, " + ", 3);
    at += 3;
    at += number(b, to + at);
    memcpy(to + at, " = ", 3);
    at += 3;
    return at + number(a + b, to + at);
}
