#include "json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct json NOTHING = {"", 0};

/* A byte of a value; 0 behind its end. */
static char byte(struct json value, size_t at)
{
    return at < value.length ? value.text[at] : 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_space(struct json in, size_t *at)
{
    while (is_space(byte(in, *at)))
        ++*at;
}

/* The place behind a string's closing mark; 0 where it is not closed. */
static size_t string_end(struct json in, size_t at)
{
    for (at++; at < in.length; at++) {
        if (in.text[at] == '\\')
            at++;
        else if (in.text[at] == '"')
            return at + 1;
    }
    return 0;
}

/* The place behind a value; 0 where it does not end. Depth is counted, so that no text can exhaust the stack. */
static size_t value_end(struct json in, size_t at)
{
    size_t depth = 0;
    while (at < in.length) {
        char c = in.text[at];
        if (c == '"') {
            at = string_end(in, at);
            if (!at)
                return 0;
        } else if (c == '{' || c == '[') {
            depth++;
            at++;
            continue;
        } else if (c == '}' || c == ']') {
            if (depth-- == 0)
                return 0;
            at++;
        } else if (depth && (is_space(c) || c == ',' || c == ':')) {
            at++;
            continue;
        } else {
            size_t start = at;
            while (at < in.length && !is_space(in.text[at]) && !strchr(",:\"{}[]", in.text[at]))
                at++;
            if (at == start)
                return 0;
        }
        if (depth == 0)
            return at;
    }
    return 0;
}

/* Takes the value at a place, and moves behind it. */
static struct json take(struct json in, size_t *at)
{
    skip_space(in, at);
    size_t end = value_end(in, *at);
    if (!end)
        return NOTHING;
    struct json value = {in.text + *at, end - *at};
    *at = end;
    return value;
}

struct json json_read(const void *text, size_t length)
{
    struct json all = {text, length};
    size_t at = 0;
    struct json value = take(all, &at);
    skip_space(all, &at);
    return at == length ? value : NOTHING;
}

bool json_next(struct json list, size_t *at, struct json *name, struct json *value)
{
    char opening = byte(list, 0);
    size_t place = *at;
    if (opening != '{' && opening != '[')
        return false;
    skip_space(list, &place);
    if (*at > 0 && byte(list, place) != ',')
        return false;
    place++;
    *name = NOTHING;
    if (opening == '{') {
        *name = take(list, &place);
        skip_space(list, &place);
        if (byte(list, place++) != ':')
            return false;
    }
    *value = take(list, &place);
    *at = place;
    return value->length > 0;
}

struct json json_member(struct json object, const char *name)
{
    struct json found, value;
    for (size_t at = 0; json_next(object, &at, &found, &value);) {
        if (json_is(found, name))
            return value;
    }
    return NOTHING;
}

double json_number(struct json value)
{
    char digits[64] = {0};
    char first = byte(value, 0);
    if (value.length >= sizeof digits || !(first == '-' || (first >= '0' && first <= '9')))
        return NAN;
    memcpy(digits, value.text, value.length);
    char *end;
    double number = strtod(digits, &end);
    return *end ? NAN : number;
}

uint64_t json_count(struct json value, uint64_t otherwise)
{
    double number = json_number(value);
    /* Up to here a double holds every whole number. */
    return number >= 0 && number <= 9007199254740992.0 && number == floor(number) ? (uint64_t)number : otherwise;
}

/* Four hexadecimal digits. */
static bool hexadecimal(struct json value, size_t at, uint32_t *code)
{
    *code = 0;
    for (size_t place = at; place < at + 4; place++) {
        char c = byte(value, place);
        uint32_t digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : 16;
        if (digit > 15)
            return false;
        *code = *code << 4 | digit;
    }
    return true;
}

/* Adds what an escape says, whose letter is at `*at`, and moves behind it. */
static bool escape(struct json value, size_t *at, struct text *to)
{
    static const char letters[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    char letter = byte(value, (*at)++);
    const char *known = letter ? strchr(letters, letter) : NULL;
    if (known) {
        text_add_bytes(to, &means[known - letters], 1);
        return true;
    }
    uint32_t code, low;
    if (letter != 'u' || !hexadecimal(value, *at, &code))
        return false;
    *at += 4;
    bool high = code >= 0xd800 && code < 0xdc00;
    if (high && byte(value, *at) == '\\' && byte(value, *at + 1) == 'u' && hexadecimal(value, *at + 2, &low) && low >= 0xdc00 &&
        low < 0xe000) {
        code = 0x10000 + ((code - 0xd800) << 10 | (low - 0xdc00));
        *at += 6;
    } else if (code >= 0xd800 && code < 0xe000) {
        code = 0xfffd;
    }
    text_add_character(to, code);
    return true;
}

bool json_string(struct json value, struct text *to)
{
    if (value.length < 2 || value.text[0] != '"')
        return false;
    for (size_t at = 1; at < value.length - 1;) {
        if (value.text[at] != '\\') {
            text_add_bytes(to, &value.text[at++], 1);
            continue;
        }
        at++;
        if (!escape(value, &at, to))
            return false;
    }
    return true;
}

bool json_is(struct json value, const char *words)
{
    struct text says = {0};
    bool same = json_string(value, &says) && says.length == strlen(words) &&
                (says.length == 0 || memcmp(says.bytes, words, says.length) == 0);
    free(says.bytes);
    return same;
}

void json_write(struct text *to, const void *words, size_t length)
{
    const uint8_t *bytes = words;
    text_add(to, "\"");
    for (size_t at = 0; at < length; at++) {
        if (bytes[at] == '"' || bytes[at] == '\\')
            text_add(to, "\\");
        if (bytes[at] >= 0x20) {
            text_add_bytes(to, &bytes[at], 1);
            continue;
        }
        static const char digits[] = "0123456789abcdef";
        const char code[] = {'\\', 'u', '0', '0', digits[bytes[at] >> 4], digits[bytes[at] & 15]};
        text_add_bytes(to, code, sizeof code);
    }
    text_add(to, "\"");
}
