/* The command `{{name}}`: the most frequent words of a file.
 *
 * Its arguments stand in `plugin.toml`, so help, checks and completion never run this code. It reads nothing itself: it asks the
 * host for the dataset `files`, which knows text, JSON Lines, CSV and Parquet. Both that and printing need a permission. What
 * crosses the border is here; the counting is in words.c. `codex-ml plugin build` makes command_plugin.h. What a function is given,
 * and what the host answers, is its own to free. */
#include "command_plugin.h"

#include "json.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>

#define ROWS 1000

bool exports_codex_plugin_command_create(command_plugin_string_t *name, exports_codex_plugin_command_json_t *config,
                                         exports_codex_plugin_command_error_t *error)
{
    command_plugin_string_free(name);
    command_plugin_string_free(config);
    return true;
}

/* Asks the host for the dataset `files` on a path. */
static bool open_files(struct json path, codex_plugin_components_own_some_dataset_t *dataset,
                       exports_codex_plugin_command_error_t *error)
{
    struct text config = {0};
    text_add(&config, "{\"path\": ");
    text_add_bytes(&config, path.text, path.length);
    text_add(&config, "}");
    command_plugin_string_t name, json = {(uint8_t *)config.bytes, config.length};
    command_plugin_string_set(&name, "files");
    bool opened = codex_plugin_components_create_dataset(&name, &json, dataset, error);
    free(config.bytes);
    return opened;
}

static bool same(const command_plugin_string_t *one, const command_plugin_string_t *other)
{
    return one->len == other->len && memcmp(one->ptr, other->ptr, one->len) == 0;
}

/* Counts the words of the column of that name; gives how many rows there were. */
static uint64_t add_rows(struct words *words, const codex_plugin_components_list_column_t *columns,
                         const command_plugin_string_t *name)
{
    for (size_t column = 0; column < columns->len; column++) {
        const codex_plugin_types_column_t *here = &columns->ptr[column];
        if (here->values.tag != CODEX_PLUGIN_TYPES_COLUMN_VALUES_TEXT || !same(&here->name, name))
            continue;
        /* Texts lie one behind the other, with packed offsets between them. */
        const codex_plugin_types_texts_t *texts = &here->values.val.text;
        uint64_t row = 0;
        for (; (row + 2) * 8 <= texts->offsets.len; row++) {
            uint64_t bounds[2];
            memcpy(bounds, texts->offsets.ptr + row * 8, sizeof bounds);
            words_add(words, texts->bytes.ptr + bounds[0], bounds[1] - bounds[0]);
        }
        return row;
    }
    return 0;
}

static bool interrupted(exports_codex_plugin_command_error_t *error)
{
    if (!codex_plugin_host_interrupted())
        return false;
    memset(error, 0, sizeof *error);
    error->kind = CODEX_PLUGIN_TYPES_ERROR_KIND_INTERRUPTED;
    command_plugin_string_dup(&error->message, "interrupted");
    return true;
}

/* Counts the words of the texts of a dataset. */
static bool read_words(codex_plugin_components_borrow_some_dataset_t dataset, struct words *words,
                       exports_codex_plugin_command_error_t *error)
{
    codex_plugin_components_dataset_info_t info;
    if (!codex_plugin_components_method_some_dataset_info(dataset, &info, error))
        return false;
    command_plugin_string_t column;
    command_plugin_string_set(&column, "text");
    if (info.text_column.is_some)
        column = info.text_column.val;
    bool good;
    uint64_t rows = 1;
    for (uint64_t start = 0; (good = !interrupted(error)) && rows > 0; start += rows) {
        codex_plugin_components_list_column_t columns;
        good = codex_plugin_components_method_some_dataset_read(dataset, start, ROWS, &columns, error);
        if (!good)
            break;
        rows = add_rows(words, &columns, &column);
        codex_plugin_components_list_column_free(&columns);
    }
    codex_plugin_components_dataset_info_free(&info);
    return good;
}

/* The arguments were checked against `plugin.toml`, and their defaults are filled in. */
bool exports_codex_plugin_command_run(exports_codex_plugin_command_json_t *arguments, int32_t *exit_code,
                                      exports_codex_plugin_command_error_t *error)
{
    struct json given = json_read(arguments->ptr, arguments->len);
    codex_plugin_components_own_some_dataset_t dataset;
    struct words words = {0};
    bool good = open_files(json_member(given, "path"), &dataset, error);
    if (good) {
        good = read_words(codex_plugin_components_borrow_some_dataset(dataset), &words, error);
        codex_plugin_components_some_dataset_drop_own(dataset);
    }
    if (good) {
        struct text report = {0};
        words_report(&words, json_count(json_member(given, "top"), 0), &report);
        command_plugin_string_t lines = {(uint8_t *)report.bytes, report.length};
        good = codex_plugin_terminal_print(&lines, error);
        free(report.bytes);
    }
    words_free(&words);
    command_plugin_string_free(arguments);
    *exit_code = 0;
    return good;
}
