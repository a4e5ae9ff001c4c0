#include "../sums.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    for (uint64_t row = 0; row < 1000; row++) {
        struct text text = {0};
        sum_write(row, 20, &text);
        text_add_bytes(&text, "", 1);
        int a, b, sum;
        assert(sscanf(text.bytes, "%d + %d = %d", &a, &b, &sum) == 3 && a + b == sum);
        assert(a >= 0 && a < 20 && b >= 0 && b < 20);
        free(text.bytes);
    }
    return 0;
}
