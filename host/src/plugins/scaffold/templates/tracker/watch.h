/* When a loss stops falling. Nothing here knows of WebAssembly. */
#ifndef WATCH_H
#define WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct watch {
    /* After how many evaluations without a better loss it warns. */
    uint64_t patience;
    /* The best evaluation so far, where there was one, and how many came after it. */
    bool seen;
    double best;
    uint64_t step, since;
};

/* Takes one line of events; whether the loss has now not fallen for `patience` evaluations. */
bool watch_event(struct watch *watch, const char *line, size_t length);

#endif
