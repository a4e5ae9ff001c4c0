#include "long_numbers.h"

bool next_run(const uint8_t *text, size_t length, size_t shortest, size_t *start, size_t *end)
{
    size_t at = *end;
    while (at < length) {
        size_t run = 0;
        while (at + run < length && run < RUN_LONGEST && text[at + run] >= '0' && text[at + run] <= '9')
            run++;
        if (run >= shortest) {
            *start = at;
            *end = at + run;
            return true;
        }
        at += run ? run : 1;
    }
    return false;
}
