#include "sums.h"

void sum_write(uint64_t row, uint64_t below, struct text *to)
{
    uint64_t z = (row + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z ^= z >> 27;
    uint64_t a = (z & 0xffffffffu) % below, b = (z >> 32) % below;
    text_add_number(to, a);
    text_add(to, " + ");
    text_add_number(to, b);
    text_add(to, " = ");
    text_add_number(to, a + b);
}
