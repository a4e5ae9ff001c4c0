/* The metric `{{name}}`: how often the model gives the right token less chance than `bound`.
 *
 * What crosses the border is here; the counting is in rate.c. `codex-ml plugin build` makes metric_plugin.h. Every component has
 * an instance of its own, so a global variable is its state and nobody else's. What a function is given is its own to free. */
#include "metric_plugin.h"

#include "json.h"
#include "rate.h"

#include <stdlib.h>
#include <string.h>

static struct rate rate = {.bound = 0.01};

/* The configuration was checked against `plugin.toml`, and its defaults are filled in. */
bool exports_codex_plugin_metric_create(metric_plugin_string_t *name, exports_codex_plugin_metric_json_t *config,
                                        exports_codex_plugin_metric_error_t *error)
{
    rate.bound = json_number(json_member(json_read(config->ptr, config->len), "bound"));
    metric_plugin_string_free(name);
    metric_plugin_string_free(config);
    return true;
}

/* What the host shall compute; what no metric asks for is not computed. */
exports_codex_plugin_metric_metric_needs_t exports_codex_plugin_metric_needs(void)
{
    return CODEX_PLUGIN_TYPES_METRIC_NEEDS_LOG_PROBABILITIES;
}

bool exports_codex_plugin_metric_update(exports_codex_plugin_metric_samples_t *samples,
                                        exports_codex_plugin_metric_error_t *error)
{
    for (size_t at = 0; at + 4 <= samples->log_probabilities.len; at += 4) {
        float score;
        memcpy(&score, samples->log_probabilities.ptr + at, 4);
        rate_add(&rate, score);
    }
    exports_codex_plugin_metric_samples_free(samples);
    return true;
}

/* Everything counted so far: two halves of the data, merged, must give what the whole gives. */
bool exports_codex_plugin_metric_state(metric_plugin_list_u8_t *bytes, exports_codex_plugin_metric_error_t *error)
{
    uint64_t state[2] = {rate.surprises, rate.tokens};
    bytes->ptr = malloc(sizeof state);
    bytes->len = sizeof state;
    memcpy(bytes->ptr, state, sizeof state);
    return true;
}

bool exports_codex_plugin_metric_merge(metric_plugin_list_u8_t *bytes, exports_codex_plugin_metric_error_t *error)
{
    uint64_t state[2];
    bool right = bytes->len == sizeof state;
    if (right) {
        memcpy(state, bytes->ptr, sizeof state);
        rate.surprises += state[0];
        rate.tokens += state[1];
    } else {
        memset(error, 0, sizeof *error);
        error->kind = CODEX_PLUGIN_TYPES_ERROR_KIND_DATA;
        metric_plugin_string_dup(&error->message, "a state has 16 bytes");
    }
    metric_plugin_list_u8_free(bytes);
    return right;
}

bool exports_codex_plugin_metric_compute(exports_codex_plugin_metric_list_score_t *scores,
                                         exports_codex_plugin_metric_error_t *error)
{
    scores->len = 1;
    scores->ptr = malloc(sizeof *scores->ptr);
    metric_plugin_string_dup(&scores->ptr[0].name, "{{snake}}");
    scores->ptr[0].value = rate_value(&rate);
    scores->ptr[0].direction = CODEX_PLUGIN_TYPES_DIRECTION_LOWER;
    return true;
}
