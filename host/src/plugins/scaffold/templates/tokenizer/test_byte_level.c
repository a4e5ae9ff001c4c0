#include "../byte_level.h"
#include "../json.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
    /* The end is read only where asked for. */
    const uint8_t text[] = "a<|endoftext|>";
    size_t length = sizeof text - 1, at = 0;
    assert(next_token(text, length, true, &at) == 'a' && at == 1);
    assert(next_token(text, length, true, &at) == END && at == length);
    at = 1;
    assert(next_token(text, length, false, &at) == '<' && at == 2);
    assert(next_token(text, length - 1, true, &at) == '|');

    /* Every token has one name, and the vocabulary of tokenizer.json has it. */
    struct text json = {0};
    add_tokenizer_json(&json);
    struct json all = json_read(json.bytes, json.length), vocabulary = json_member(json_member(all, "model"), "vocab");
    for (uint32_t id = 0, found; id <= END; id++) {
        struct text token = {0};
        assert(add_token_text(id, &token) && find_token(token.bytes, token.length, &found) && found == id);
        text_add_bytes(&token, "", 1);
        assert(id == END || json_count(json_member(vocabulary, token.bytes), END) == id);
        free(token.bytes);
    }
    free(json.bytes);
    uint32_t id;
    struct text none = {0};
    assert(!add_token_text(END + 1, &none) && none.length == 0);
    assert(!find_token("no such token", 13, &id) && !find_token("", 0, &id) && !find_token(" ", 1, &id));

    /* What is no UTF-8 is replaced. */
    struct text broken = {0}, valid = {0};
    text_add(&broken, "a\xc4\x8d\xc4");
    add_valid(&valid, &broken);
    assert(valid.length == 6 && memcmp(valid.bytes, "a\xc4\x8d\xef\xbf\xbd", 6) == 0);
    free(broken.bytes);
    free(valid.bytes);
    return 0;
}
