/* The sanitizer `{{name}}`: finds long numbers, as accounts and cards have. It only finds; the host decides and redacts.
 *
 * What crosses the border is here; the search is in long_numbers.c. `codex-ml plugin build` makes sanitizer_plugin.h. Every
 * component has an instance of its own, so a global variable is its state and nobody else's. What a function is given is its own
 * to free. */
#include "sanitizer_plugin.h"

#include "json.h"
#include "long_numbers.h"

#include <stdlib.h>
#include <string.h>

static size_t shortest = 8;

/* The configuration was checked against `plugin.toml`, and its defaults are filled in. */
bool exports_codex_plugin_sanitizer_create(sanitizer_plugin_string_t *name, exports_codex_plugin_sanitizer_json_t *config,
                                           exports_codex_plugin_sanitizer_error_t *error)
{
    shortest = (size_t)json_count(json_member(json_read(config->ptr, config->len), "shortest"), shortest);
    sanitizer_plugin_string_free(name);
    sanitizer_plugin_string_free(config);
    return true;
}

bool exports_codex_plugin_sanitizer_rules(exports_codex_plugin_sanitizer_list_rule_t *rules,
                                          exports_codex_plugin_sanitizer_error_t *error)
{
    struct text description = {0};
    text_add_number(&description, shortest);
    text_add(&description, " digits or more in a row");
    rules->len = 1;
    rules->ptr = malloc(sizeof *rules->ptr);
    sanitizer_plugin_string_dup(&rules->ptr[0].id, "long-number");
    sanitizer_plugin_string_dup(&rules->ptr[0].entity, "account-number");
    rules->ptr[0].severity = CODEX_PLUGIN_TYPES_SEVERITY_MEDIUM;
    rules->ptr[0].description = (sanitizer_plugin_string_t){(uint8_t *)description.bytes, description.length};
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
        while (next_run(bytes, bounds[1] - bounds[0], shortest, &start, &end)) {
            findings->ptr = grow(findings->ptr, &room, findings->len + 1, sizeof *findings->ptr);
            findings->ptr[findings->len++] = (exports_codex_plugin_sanitizer_finding_t){
                .start = start, .end = end, .text = (uint32_t)text, .rule = 0, .confidence = 0.5f};
        }
    }
    exports_codex_plugin_sanitizer_texts_free(texts);
    return true;
}
