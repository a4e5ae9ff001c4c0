/* The tracker `{{name}}`: warns when the loss has not fallen for some evaluations.
 *
 * What crosses the border is here; the watching is in watch.c. `codex-ml plugin build` makes tracker_plugin.h. Every component has
 * an instance of its own, so a global variable is its state and nobody else's. What a function is given is its own to free. */
#include "tracker_plugin.h"

#include "json.h"
#include "watch.h"

#include <stdlib.h>
#include <string.h>

static struct watch watch = {.patience = 3};

/* Adds where the best loss was to a message, and logs it. */
static void report(codex_plugin_host_log_level_t level, struct text message)
{
    text_add_decimal(&message, watch.best);
    text_add(&message, " at step ");
    text_add_number(&message, watch.step);
    tracker_plugin_string_t line = {(uint8_t *)message.bytes, message.length};
    codex_plugin_host_log(level, &line);
    free(message.bytes);
}

/* The configuration was checked against `plugin.toml`, and its defaults are filled in. */
bool exports_codex_plugin_tracker_create(tracker_plugin_string_t *name, exports_codex_plugin_tracker_json_t *config,
                                         exports_codex_plugin_tracker_error_t *error)
{
    struct json settings = json_read(config->ptr, config->len);
    watch.patience = json_count(json_member(settings, "patience"), watch.patience);
    tracker_plugin_string_free(name);
    tracker_plugin_string_free(config);
    return true;
}

bool exports_codex_plugin_tracker_start(exports_codex_plugin_tracker_run_info_t *run,
                                        exports_codex_plugin_tracker_error_t *error)
{
    watch = (struct watch){.patience = watch.patience};
    exports_codex_plugin_tracker_run_info_free(run);
    return true;
}

/* The lines of the run's `events.ndjson`, one JSON object each. */
bool exports_codex_plugin_tracker_events(tracker_plugin_string_t *ndjson, exports_codex_plugin_tracker_error_t *error)
{
    const char *line = (const char *)ndjson->ptr, *end = line + ndjson->len;
    while (line < end) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        size_t length = (size_t)((next ? next : end) - line);
        if (watch_event(&watch, line, length)) {
            struct text message = {0};
            text_add(&message, "the loss has not fallen for ");
            text_add_number(&message, watch.since);
            text_add(&message, " evaluations: ");
            report(CODEX_PLUGIN_HOST_LOG_LEVEL_WARNING, message);
        }
        line += length + 1;
    }
    tracker_plugin_string_free(ndjson);
    return true;
}

bool exports_codex_plugin_tracker_finish(exports_codex_plugin_tracker_error_t *error)
{
    if (watch.seen) {
        struct text message = {0};
        text_add(&message, "the best loss was ");
        report(CODEX_PLUGIN_HOST_LOG_LEVEL_INFO, message);
    }
    return true;
}
