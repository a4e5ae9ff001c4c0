#include "../sums.h"

#include <assert.h>
#include <stdio.h>

int main(void)
{
    for (uint64_t row = 0; row < 1000; row++) {
        char text[SUM_LONGEST + 1];
        size_t length = sum_write(row, text);
        assert(length <= SUM_LONGEST);
        text[length] = 0;
        int a, b, sum;
        assert(sscanf(text, "%d + %d = %d", &a, &b, &sum) == 3 && a + b == sum);
    }
    return 0;
}
