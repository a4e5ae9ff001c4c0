/* The dataset `{{name}}`: 5000 sums of two numbers, `3 + 4 = 7`, made when they are read.
 *
 * What crosses the border is here; the sums are in sums.c. `codex-ml plugin build` makes dataset_plugin.h. What a function is given
 * is its own to free. */
#include "dataset_plugin.h"

#include "sums.h"

#include <stdlib.h>
#include <string.h>

#define ROWS 5000

bool exports_codex_plugin_dataset_create(dataset_plugin_string_t *name, exports_codex_plugin_dataset_json_t *config,
                                         exports_codex_plugin_dataset_error_t *error)
{
    dataset_plugin_string_free(name);
    dataset_plugin_string_free(config);
    return true;
}

bool exports_codex_plugin_dataset_info(exports_codex_plugin_dataset_dataset_info_t *info,
                                       exports_codex_plugin_dataset_error_t *error)
{
    memset(info, 0, sizeof *info);
    info->fields.len = 1;
    info->fields.ptr = malloc(sizeof *info->fields.ptr);
    dataset_plugin_string_dup(&info->fields.ptr[0].name, "text");
    info->fields.ptr[0].field_type = CODEX_PLUGIN_TYPES_FIELD_TYPE_TEXT;
    info->rows.is_some = true;
    info->rows.val = ROWS;
    /* Equal fingerprints promise equal rows: change the number when the rows change. */
    dataset_plugin_string_dup(&info->fingerprint, "{{name}}-1");
    info->text_column.is_some = true;
    dataset_plugin_string_dup(&info->text_column.val, "text");
    return true;
}

bool exports_codex_plugin_dataset_read(uint64_t start, uint64_t count, exports_codex_plugin_dataset_list_column_t *columns,
                                       exports_codex_plugin_dataset_error_t *error)
{
    uint64_t from = start < ROWS ? start : ROWS;
    uint64_t rows = count < ROWS - from ? count : ROWS - from;
    /* Texts lie one behind the other, with an offset before each and one at the end. Numbers cross packed, little-endian. */
    uint8_t *bytes = malloc(rows * SUM_LONGEST + 1);
    uint64_t *offsets = malloc((rows + 1) * sizeof *offsets);
    offsets[0] = 0;
    for (uint64_t row = 0; row < rows; row++)
        offsets[row + 1] = offsets[row] + sum_write(from + row, (char *)bytes + offsets[row]);

    columns->len = 1;
    columns->ptr = calloc(1, sizeof *columns->ptr);
    dataset_plugin_string_dup(&columns->ptr[0].name, "text");
    columns->ptr[0].values.tag = CODEX_PLUGIN_TYPES_COLUMN_VALUES_TEXT;
    columns->ptr[0].values.val.text.bytes.ptr = bytes;
    columns->ptr[0].values.val.text.bytes.len = offsets[rows];
    columns->ptr[0].values.val.text.offsets.ptr = (uint8_t *)offsets;
    columns->ptr[0].values.val.text.offsets.len = (rows + 1) * sizeof *offsets;
    return true;
}
