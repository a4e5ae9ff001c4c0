#include "../rate.h"

#include <assert.h>
#include <math.h>

int main(void)
{
    struct rate rate = {0.1, 0, 0};
    assert(isnan(rate_value(&rate)));
    rate_add(&rate, logf(0.05f));
    rate_add(&rate, logf(0.5f));
    assert(rate_value(&rate) == 0.5);
    return 0;
}
