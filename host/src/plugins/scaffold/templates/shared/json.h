/* Reads JSON where it lies: a value is a part of the text, and nothing is taken apart before somebody asks. What is not there is a
 * value of no length. Nothing here knows of WebAssembly. */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>

#include "text.h"

struct json {
    const char *text;
    size_t length;
};

/* The value that a text holds. */
struct json json_read(const void *text, size_t length);

/* The value of an object's member. */
struct json json_member(struct json object, const char *name);

/* The next item of an array or an object, whose items have a name. Begin with `*at` 0; false behind the last one. */
bool json_next(struct json list, size_t *at, struct json *name, struct json *value);

/* Not a number where it is none. */
double json_number(struct json value);

/* A whole number from 0 on; `otherwise` where it is none. */
uint64_t json_count(struct json value, uint64_t otherwise);

/* Whether it is a string; adds what it says to a text. */
bool json_string(struct json value, struct text *to);

/* Whether it is this very string. */
bool json_is(struct json value, const char *words);

/* Writes a string, in quotation marks. */
void json_write(struct text *to, const void *words, size_t length);

#endif
