#include "text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void *grow(void *items, size_t *room, size_t needed, size_t size)
{
    if (needed <= *room)
        return items;
    if (needed > SIZE_MAX / 2 / size)
        abort();
    *room = needed < 8 ? 8 : 2 * needed;
    items = realloc(items, *room * size);
    if (!items)
        abort();
    return items;
}

void text_add_bytes(struct text *text, const void *bytes, size_t length)
{
    if (length > SIZE_MAX - text->length)
        abort();
    text->bytes = grow(text->bytes, &text->room, text->length + length, 1);
    if (length)
        memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
}

void text_add(struct text *text, const char *words)
{
    text_add_bytes(text, words, strlen(words));
}

void text_add_number(struct text *text, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + number % 10);
    while (number /= 10);
    text_add_bytes(text, digits + at, sizeof digits - at);
}

void text_add_decimal(struct text *text, double value)
{
    if (value < 0)
        text_add(text, "-");
    double scaled = round(fabs(value) * 1e4);
    if (!(scaled < 1e18)) {
        text_add(text, "more than 1e14");
        return;
    }
    uint64_t all = (uint64_t)scaled, rest = all % 10000;
    text_add_number(text, all / 10000);
    text_add(text, rest < 10 ? ".000" : rest < 100 ? ".00" : rest < 1000 ? ".0" : ".");
    text_add_number(text, rest);
}

void text_add_character(struct text *text, uint32_t code)
{
    uint8_t bytes[4];
    size_t more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    for (size_t at = more; at > 0; at--, code >>= 6)
        bytes[at] = 0x80 | (code & 0x3f);
    bytes[0] = (uint8_t)(code | (more ? 0xff00 >> (more + 1) : 0));
    text_add_bytes(text, bytes, more + 1);
}

size_t next_character(const void *bytes, size_t length, uint32_t *code)
{
    const uint8_t *at = bytes;
    if (length == 0 || at[0] < 0x80) {
        *code = length ? at[0] : 0;
        return length > 0;
    }
    size_t more = at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 1 : at[0] < 0xf0 ? 2 : at[0] < 0xf5 ? 3 : 0;
    /* Too long a form, half of a pair, and what lies behind U+10FFFF show in the second byte. */
    uint8_t lowest = at[0] == 0xe0 ? 0xa0 : at[0] == 0xf0 ? 0x90 : 0x80;
    uint8_t highest = at[0] == 0xed ? 0x9f : at[0] == 0xf4 ? 0x8f : 0xbf;
    uint32_t value = at[0] & (0x3f >> more);
    size_t read = 1;
    while (read <= more && read < length && at[read] >= lowest && at[read] <= highest) {
        value = value << 6 | (at[read++] & 0x3f);
        lowest = 0x80;
        highest = 0xbf;
    }
    *code = more && read == more + 1 ? value : 0xfffd;
    return read;
}
