/* Texts and lists that grow. The C library's printf is not to be had: it writes through WASI's files, which the sandbox refuses.
 * Nothing here knows of WebAssembly. */
#ifndef TEXT_H
#define TEXT_H

#include <stddef.h>
#include <stdint.h>

/* UTF-8 without an end mark. It begins as `{0}`, and `bytes` is to be freed. */
struct text {
    char *bytes;
    size_t length, room;
};

/* Gives a list room for that many items of `size` bytes. Where no memory is left, the call ends here, and the host says which
 * plugin it was. */
void *grow(void *items, size_t *room, size_t needed, size_t size);

void text_add(struct text *text, const char *words);
void text_add_bytes(struct text *text, const void *bytes, size_t length);
void text_add_number(struct text *text, uint64_t number);
/* Adds a number with four decimals. */
void text_add_decimal(struct text *text, double value);
void text_add_character(struct text *text, uint32_t code);

/* The character that some bytes begin with; gives its length in bytes, 0 at the end. What is no UTF-8 is U+FFFD, in the pieces that
 * the Unicode standard recommends. */
size_t next_character(const void *bytes, size_t length, uint32_t *code);

#endif
