#include "byte_level.h"

#include "json.h"

#include <stdlib.h>
#include <string.h>

uint32_t next_token(const uint8_t *text, size_t length, bool parse, size_t *at)
{
    size_t width = strlen(END_TEXT);
    if (parse && length - *at >= width && memcmp(text + *at, END_TEXT, width) == 0) {
        *at += width;
        return END;
    }
    return text[(*at)++];
}

static bool is_seen(uint32_t byte)
{
    return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte != 0xad);
}

/* The character that byte-level vocabularies write a byte as: itself where it can be seen, else one from U+0100 on. */
static uint32_t visible(uint32_t byte)
{
    if (is_seen(byte))
        return byte;
    uint32_t unseen = 0;
    for (uint32_t other = 0; other < byte; other++)
        unseen += !is_seen(other);
    return 0x100 + unseen;
}

bool add_token_text(uint32_t id, struct text *to)
{
    if (id < END)
        text_add_character(to, visible(id));
    else if (id == END)
        text_add(to, END_TEXT);
    return id <= END;
}

bool find_token(const void *written, size_t length, uint32_t *id)
{
    if (length == strlen(END_TEXT) && memcmp(written, END_TEXT, length) == 0) {
        *id = END;
        return true;
    }
    uint32_t code;
    if (next_character(written, length, &code) != length || length == 0)
        return false;
    for (*id = 0; *id < END; ++*id) {
        if (visible(*id) == code)
            return true;
    }
    return false;
}

void add_tokenizer_json(struct text *to)
{
    static const char byte_level[] = "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
                                     "\"trim_offsets\": false, \"use_regex\": false}";
    text_add(to, "{\"version\": \"1.0\", \"truncation\": null, \"padding\": null,\n \"added_tokens\": [{\"id\": ");
    text_add_number(to, END);
    text_add(to, ", \"content\": \"" END_TEXT "\", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, "
                 "\"normalized\": false, \"special\": true}],\n \"normalizer\": null, \"pre_tokenizer\": ");
    text_add(to, byte_level);
    text_add(to, ", \"post_processor\": null,\n \"decoder\": ");
    text_add(to, byte_level);
    text_add(to, ",\n \"model\": {\"type\": \"BPE\", \"vocab\": {");
    for (uint32_t id = 0; id < END; id++) {
        struct text token = {0};
        add_token_text(id, &token);
        text_add(to, id ? ", " : "");
        json_write(to, token.bytes, token.length);
        text_add(to, ": ");
        text_add_number(to, id);
        free(token.bytes);
    }
    text_add(to, "}, \"merges\": []}}\n");
}

void add_valid(struct text *to, const struct text *bytes)
{
    uint32_t code;
    for (size_t at = 0; at < bytes->length;) {
        at += next_character(bytes->bytes + at, bytes->length - at, &code);
        text_add_character(to, code);
    }
}
