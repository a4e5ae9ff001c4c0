#include "../targets.h"

#include <assert.h>
#include <string.h>

int main(void)
{
    const char *const left_alone[] = {"key", "output", "quer", "query-key", ""};
    for (size_t at = 0; at < TARGET_COUNT; at++)
        assert(is_target(TARGETS[at], strlen(TARGETS[at])));
    for (size_t at = 0; at < sizeof left_alone / sizeof *left_alone; at++)
        assert(!is_target(left_alone[at], strlen(left_alone[at])));
    return 0;
}
