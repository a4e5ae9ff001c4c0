/* The metric `surprise-c`: how surprised a model is by what it reads.

   The same metric is written in Rust (`text-metric-rust`) and in Python (`text-metric-python`); the three give the same
   scores to the last bit. Here is what crosses the border; the arithmetic is in `surprise.c`. `metric_plugin.h` is made from
   the WIT by `codex-ml plugin build`.

   What a call is given belongs to it, so it frees it; what it gives is freed by the bindings. */
#include "metric_plugin.h"
#include "surprise.h"

#include <stdlib.h>
#include <string.h>

/* Every component has an instance of its own, so a global variable is its state and nobody else's. */
static surprise_t metric;

static void *allocate(size_t size)
{
    void *memory = malloc(size);
    if (memory == NULL) {
        __builtin_trap();
    }
    return memory;
}

/* Writes a number in decimal; gives its end. */
static char *decimal(char *to, size_t number)
{
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    while (count > 0) {
        *to++ = digits[--count];
    }
    return to;
}

/* An error of kind `data` that says words[0] numbers[0] words[1] numbers[1] words[2]. (printf would bring the output of WASI
   with it, which a plugin does not have.) */
static bool bad_data(codex_plugin_types_error_t *error, const char *const words[3], const size_t numbers[2],
                     const char *hint)
{
    char message[160];
    char *end = message;
    for (int part = 0; part < 3; part++) {
        end = stpcpy(end, words[part]);
        if (part < 2) {
            end = decimal(end, numbers[part]);
        }
    }
    *end = '\0';
    memset(error, 0, sizeof *error);
    error->kind = CODEX_PLUGIN_TYPES_ERROR_KIND_DATA;
    metric_plugin_string_dup(&error->message, message);
    if (hint != NULL) {
        error->hint.is_some = true;
        metric_plugin_string_dup(&error->hint.val, hint);
    }
    return false;
}

bool exports_codex_plugin_metric_create(metric_plugin_string_t *name, exports_codex_plugin_metric_json_t *config,
                                        exports_codex_plugin_metric_error_t *error)
{
    (void)error;
    metric = surprise_new();
    metric_plugin_string_free(name);
    exports_codex_plugin_metric_json_free(config);
    return true;
}

exports_codex_plugin_metric_metric_needs_t exports_codex_plugin_metric_needs(void)
{
    return CODEX_PLUGIN_TYPES_METRIC_NEEDS_LOG_PROBABILITIES;
}

bool exports_codex_plugin_metric_update(exports_codex_plugin_metric_samples_t *samples,
                                        exports_codex_plugin_metric_error_t *error)
{
    const size_t bytes = samples->log_probabilities.len;
    const size_t count = bytes / 4;
    bool done = true;
    if (bytes % 4 != 0) {
        done = bad_data(error, (const char *const[]){"log-probabilities has ", " bytes, which is no multiple of ", ""},
                        (const size_t[]){bytes, 4}, NULL);
    } else {
        const size_t at = surprise_update(&metric, samples->log_probabilities.ptr, count);
        if (at != count) {
            done = bad_data(error, (const char *const[]){"log-probability ", " of ", " is not a number"},
                            (const size_t[]){at, count},
                            "the model's weights may have diverged: lower training.learning_rate");
        }
    }
    exports_codex_plugin_metric_samples_free(samples);
    return done;
}

bool exports_codex_plugin_metric_state(metric_plugin_list_u8_t *state, exports_codex_plugin_metric_error_t *error)
{
    (void)error;
    state->ptr = allocate(SURPRISE_STATE_BYTES);
    state->len = SURPRISE_STATE_BYTES;
    surprise_state(&metric, state->ptr);
    return true;
}

bool exports_codex_plugin_metric_merge(metric_plugin_list_u8_t *state, exports_codex_plugin_metric_error_t *error)
{
    bool done = true;
    if (state->len == SURPRISE_STATE_BYTES) {
        const surprise_t other = surprise_from_state(state->ptr);
        surprise_merge(&metric, &other);
    } else {
        done = bad_data(error, (const char *const[]){"a metric state of ", " bytes where ", " are due"},
                        (const size_t[]){state->len, SURPRISE_STATE_BYTES}, NULL);
    }
    metric_plugin_list_u8_free(state);
    return done;
}

bool exports_codex_plugin_metric_compute(exports_codex_plugin_metric_list_score_t *scores,
                                         exports_codex_plugin_metric_error_t *error)
{
    (void)error;
    static const struct {
        const char *name;
        codex_plugin_types_direction_t direction;
    } named[3] = {
        {"surprise_mean", CODEX_PLUGIN_TYPES_DIRECTION_LOWER},
        {"surprise_max", CODEX_PLUGIN_TYPES_DIRECTION_LOWER},
        {"confident_share", CODEX_PLUGIN_TYPES_DIRECTION_HIGHER},
    };
    double values[3];
    surprise_scores(&metric, values);
    scores->len = 3;
    scores->ptr = allocate(3 * sizeof *scores->ptr);
    for (int index = 0; index < 3; index++) {
        metric_plugin_string_dup(&scores->ptr[index].name, named[index].name);
        scores->ptr[index].value = values[index];
        scores->ptr[index].direction = named[index].direction;
    }
    return true;
}
