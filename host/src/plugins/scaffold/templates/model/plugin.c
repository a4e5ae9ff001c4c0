/* The model `{{name}}`: a bigram model. It trains through the host's loop like any other.
 *
 * What a gradient is to a network, the counts of a batch are to it: a backward pass counts, an optimizer step adds the counts. So
 * the learning rate changes nothing, and one pass over the data (`training.epochs=1`) is all there is to learn. What crosses the
 * border is here; the counts are in bigram.c, the targets of a batch in batch.c. Numbers cross packed, little-endian, one behind
 * the other. `codex-ml plugin build` makes model_plugin.h. Every component has an instance of its own, so a global variable is its
 * state and nobody else's. What a function is given is its own to free. */
#include "model_plugin.h"

#include "batch.h"
#include "bigram.h"
#include "settings.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef exports_codex_plugin_model_error_t model_error;
typedef exports_codex_plugin_model_list_file_t model_files;

/* A text that is being generated: only its length matters, since the last id is all that the next one follows from. */
struct session {
    uint64_t number, length;
};

static struct settings settings;
static struct counts counts;
/* What was counted since the last optimizer step, and the scale of the loss. */
static bool training;
static struct counts fresh;
static double scale;
static struct session *sessions;
static size_t session_count, session_room;
static uint64_t opened;

static bool fail(model_error *error, codex_plugin_types_error_kind_t kind, struct text message)
{
    memset(error, 0, sizeof *error);
    error->kind = kind;
    error->message = (model_plugin_string_t){(uint8_t *)message.bytes, message.length};
    return false;
}

/* Fails with words around a number. */
static bool fail_with(model_error *error, codex_plugin_types_error_kind_t kind, const char *before, uint64_t number,
                      const char *behind)
{
    struct text message = {0};
    text_add(&message, before);
    text_add_number(&message, number);
    text_add(&message, behind);
    return fail(error, kind, message);
}

static bool unsupported(model_error *error, const char *what)
{
    struct text message = {0};
    text_add(&message, what);
    text_add(&message, " is not supported by {{name}}");
    return fail(error, CODEX_PLUGIN_TYPES_ERROR_KIND_UNSUPPORTED, message);
}

static bool has_begun(model_error *error)
{
    struct text message = {0};
    if (training)
        return true;
    text_add(&message, "training has not begun");
    return fail(error, CODEX_PLUGIN_TYPES_ERROR_KIND_FAILED, message);
}

static struct sequences sequences_of(const exports_codex_plugin_model_ids_t *ids)
{
    size_t count = ids->offsets.len < 8 ? 0 : ids->offsets.len / 8 - 1;
    return (struct sequences){ids->ids.ptr, ids->offsets.ptr, count};
}

/* Reads the targets of a batch and frees it. */
static bool targets_of(exports_codex_plugin_model_batch_t *batch, struct targets *targets, model_error *error)
{
    struct text why = {0};
    struct sequences sequences = sequences_of(&batch->sequences);
    const uint8_t *labels = batch->labels.is_some ? batch->labels.val.ptr : NULL;
    bool good = read_targets(&sequences, labels, settings.limits, targets, &why);
    exports_codex_plugin_model_batch_free(batch);
    return good || fail(error, CODEX_PLUGIN_TYPES_ERROR_KIND_DATA, why);
}

/* The natural logarithm of a probability. */
static double score(struct target target)
{
    return log(counts_probability(&counts, target.before, target.id, settings.limits.vocab_size, settings.smoothing));
}

static const exports_codex_plugin_model_file_t *find_file(const model_files *files, const char *name)
{
    for (size_t at = 0; at < files->len; at++) {
        const exports_codex_plugin_model_file_t *file = &files->ptr[at];
        if (file->name.len == strlen(name) && memcmp(file->name.ptr, name, file->name.len) == 0)
            return file;
    }
    return NULL;
}

