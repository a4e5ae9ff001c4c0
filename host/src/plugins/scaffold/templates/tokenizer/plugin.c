/* The tokenizer `{{name}}`: one token a byte, and one that ends a text. Nothing to train, and every text comes back.
 *
 * What crosses the border is here; the tokens are in byte_level.c. It never sees a path: the host reads and writes its files.
 * Numbers cross packed, little-endian, one behind the other. `codex-ml plugin build` makes tokenizer_plugin.h. What a function is
 * given is its own to free. */
#include "tokenizer_plugin.h"

#include "byte_level.h"
#include "json.h"

#include <stdlib.h>
#include <string.h>

static bool fail(exports_codex_plugin_tokenizer_error_t *error, codex_plugin_types_error_kind_t kind, struct text message)
{
    memset(error, 0, sizeof *error);
    error->kind = kind;
    error->message = (tokenizer_plugin_string_t){(uint8_t *)message.bytes, message.length};
    return false;
}

static bool nothing_to_learn(exports_codex_plugin_tokenizer_error_t *error)
{
    struct text message = {0};
    text_add(&message, "{{name}} has nothing to learn");
    return fail(error, CODEX_PLUGIN_TYPES_ERROR_KIND_UNSUPPORTED, message);
}

static uint64_t offset_at(const codex_plugin_types_u64_array_t *offsets, size_t place)
{
    uint64_t offset;
    memcpy(&offset, offsets->ptr + place * 8, 8);
    return offset;
}

/* How many parts lie between offsets. */
static size_t parts(const codex_plugin_types_u64_array_t *offsets)
{
    return offsets->len < 8 ? 0 : offsets->len / 8 - 1;
}

static uint32_t id_at(const codex_plugin_types_u32_array_t *ids, uint64_t place)
{
    uint32_t id;
    memcpy(&id, ids->ptr + place * 4, 4);
    return id;
}

/* Adds the bytes that a token stands for: one, or none for the token that ends a text. */
static bool add_token_bytes(uint32_t id, struct text *to, exports_codex_plugin_tokenizer_error_t *error)
{
    if (id <= END) {
        text_add_bytes(to, &(uint8_t){(uint8_t)id}, id < END);
        return true;
    }
    struct text message = {0};
    text_add(&message, "id ");
    text_add_number(&message, id);
    text_add(&message, " is not in the vocabulary of ");
    text_add_number(&message, END + 1);
    return fail(error, CODEX_PLUGIN_TYPES_ERROR_KIND_DATA, message);
}

/* Texts that are being put together: their bytes, and 8 bytes for each offset. */
struct packed {
    struct text bytes, offsets;
};

static void end_part(struct text *offsets, uint64_t length)
{
    text_add_bytes(offsets, &length, sizeof length);
}

/* Hands the texts over, or frees them. */
static bool give(struct packed *packed, bool good, exports_codex_plugin_tokenizer_texts_t *texts)
{
    if (!good) {
        free(packed->bytes.bytes);
        free(packed->offsets.bytes);
        return false;
    }
    texts->bytes = (tokenizer_plugin_list_u8_t){(uint8_t *)packed->bytes.bytes, packed->bytes.length};
    texts->offsets = (codex_plugin_types_u64_array_t){(uint8_t *)packed->offsets.bytes, packed->offsets.length};
    return true;
}

/* Whether a folder's files hold what `save` gives. */
static bool is_own(const exports_codex_plugin_tokenizer_list_file_t *files)
{
    struct text own = {0};
    add_tokenizer_json(&own);
    bool found = false;
    for (size_t at = 0; at < files->len; at++) {
        const exports_codex_plugin_tokenizer_file_t *file = &files->ptr[at];
        bool named = file->name.len == strlen("tokenizer.json") && memcmp(file->name.ptr, "tokenizer.json", file->name.len) == 0;
        found |= named && file->content.len == own.length && memcmp(file->content.ptr, own.bytes, own.length) == 0;
    }
    free(own.bytes);
    return found;
}

/* `files` are those of the folder that the configuration's `path` names; none without one. */
bool exports_codex_plugin_tokenizer_create(tokenizer_plugin_string_t *name, exports_codex_plugin_tokenizer_json_t *config,
                                           exports_codex_plugin_tokenizer_list_file_t *files,
                                           exports_codex_plugin_tokenizer_error_t *error)
{
    struct text path = {0};
    bool given = json_string(json_member(json_read(config->ptr, config->len), "path"), &path);
    bool good = !given || is_own(files);
    if (good) {
        free(path.bytes);
    } else {
        text_add(&path, " holds no tokenizer.json of this tokenizer");
        fail(error, CODEX_PLUGIN_TYPES_ERROR_KIND_DATA, path);
    }
    tokenizer_plugin_string_free(name);
    tokenizer_plugin_string_free(config);
    exports_codex_plugin_tokenizer_list_file_free(files);
    return good;
}

bool exports_codex_plugin_tokenizer_vocabulary(exports_codex_plugin_tokenizer_vocabulary_info_t *info,
                                               exports_codex_plugin_tokenizer_error_t *error)
{
    memset(info, 0, sizeof *info);
    info->size = END + 1;
    info->special.bos = info->special.eos = (tokenizer_plugin_option_u32_t){true, END};
    info->lossless = true;
    /* Equal fingerprints promise equal tokens: change the number when the tokens change. */
    tokenizer_plugin_string_dup(&info->fingerprint, "{{name}}-1");
    return true;
}

