#include "../watch.h"

#include <assert.h>
#include <string.h>

static bool takes(struct watch *watch, const char *line)
{
    return watch_event(watch, line, strlen(line));
}

int main(void)
{
    struct watch watch = {.patience = 2};
    /* Other events, and what is no event, are left alone. */
    assert(!takes(&watch, "{\"event\": \"step\", \"metrics\": {\"loss\": 9.0}}") && !watch.seen);
    assert(!takes(&watch, "no event") && !watch.seen);
    /* It warns once, when patience ends. */
    assert(!takes(&watch, "{\"event\":\"evaluation\",\"step\":5,\"metrics\":{\"loss\":3.0}}"));
    assert(!takes(&watch, "{\"metrics\": {\"loss\": 2.0}, \"step\": 10, \"event\": \"evaluation\"}"));
    assert(watch.best == 2.0 && watch.step == 10);
    assert(!takes(&watch, "{\"event\":\"evaluation\",\"step\":15,\"metrics\":{\"loss\":2.1}}"));
    assert(takes(&watch, "{\"event\":\"evaluation\",\"step\":20,\"metrics\":{\"loss\":2.2}}"));
    assert(!takes(&watch, "{\"event\":\"evaluation\",\"step\":25,\"metrics\":{\"loss\":2.3}}"));
    assert(watch.best == 2.0 && watch.step == 10 && watch.since == 3);
    return 0;
}