static bool read_counts(const model_files *files, model_error *error)
{
    const exports_codex_plugin_model_file_t *file = find_file(files, "counts.txt");
    struct counts read = {0};
    if (!file) {
        struct text message = {0};
        text_add(&message, "there is no counts.txt in the folder");
        return fail(error, CODEX_PLUGIN_TYPES_ERROR_KIND_DATA, message);
    }
    size_t wrong = counts_read(&read, file->content.ptr, file->content.len, settings.limits.vocab_size);
    if (wrong) {
        counts_free(&read);
        return fail_with(error, CODEX_PLUGIN_TYPES_ERROR_KIND_DATA, "line ", wrong, " of counts.txt is no count of known ids");
    }
    counts_free(&counts);
    counts = read;
    return true;
}

/* Adds a file to some that are handed over. */
static void add_file(model_files *files, const char *name, struct text content)
{
    files->ptr = realloc(files->ptr, (files->len + 1) * sizeof *files->ptr);
    if (!files->ptr)
        abort();
    exports_codex_plugin_model_file_t *file = &files->ptr[files->len++];
    model_plugin_string_dup(&file->name, name);
    file->content = (model_plugin_list_u8_t){(uint8_t *)content.bytes, content.length};
}

static void add_counts(model_files *files)
{
    struct text content = {0};
    counts_write(&counts, &content);
    add_file(files, "counts.txt", content);
}

/* `files` are those of the folder that the configuration's `path` names; none without one. */
bool exports_codex_plugin_model_create(model_plugin_string_t *name, exports_codex_plugin_model_json_t *config, model_files *files,
                                       model_error *error)
{
    struct json given = json_read(config->ptr, config->len);
    struct text why = {0};
    bool saved = *json_member(given, "path").text == '"';
    if (saved) {
        const exports_codex_plugin_model_file_t *file = find_file(files, "config.json");
        given = file ? json_read(file->content.ptr, file->content.len) : json_read("", 0);
    }
    bool good = settings_read(&settings, given, &why) || fail(error, CODEX_PLUGIN_TYPES_ERROR_KIND_DATA, why);
    good = good && (!saved || read_counts(files, error));
    model_plugin_string_free(name);
    model_plugin_string_free(config);
    exports_codex_plugin_model_list_file_free(files);
    return good;
}

bool exports_codex_plugin_model_info(exports_codex_plugin_model_model_info_t *info, model_error *error)
{
    memset(info, 0, sizeof *info);
    model_plugin_string_dup(&info->architecture, "bigram");
    info->parameters = counts_distinct(&counts);
    info->vocab_size = settings.limits.vocab_size;
    info->max_sequence_length = settings.limits.sequence_length;
    size_t room = 0;
    info->tasks.len = 1;
    info->tasks.ptr = grow(NULL, &room, 1, sizeof *info->tasks.ptr);
    model_plugin_string_dup(&info->tasks.ptr[0], "causal-lm");
    model_plugin_string_dup(&info->device, "cpu");
    model_plugin_string_dup(&info->precision, "f64");
    return true;
}

bool exports_codex_plugin_model_parameters(exports_codex_plugin_model_list_parameter_t *parameters, model_error *error)
{
    size_t room = 0, dimensions = 0;
    parameters->len = 1;
    parameters->ptr = grow(NULL, &room, 1, sizeof *parameters->ptr);
    exports_codex_plugin_model_parameter_t *parameter = &parameters->ptr[0];
    model_plugin_string_dup(&parameter->name, "counts");
    parameter->shape.len = 1;
    parameter->shape.ptr = grow(NULL, &dimensions, 1, sizeof *parameter->shape.ptr);
    parameter->shape.ptr[0] = counts_distinct(&counts);
    model_plugin_string_dup(&parameter->dtype, "u64");
    parameter->trainable = true;
    return true;
}

