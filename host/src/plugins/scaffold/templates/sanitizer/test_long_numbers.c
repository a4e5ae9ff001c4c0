#include "../long_numbers.h"

#include <assert.h>

int main(void)
{
    const uint8_t text[] = "a 12345678, 1234567";
    size_t start = 0, end = 0;
    assert(next_run(text, sizeof text - 1, 8, &start, &end) && start == 2 && end == 10);
    assert(!next_run(text, sizeof text - 1, 8, &start, &end));
    assert(next_run(text, sizeof text - 1, 7, &start, &end) && start == 12 && end == 19);

    /* A longer run is found in pieces. */
    uint8_t digits[RUN_LONGEST + 6];
    for (size_t at = 0; at < sizeof digits; at++)
        digits[at] = '1';
    end = 0;
    assert(next_run(digits, sizeof digits, 6, &start, &end) && start == 0 && end == RUN_LONGEST);
    assert(next_run(digits, sizeof digits, 6, &start, &end) && start == RUN_LONGEST && end == sizeof digits);
    return 0;
}
