/* What the model is configured with, and how a saved one says so. Nothing here knows of WebAssembly. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "batch.h"
#include "json.h"

/* It begins as `{0}`. */
struct settings {
    struct limits limits;
    double smoothing;
    /* As it was written. */
    struct text smoothing_text;
};

/* Reads a configuration, or what `settings_write` wrote; false where something is missing, and says what. */
bool settings_read(struct settings *settings, struct json config, struct text *why);

void settings_write(const struct settings *settings, const char *model_type, struct text *to);

#endif
