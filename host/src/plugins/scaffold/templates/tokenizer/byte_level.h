/* Bytes as tokens. Nothing here knows of WebAssembly. */
#ifndef BYTE_LEVEL_H
#define BYTE_LEVEL_H

#include <stdbool.h>

#include "text.h"

/* The id of the token that ends a text, and how it is written. Below it, an id is a byte. */
#define END 256
#define END_TEXT "<|endoftext|>"

/* The token at a place of a text, with `parse` also the one that ends a text; moves behind it. */
uint32_t next_token(const uint8_t *text, size_t length, bool parse, size_t *at);

/* Adds a token as byte-level vocabularies write it; false for an unknown id. */
bool add_token_text(uint32_t id, struct text *to);

/* The id of what is written so; false where there is none. */
bool find_token(const void *written, size_t length, uint32_t *id);

/* Adds what Hugging Face's readers open as the very same tokenizer: a byte-level BPE without merges. */
void add_tokenizer_json(struct text *to);

/* Adds bytes as UTF-8; what is none becomes U+FFFD. */
void add_valid(struct text *to, const struct text *bytes);

#endif
