#include "watch.h"

#include "json.h"

#include <math.h>

bool watch_event(struct watch *watch, const char *line, size_t length)
{
    struct json event = json_read(line, length);
    double loss = json_number(json_member(json_member(event, "metrics"), "loss"));
    /* Events that it does not know must not disturb it: later versions have more of them. */
    if (!json_is(json_member(event, "event"), "evaluation") || isnan(loss))
        return false;
    if (!watch->seen || loss < watch->best) {
        watch->seen = true;
        watch->best = loss;
        watch->step = json_count(json_member(event, "step"), 0);
        watch->since = 0;
        return false;
    }
    watch->since++;
    return watch->since == watch->patience;
}
