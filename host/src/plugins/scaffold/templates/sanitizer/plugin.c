/* The sanitizer `{{name}}`: finds numbers of eight digits and more, as accounts and cards have. It only finds; the host decides
 * and redacts.
 *
 * What crosses the border is here; the search is in long_numbers.c. `codex-ml plugin build` makes sanitizer_plugin.h. What a
 * function is given is its own to free. */
#include "sanitizer_plugin.h"

#include "long_numbers.h"

#include <stdlib.h>
#include <string.h>

bool exports_codex_plugin_sanitizer_create(sanitizer_plugin_string_t *name, exports_codex_plugin_sanitizer_json_t *config,
                                           exports_codex_plugin_sanitizer_error_t *error)
{
    sanitizer_plugin_string_free(name);
    sanitizer_plugin_string_free(config);
    return true;
}

bool exports_codex_plugin_sanitizer_rules(exports_codex_plugin_sanitizer_list_rule_t *rules,
                                          exports_codex_plugin_sanitizer_error_t *error)
{
    rules->len = 1;
    rules->ptr = malloc(sizeof *rules->ptr);
    sanitizer_plugin_string_dup(&rules->ptr[0].id, "long-number");
    sanitizer_plugin_string_dup(&rules->ptr[0].entity, "account-number");
    rules->ptr[0].severity = CODEX_PLUGIN_TYPES_SEVERITY_MEDIUM;
    sanitizer_plugin_string_dup(&rules->ptr[0].description, "eight digits or more in a row");
    return true;
}

/* No finding is longer than this many bytes. */
uint32_t exports_codex_plugin_sanitizer_max_span(void)
{
    return RUN_LONGEST;
}

bool exports_codex_plugin_sanitizer_scan(exports_codex_plugin_sanitizer_texts_t *texts,
                                         exports_codex_plugin_sanitizer_stage_t stage,
                                         exports_codex_plugin_sanitizer_list_finding_t *findings,
                                         exports_codex_plugin_sanitizer_error_t *error)
{
    size_t room = 0;
    findings->len = 0;
    findings->ptr = NULL;
    /* The texts are UTF-8, one behind the other, with packed offsets between them. */
    for (size_t text = 0; (text + 2) * 8 <= texts->offsets.len; text++) {
        uint64_t bounds[2];
        memcpy(bounds, texts->offsets.ptr + text * 8, sizeof bounds);
        const uint8_t *bytes = texts->bytes.ptr + bounds[0];
        size_t start = 0, end = 0;
        while (next_run(bytes, bounds[1] - bounds[0], &start, &end)) {
            if (findings->len == room) {
                room = room ? 2 * room : 16;
                findings->ptr = realloc(findings->ptr, room * sizeof *findings->ptr);
            }
            findings->ptr[findings->len++] = (exports_codex_plugin_sanitizer_finding_t){
                .start = start, .end = end, .text = (uint32_t)text, .rule = 0, .confidence = 0.5f};
        }
    }
    exports_codex_plugin_sanitizer_texts_free(texts);
    return true;
}
