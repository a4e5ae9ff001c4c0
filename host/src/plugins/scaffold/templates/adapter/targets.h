/* Which sites of a model are adapted. Nothing here knows of WebAssembly. */
#ifndef TARGETS_H
#define TARGETS_H

#include <stdbool.h>
#include <stddef.h>

/* The same words in every architecture; GPT-2 computes queries, keys and values in one map. */
#define TARGET_COUNT 3
extern const char *const TARGETS[TARGET_COUNT];

/* Whether a site of this role is adapted. */
bool is_target(const void *role, size_t length);

#endif
