/* The dataset `{{name}}`: sums of two numbers, `3 + 4 = 7`, made when they are read.
 *
 * What crosses the border is here; the sums are in sums.c. `codex-ml plugin build` makes dataset_plugin.h. Every component has an
 * instance of its own, so a global variable is its state and nobody else's. What a function is given is its own to free. */
#include "dataset_plugin.h"

#include "json.h"
#include "sums.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t rows = 5000, below = 10;

/* The configuration was checked against `plugin.toml`, and its defaults are filled in. */
bool exports_codex_plugin_dataset_create(dataset_plugin_string_t *name, exports_codex_plugin_dataset_json_t *config,
                                         exports_codex_plugin_dataset_error_t *error)
{
    struct json settings = json_read(config->ptr, config->len);
    rows = json_count(json_member(settings, "rows"), rows);
    below = json_count(json_member(settings, "below"), below);
    dataset_plugin_string_free(name);
    dataset_plugin_string_free(config);
    return true;
}

bool exports_codex_plugin_dataset_info(exports_codex_plugin_dataset_dataset_info_t *info,
                                       exports_codex_plugin_dataset_error_t *error)
{
    struct text fingerprint = {0};
    size_t room = 0;
    /* Equal fingerprints promise equal rows: change the number when the rows change. */
    text_add(&fingerprint, "{{name}}-1-");
    text_add_number(&fingerprint, rows);
    text_add(&fingerprint, "-");
    text_add_number(&fingerprint, below);
    memset(info, 0, sizeof *info);
    info->fingerprint = (dataset_plugin_string_t){(uint8_t *)fingerprint.bytes, fingerprint.length};
    info->fields.len = 2;
    info->fields.ptr = grow(NULL, &room, 2, sizeof *info->fields.ptr);
    dataset_plugin_string_dup(&info->fields.ptr[0].name, "text");
    info->fields.ptr[0].field_type = CODEX_PLUGIN_TYPES_FIELD_TYPE_TEXT;
    dataset_plugin_string_dup(&info->fields.ptr[1].name, "log_probability");
    info->fields.ptr[1].field_type = CODEX_PLUGIN_TYPES_FIELD_TYPE_F64;
    info->rows.is_some = info->text_column.is_some = info->log_probability_column.is_some = true;
    info->rows.val = rows;
    dataset_plugin_string_dup(&info->text_column.val, "text");
    dataset_plugin_string_dup(&info->log_probability_column.val, "log_probability");
    return true;
}

bool exports_codex_plugin_dataset_read(uint64_t start, uint64_t count, exports_codex_plugin_dataset_list_column_t *columns,
                                       exports_codex_plugin_dataset_error_t *error)
{
    uint64_t first = start < rows ? start : rows;
    uint64_t most = count < rows - first ? count : rows - first;
    /* Both numbers are drawn uniformly, so how likely each text is is known, and reports show the entropy floor. */
    double log_probability = -2 * log((double)below);
    /* Texts lie one behind the other, with an offset before each and one at the end. Numbers cross packed, little-endian. */
    struct text bytes = {0}, offsets = {0}, scores = {0};
    uint64_t end = 0;
    text_add_bytes(&offsets, &end, sizeof end);
    for (uint64_t row = first; row < first + most; row++) {
        sum_write(row, below, &bytes);
        end = bytes.length;
        text_add_bytes(&offsets, &end, sizeof end);
        text_add_bytes(&scores, &log_probability, sizeof log_probability);
    }

    size_t room = 0;
    columns->len = 2;
    columns->ptr = grow(NULL, &room, 2, sizeof *columns->ptr);
    memset(columns->ptr, 0, 2 * sizeof *columns->ptr);
    codex_plugin_types_column_t *text = &columns->ptr[0], *score = &columns->ptr[1];
    dataset_plugin_string_dup(&text->name, "text");
    text->values.tag = CODEX_PLUGIN_TYPES_COLUMN_VALUES_TEXT;
    text->values.val.text.bytes = (dataset_plugin_list_u8_t){(uint8_t *)bytes.bytes, bytes.length};
    text->values.val.text.offsets = (codex_plugin_types_u64_array_t){(uint8_t *)offsets.bytes, offsets.length};
    dataset_plugin_string_dup(&score->name, "log_probability");
    score->values.tag = CODEX_PLUGIN_TYPES_COLUMN_VALUES_F64;
    score->values.val.f64 = (codex_plugin_types_f64_array_t){(uint8_t *)scores.bytes, scores.length};
    return true;
}