bool exports_codex_plugin_model_score(exports_codex_plugin_model_batch_t *batch,
                                      exports_codex_plugin_model_score_request_t request,
                                      exports_codex_plugin_model_scores_t *scores, model_error *error)
{
    struct targets targets = {0};
    struct text log_probabilities = {0}, ranks = {0};
    memset(scores, 0, sizeof *scores);
    if (!targets_of(batch, &targets, error)) {
        targets_free(&targets);
        return false;
    }
    for (size_t at = 0; at < targets.length; at++) {
        struct target target = targets.all[at];
        double found = score(target);
        float log_probability = (float)found;
        uint32_t rank = counts_rank(&counts, target.before, target.id);
        text_add_bytes(&log_probabilities, &log_probability, sizeof log_probability);
        text_add_bytes(&ranks, &rank, sizeof rank);
        scores->loss.sum -= found;
    }
    scores->loss.targets = targets.length;
    scores->target_offsets = (codex_plugin_types_u64_array_t){(uint8_t *)targets.offsets.bytes, targets.offsets.length};
    scores->log_probabilities = (codex_plugin_types_f32_array_t){(uint8_t *)log_probabilities.bytes, log_probabilities.length};
    scores->ranks = (codex_plugin_types_u32_array_t){(uint8_t *)ranks.bytes, ranks.length};
    free(targets.all);
    return true;
}

bool exports_codex_plugin_model_save(model_files *files, model_error *error)
{
    struct text config = {0};
    settings_write(&settings, "{{name}}", &config);
    *files = (model_files){0};
    add_file(files, "config.json", config);
    add_counts(files);
    return true;
}

bool exports_codex_plugin_model_begin_training(exports_codex_plugin_model_training_settings_t *given, model_error *error)
{
    training = true;
    counts_clear(&fresh);
    exports_codex_plugin_model_training_settings_free(given);
    return true;
}

bool exports_codex_plugin_model_forward_backward(exports_codex_plugin_model_batch_t *batch,
                                                 exports_codex_plugin_model_training_pass_t *pass,
                                                 exports_codex_plugin_model_loss_t *loss, model_error *error)
{
    struct targets targets = {0};
    bool good = targets_of(batch, &targets, error) && has_begun(error);
    *loss = (exports_codex_plugin_model_loss_t){0};
    for (size_t at = 0; good && at < targets.length; at++) {
        loss->sum -= score(targets.all[at]);
        loss->targets++;
        counts_add(&fresh, targets.all[at].before, targets.all[at].id, 1);
    }
    /* All passes of a step have the same scale. */
    scale = pass->loss_scale;
    targets_free(&targets);
    return good;
}

bool exports_codex_plugin_model_gradients(exports_codex_plugin_model_list_gradient_summary_t *gradients, model_error *error)
{
    size_t room = 0;
    if (!has_begun(error))
        return false;
    gradients->len = 1;
    gradients->ptr = grow(NULL, &room, 1, sizeof *gradients->ptr);
    model_plugin_string_dup(&gradients->ptr[0].name, "counts");
    gradients->ptr[0].norm = scale * counts_norm(&fresh);
    gradients->ptr[0].received = counts_distinct(&fresh) > 0;
    return true;
}

bool exports_codex_plugin_model_do_optimizer_step(exports_codex_plugin_model_optimizer_step_t *step, double *norm,
                                                  model_error *error)
{
    if (!has_begun(error))
        return false;
    *norm = scale * counts_norm(&fresh);
    counts_merge(&counts, &fresh);
    counts_clear(&fresh);
    return true;
}

bool exports_codex_plugin_model_export_state(model_files *files, model_error *error)
{
    *files = (model_files){0};
    add_counts(files);
    return true;
}

bool exports_codex_plugin_model_import_state(model_files *files, model_error *error)
{
    bool good = read_counts(files, error);
    exports_codex_plugin_model_list_file_free(files);
    return good;
}

bool exports_codex_plugin_model_open_session(uint64_t *number, model_error *error)
{
    *number = ++opened;
    sessions = grow(sessions, &session_room, session_count + 1, sizeof *sessions);
    sessions[session_count++] = (struct session){*number, 0};
    return true;
}

static struct session *find_session(uint64_t number, model_error *error)
{
    for (size_t at = 0; at < session_count; at++) {
        if (sessions[at].number == number)
            return &sessions[at];
    }
    fail_with(error, CODEX_PLUGIN_TYPES_ERROR_KIND_FAILED, "there is no session ", number, "");
    return NULL;
}

