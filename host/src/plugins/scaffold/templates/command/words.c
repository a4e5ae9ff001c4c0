#include "words.h"

#include <stdlib.h>
#include <string.h>
#include <wctype.h>

/* The slot of a word, or the free one where it belongs. */
static uint32_t *find(const struct words *words, const char *bytes, size_t length)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (size_t at = 0; at < length; at++)
        hash = (hash ^ (uint8_t)bytes[at]) * 0x100000001b3u;
    for (size_t at = hash % words->slot_count;; at = (at + 1) % words->slot_count) {
        uint32_t *slot = &words->slots[at];
        if (*slot == 0)
            return slot;
        const struct word *word = &words->all[*slot - 1];
        if (word->length == length && memcmp(word->bytes, bytes, length) == 0)
            return slot;
    }
}

/* At most half of the table is taken, so that a search is short. */
static void make_room(struct words *words)
{
    if (2 * (words->length + 1) <= words->slot_count)
        return;
    free(words->slots);
    words->slot_count = words->slot_count ? 2 * words->slot_count : 1024;
    words->slots = calloc(words->slot_count, sizeof *words->slots);
    if (!words->slots)
        abort();
    for (size_t at = 0; at < words->length; at++)
        *find(words, words->all[at].bytes, words->all[at].length) = (uint32_t)(at + 1);
}

static void count(struct words *words, const struct text *word)
{
    make_room(words);
    uint32_t *slot = find(words, word->bytes, word->length);
    if (*slot == 0) {
        struct text copy = {0};
        text_add_bytes(&copy, word->bytes, word->length);
        words->all = grow(words->all, &words->room, words->length + 1, sizeof *words->all);
        words->all[words->length++] = (struct word){copy.bytes, copy.length, 0};
        *slot = (uint32_t)words->length;
    }
    words->all[*slot - 1].count++;
}

void words_add(struct words *words, const void *text, size_t length)
{
    const char *at = text, *end = at + length;
    struct text word = {0};
    uint32_t code;
    for (size_t width; at < end; at += width) {
        width = next_character(at, (size_t)(end - at), &code);
        if (!iswspace((wint_t)code)) {
            text_add_character(&word, (uint32_t)towlower((wint_t)code));
        } else if (word.length) {
            count(words, &word);
            word.length = 0;
        }
    }
    if (word.length)
        count(words, &word);
    free(word.bytes);
}

static int by_count(const void *one, const void *other)
{
    const struct word *a = *(const struct word *const *)one, *b = *(const struct word *const *)other;
    if (a->count != b->count)
        return a->count < b->count ? 1 : -1;
    int order = memcmp(a->bytes, b->bytes, a->length < b->length ? a->length : b->length);
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

void words_report(const struct words *words, uint64_t top, struct text *to)
{
    const struct word **sorted = NULL;
    size_t room = 0;
    sorted = grow(sorted, &room, words->length, sizeof *sorted);
    for (size_t at = 0; at < words->length; at++)
        sorted[at] = &words->all[at];
    if (words->length)
        qsort(sorted, words->length, sizeof *sorted, by_count);
    for (size_t at = 0; at < words->length && at < top; at++) {
        struct text number = {0};
        text_add_number(&number, sorted[at]->count);
        for (size_t width = number.length; width < 6; width++)
            text_add(to, " ");
        text_add_bytes(to, number.bytes, number.length);
        text_add(to, "  ");
        text_add_bytes(to, sorted[at]->bytes, sorted[at]->length);
        text_add(to, "\n");
        free(number.bytes);
    }
    free(sorted);
}

void words_free(struct words *words)
{
    for (size_t at = 0; at < words->length; at++)
        free(words->all[at].bytes);
    free(words->all);
    free(words->slots);
    *words = (struct words){0};
}
