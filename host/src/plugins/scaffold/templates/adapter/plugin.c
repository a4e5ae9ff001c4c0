/* The adapter `{{name}}`: LoRA (Hu et al. 2021) on queries and values. It answers once, with data; the model computes.
 *
 * What crosses the border is here; the choice of sites is in targets.c. `codex-ml plugin build` makes adapter_plugin.h. Every
 * component has an instance of its own, so a global variable is its state and nobody else's. What a function is given is its own
 * to free. */
#include "adapter_plugin.h"

#include "json.h"
#include "targets.h"

#include <stdlib.h>
#include <string.h>

/* The configuration: rank and alpha. */
static adapter_plugin_string_t settings;

bool exports_codex_plugin_adapter_create(adapter_plugin_string_t *name, exports_codex_plugin_adapter_json_t *config,
                                         exports_codex_plugin_adapter_error_t *error)
{
    /* It was checked against `plugin.toml`, and its defaults are filled in. */
    settings = *config;
    adapter_plugin_string_free(name);
    return true;
}

static bool no_target(const exports_codex_plugin_adapter_list_site_t *sites, exports_codex_plugin_adapter_error_t *error)
{
    struct text message = {0}, hint = {0};
    text_add(&message, "no site is one of ");
    for (size_t at = 0; at < TARGET_COUNT; at++) {
        text_add(&message, at ? ", " : "");
        text_add(&message, TARGETS[at]);
    }
    text_add(&hint, "the sites are ");
    for (size_t at = 0; at < sites->len; at++) {
        text_add(&hint, at ? ", " : "");
        text_add_bytes(&hint, sites->ptr[at].name.ptr, sites->ptr[at].name.len);
    }
    memset(error, 0, sizeof *error);
    error->kind = CODEX_PLUGIN_TYPES_ERROR_KIND_CONFIG;
    error->message = (adapter_plugin_string_t){(uint8_t *)message.bytes, message.length};
    error->hint.is_some = true;
    error->hint.val = (adapter_plugin_string_t){(uint8_t *)hint.bytes, hint.length};
    return false;
}

/* Adds a low-rank map beside a site's own. */
static void adapt(codex_plugin_types_site_operation_t *to, const adapter_plugin_string_t *site, uint32_t rank, double alpha)
{
    memset(to, 0, sizeof *to);
    adapter_plugin_string_dup_n(&to->site, (const char *)site->ptr, site->len);
    to->operation.tag = CODEX_PLUGIN_TYPES_OPERATION_LOW_RANK;
    codex_plugin_types_low_rank_t *low_rank = &to->operation.val.low_rank;
    low_rank->rank = rank;
    low_rank->scale = (float)(alpha / rank);
    low_rank->a.tag = CODEX_PLUGIN_TYPES_INIT_KAIMING_UNIFORM;
    /* Beginning at 0, it changes nothing until it has learned. */
    low_rank->b.tag = CODEX_PLUGIN_TYPES_INIT_CONSTANT;
    low_rank->b.val.constant = 0;
    low_rank->train = true;
}

bool exports_codex_plugin_adapter_plan(exports_codex_plugin_adapter_list_site_t *sites,
                                       exports_codex_plugin_adapter_adapter_plan_t *plan,
                                       exports_codex_plugin_adapter_error_t *error)
{
    struct json config = json_read(settings.ptr, settings.len);
    uint32_t rank = (uint32_t)json_count(json_member(config, "rank"), 8);
    struct json alpha = json_member(config, "alpha");
    struct text modules = {0};
    size_t room = 0;
    memset(plan, 0, sizeof *plan);
    for (size_t at = 0; at < sites->len; at++) {
        const exports_codex_plugin_adapter_site_t *site = &sites->ptr[at];
        if (!is_target(site->role.ptr, site->role.len))
            continue;
        size_t place = plan->operations.len++;
        plan->operations.ptr = grow(plan->operations.ptr, &room, plan->operations.len, sizeof *plan->operations.ptr);
        adapt(&plan->operations.ptr[place], &site->name, rank, json_number(alpha));
        text_add(&modules, place ? ", " : "");
        json_write(&modules, site->name.ptr, site->name.len);
    }
    bool found = plan->operations.len > 0 || no_target(sites, error);
    if (found) {
        /* What other readers of the saved adapter look for. */
        struct text saved = {0};
        text_add(&saved, "{\"peft_type\": \"LORA\", \"r\": ");
        text_add_number(&saved, rank);
        text_add(&saved, ", \"lora_alpha\": ");
        text_add_bytes(&saved, alpha.text, alpha.length);
        text_add(&saved, ", \"target_modules\": [");
        text_add_bytes(&saved, modules.bytes, modules.length);
        text_add(&saved, "]}");
        plan->saved_config = (adapter_plugin_string_t){(uint8_t *)saved.bytes, saved.length};
    }
    free(modules.bytes);
    exports_codex_plugin_adapter_list_site_free(sites);
    return found;
}
