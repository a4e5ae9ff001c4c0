#include "settings.h"

static bool missing(const char *key, struct text *why)
{
    text_add(why, "config.json has no ");
    text_add(why, key);
    return false;
}

/* A number from 1 to as many as there are ids. */
static bool read_size(struct json config, const char *key, uint32_t *size, struct text *why)
{
    uint64_t number = json_count(json_member(config, key), 0);
    *size = (uint32_t)number;
    return (number > 0 && number <= UINT32_MAX) || missing(key, why);
}

bool settings_read(struct settings *settings, struct json config, struct text *why)
{
    struct json smoothing = json_member(config, "smoothing");
    if (!read_size(config, "vocab_size", &settings->limits.vocab_size, why) ||
        !read_size(config, "sequence_length", &settings->limits.sequence_length, why))
        return false;
    settings->smoothing = json_number(smoothing);
    if (!(settings->smoothing > 0))
        return missing("smoothing", why);
    settings->smoothing_text.length = 0;
    text_add_bytes(&settings->smoothing_text, smoothing.text, smoothing.length);
    return true;
}

void settings_write(const struct settings *settings, const char *model_type, struct text *to)
{
    text_add(to, "{\n  \"model_type\": \"");
    text_add(to, model_type);
    text_add(to, "\",\n  \"vocab_size\": ");
    text_add_number(to, settings->limits.vocab_size);
    text_add(to, ",\n  \"sequence_length\": ");
    text_add_number(to, settings->limits.sequence_length);
    text_add(to, ",\n  \"smoothing\": ");
    text_add_bytes(to, settings->smoothing_text.bytes, settings->smoothing_text.length);
    text_add(to, "\n}\n");
}
