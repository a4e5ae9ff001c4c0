#include "rate.h"

#include <math.h>

void rate_add(struct rate *rate, float log_probability)
{
    rate->surprises += log_probability < log(rate->bound);
    rate->tokens += 1;
}

double rate_value(const struct rate *rate)
{
    return rate->tokens ? (double)rate->surprises / (double)rate->tokens : NAN;
}
