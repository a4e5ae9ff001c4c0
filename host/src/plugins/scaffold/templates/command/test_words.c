#include "../words.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void reports(const struct words *words, uint64_t top, const char *lines)
{
    struct text report = {0};
    words_report(words, top, &report);
    assert(report.length == strlen(lines) && (report.length == 0 || memcmp(report.bytes, lines, report.length) == 0));
    free(report.bytes);
}

int main(void)
{
    struct words words = {0};
    reports(&words, 2, "");
    const char *text = "the cat and The dog\n", *other = "a \tcat";
    words_add(&words, text, strlen(text));
    reports(&words, 2, "     2  the\n     1  and\n");
    words_add(&words, other, strlen(other));
    reports(&words, 0, "");
    reports(&words, 9, "     2  cat\n     2  the\n     1  a\n     1  and\n     1  dog\n");

    /* As many words as the table has to grow for. */
    for (int at = 0; at < 5000; at++) {
        const char word[] = {(char)('a' + at % 17), (char)('a' + at / 17 % 17), (char)('a' + at / 289), ' ', 'z', ' '};
        words_add(&words, word, sizeof word);
    }
    /* "and" and "dog" are among them, and were there before. */
    assert(words.length == 5 + 5000 + 1 - 2);
    reports(&words, 1, "  5000  z\n");
    words_free(&words);
    return 0;
}