/* Adds ids to a session, and the logits of the id behind them. */
static bool extend(uint64_t number, const struct sequences *sequences, size_t sequence, struct text *logits, model_error *error)
{
    uint64_t start = u64_at(sequences->offsets, sequence), end = u64_at(sequences->offsets, sequence + 1);
    struct text why = {0};
    struct session *session = find_session(number, error);
    if (!session)
        return false;
    if (!check_sequence(sequences, sequence, session->length, settings.limits, &why))
        return fail(error, CODEX_PLUGIN_TYPES_ERROR_KIND_DATA, why);
    if (start == end)
        return fail_with(error, CODEX_PLUGIN_TYPES_ERROR_KIND_DATA, "session ", number, " is given no ids");
    session->length += end - start;
    for (uint32_t id = 0; id < settings.limits.vocab_size; id++) {
        float logit = (float)score((struct target){u32_at(sequences->ids, end - 1), id});
        text_add_bytes(logits, &logit, sizeof logit);
    }
    return true;
}

bool exports_codex_plugin_model_extend_sessions(exports_codex_plugin_model_u64_array_t *numbers,
                                                exports_codex_plugin_model_ids_t *ids,
                                                exports_codex_plugin_model_f32_array_t *logits, model_error *error)
{
    struct text packed = {0};
    struct sequences sequences = sequences_of(ids);
    bool good = true;
    for (size_t at = 0; good && at < numbers->len / 8 && at < sequences.count; at++)
        good = extend(u64_at(numbers->ptr, at), &sequences, at, &packed, error);
    if (good)
        *logits = (exports_codex_plugin_model_f32_array_t){(uint8_t *)packed.bytes, packed.length};
    else
        free(packed.bytes);
    exports_codex_plugin_model_u64_array_free(numbers);
    exports_codex_plugin_model_ids_free(ids);
    return good;
}

bool exports_codex_plugin_model_truncate_session(uint64_t number, uint64_t length, model_error *error)
{
    struct session *session = find_session(number, error);
    if (!session)
        return false;
    if (length > session->length)
        return fail_with(error, CODEX_PLUGIN_TYPES_ERROR_KIND_DATA, "the session has only ", session->length, " ids");
    session->length = length;
    return true;
}

bool exports_codex_plugin_model_close_session(uint64_t number, model_error *error)
{
    struct session *session = find_session(number, error);
    if (session)
        *session = sessions[--session_count];
    return session;
}

/* What this model cannot do. */

bool exports_codex_plugin_model_embed(exports_codex_plugin_model_ids_t *ids, exports_codex_plugin_model_f32_array_t *embeddings,
                                      model_error *error)
{
    exports_codex_plugin_model_ids_free(ids);
    return unsupported(error, "embedding");
}

bool exports_codex_plugin_model_sites(exports_codex_plugin_model_list_site_t *sites, model_error *error)
{
    return unsupported(error, "an adapter");
}

bool exports_codex_plugin_model_add_adapter(model_plugin_string_t *name, exports_codex_plugin_model_adapter_plan_t *plan,
                                            model_error *error)
{
    model_plugin_string_free(name);
    exports_codex_plugin_model_adapter_plan_free(plan);
    return unsupported(error, "an adapter");
}

bool exports_codex_plugin_model_load_adapter(model_plugin_string_t *name, model_files *files, model_error *error)
{
    model_plugin_string_free(name);
    exports_codex_plugin_model_list_file_free(files);
    return unsupported(error, "an adapter");
}

bool exports_codex_plugin_model_save_adapter(model_plugin_string_t *name, model_files *files, model_error *error)
{
    model_plugin_string_free(name);
    return unsupported(error, "an adapter");
}

bool exports_codex_plugin_model_activate_adapters(model_plugin_list_string_t *names,
                                                  exports_codex_plugin_model_f32_array_t *weights, model_error *error)
{
    model_plugin_list_string_free(names);
    exports_codex_plugin_model_f32_array_free(weights);
    return unsupported(error, "an adapter");
}

bool exports_codex_plugin_model_merge_adapter(model_plugin_string_t *name, bool merged, double *change, model_error *error)
{
    model_plugin_string_free(name);
    return unsupported(error, "an adapter");
}
