#include "../long_numbers.h"

#include <assert.h>

int main(void)
{
    const uint8_t text[] = "a 12345678, 1234567";
    size_t start = 0, end = 0;
    assert(next_run(text, sizeof text - 1, &start, &end) && start == 2 && end == 10);
    assert(!next_run(text, sizeof text - 1, &start, &end));
    return 0;
}
