#include "targets.h"

#include <string.h>

const char *const TARGETS[TARGET_COUNT] = {"query", "value", "query-key-value"};

bool is_target(const void *role, size_t length)
{
    for (size_t at = 0; at < TARGET_COUNT; at++) {
        if (length == strlen(TARGETS[at]) && memcmp(role, TARGETS[at], length) == 0)
            return true;
    }
    return false;
}