bool exports_codex_plugin_tokenizer_encode(exports_codex_plugin_tokenizer_texts_t *texts,
                                           exports_codex_plugin_tokenizer_encode_options_t *options,
                                           exports_codex_plugin_tokenizer_encoding_t *encoding,
                                           exports_codex_plugin_tokenizer_error_t *error)
{
    struct text ids = {0}, offsets = {0}, spans = {0};
    uint64_t most = options->max_length ? options->max_length : UINT64_MAX;
    end_part(&offsets, 0);
    for (size_t part = 0; part < parts(&texts->offsets); part++) {
        uint64_t start = offset_at(&texts->offsets, part);
        size_t length = (size_t)(offset_at(&texts->offsets, part + 1) - start), at = 0;
        for (uint64_t count = 0; at < length && count < most; count++) {
            uint32_t span[2] = {(uint32_t)at, 0};
            uint32_t id = next_token(texts->bytes.ptr + start, length, options->parse_special_tokens, &at);
            text_add_bytes(&ids, &id, sizeof id);
            span[1] = (uint32_t)at;
            if (options->byte_offsets)
                text_add_bytes(&spans, span, sizeof span);
        }
        end_part(&offsets, ids.length / sizeof(uint32_t));
    }
    encoding->sequences.ids = (codex_plugin_types_u32_array_t){(uint8_t *)ids.bytes, ids.length};
    encoding->sequences.offsets = (codex_plugin_types_u64_array_t){(uint8_t *)offsets.bytes, offsets.length};
    encoding->byte_offsets = (codex_plugin_types_u32_array_t){(uint8_t *)spans.bytes, spans.length};
    exports_codex_plugin_tokenizer_texts_free(texts);
    return true;
}

bool exports_codex_plugin_tokenizer_decode(exports_codex_plugin_tokenizer_ids_t *sequences, bool skip_special_tokens,
                                           exports_codex_plugin_tokenizer_texts_t *texts,
                                           exports_codex_plugin_tokenizer_error_t *error)
{
    struct packed packed = {0};
    struct text bytes = {0};
    bool good = true;
    end_part(&packed.offsets, 0);
    for (size_t part = 0; good && part < parts(&sequences->offsets); part++) {
        uint64_t end = offset_at(&sequences->offsets, part + 1);
        bytes.length = 0;
        for (uint64_t at = offset_at(&sequences->offsets, part); good && at < end; at++) {
            uint32_t id = id_at(&sequences->ids, at);
            if (id == END && !skip_special_tokens)
                text_add(&bytes, END_TEXT);
            else
                good = add_token_bytes(id, &bytes, error);
        }
        add_valid(&packed.bytes, &bytes);
        end_part(&packed.offsets, packed.bytes.length);
    }
    free(bytes.bytes);
    exports_codex_plugin_tokenizer_ids_free(sequences);
    return give(&packed, good, texts);
}

bool exports_codex_plugin_tokenizer_token_bytes(exports_codex_plugin_tokenizer_u32_array_t *ids,
                                                exports_codex_plugin_tokenizer_texts_t *texts,
                                                exports_codex_plugin_tokenizer_error_t *error)
{
    struct packed packed = {0};
    bool good = true;
    end_part(&packed.offsets, 0);
    for (size_t at = 0; good && at < ids->len / 4; at++) {
        good = add_token_bytes(id_at(ids, at), &packed.bytes, error);
        end_part(&packed.offsets, packed.bytes.length);
    }
    exports_codex_plugin_tokenizer_u32_array_free(ids);
    return give(&packed, good, texts);
}

bool exports_codex_plugin_tokenizer_token_texts(exports_codex_plugin_tokenizer_u32_array_t *ids,
                                                tokenizer_plugin_list_option_string_t *texts,
                                                exports_codex_plugin_tokenizer_error_t *error)
{
    size_t room = 0;
    texts->len = ids->len / 4;
    texts->ptr = grow(NULL, &room, texts->len, sizeof *texts->ptr);
    for (size_t at = 0; at < texts->len; at++) {
        struct text token = {0};
        texts->ptr[at].is_some = add_token_text(id_at(ids, at), &token);
        texts->ptr[at].val = (tokenizer_plugin_string_t){(uint8_t *)token.bytes, token.length};
    }
    exports_codex_plugin_tokenizer_u32_array_free(ids);
    return true;
}

bool exports_codex_plugin_tokenizer_token_id(tokenizer_plugin_string_t *token, tokenizer_plugin_option_u32_t *id,
                                             exports_codex_plugin_tokenizer_error_t *error)
{
    id->is_some = find_token(token->ptr, token->len, &id->val);
    tokenizer_plugin_string_free(token);
    return true;
}

bool exports_codex_plugin_tokenizer_save(exports_codex_plugin_tokenizer_list_file_t *files,
                                         exports_codex_plugin_tokenizer_error_t *error)
{
    struct text json = {0};
    size_t room = 0;
    add_tokenizer_json(&json);
    files->len = 1;
    files->ptr = grow(NULL, &room, 1, sizeof *files->ptr);
    tokenizer_plugin_string_dup(&files->ptr[0].name, "tokenizer.json");
    files->ptr[0].content = (tokenizer_plugin_list_u8_t){(uint8_t *)json.bytes, json.length};
    return true;
}

bool exports_codex_plugin_tokenizer_feed(exports_codex_plugin_tokenizer_texts_t *texts,
                                         exports_codex_plugin_tokenizer_error_t *error)
{
    exports_codex_plugin_tokenizer_texts_free(texts);
    return nothing_to_learn(error);
}

bool exports_codex_plugin_tokenizer_finish_training(exports_codex_plugin_tokenizer_error_t *error)
{
    return nothing_to_learn(error);
}
