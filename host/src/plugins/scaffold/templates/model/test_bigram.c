#include "../bigram.h"
#include "../settings.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t reads(struct counts *counts, const char *text, uint32_t vocab_size)
{
    return counts_read(counts, text, strlen(text), vocab_size);
}

static void probabilities_and_counts(void)
{
    /* Probabilities sum to one and follow the counts. */
    struct counts counts = {0};
    counts_add(&counts, 0, 2, 1);
    counts_add(&counts, 0, 1, 2);
    counts_add(&counts, 0, 1, 1);
    double chances[4], sum = 0;
    for (uint32_t id = 0; id < 4; id++)
        sum += chances[id] = counts_probability(&counts, 0, id, 4, 0.1);
    assert(fabs(sum - 1) < 1e-12 && chances[1] > chances[2] && chances[2] > chances[3]);
    assert(counts_rank(&counts, 0, 1) == 0 && counts_rank(&counts, 0, 2) == 1 && counts_rank(&counts, 0, 3) == 2);
    assert(counts_probability(&counts, 3, 0, 4, 0.1) == 0.25);
    assert(counts_distinct(&counts) == 2 && counts_norm(&counts) == sqrt(10));

    /* Counts are added to counts. */
    struct counts fresh = {0};
    counts_add(&fresh, 3, 0, 5);
    counts_add(&fresh, 0, 1, 1);
    counts_merge(&counts, &fresh);
    counts_clear(&fresh);
    assert(counts_distinct(&fresh) == 0 && counts_norm(&fresh) == 0 && counts_probability(&fresh, 3, 0, 4, 0.1) == 0.25);

    /* What is written is read; what is wrong is not. */
    struct text text = {0};
    counts_write(&counts, &text);
    text_add_bytes(&text, "", 1);
    assert(strcmp(text.bytes, "0 1 4\n0 2 1\n3 0 5\n") == 0);
    assert(reads(&fresh, text.bytes, 4) == 0 && counts_norm(&fresh) == counts_norm(&counts));
    assert(reads(&fresh, "0 1 2\n0 4 1\n", 4) == 2);
    assert(reads(&fresh, "0 1\n", 4) == 1 && reads(&fresh, "0 1 2", 4) == 1 && reads(&fresh, "0  1 2\n", 4) == 1);
    assert(reads(&fresh, "0 1 18446744073709551616\n", 4) == 1);
    counts_free(&counts);
    counts_free(&fresh);
    free(text.bytes);
}

static bool says(struct text *text, const char *words)
{
    bool same = text->length == strlen(words) && memcmp(text->bytes, words, text->length) == 0;
    free(text->bytes);
    *text = (struct text){0};
    return same;
}

static void targets_of_a_batch(void)
{
    /* Two sequences, of three ids and of one. */
    const uint32_t ids[] = {3, 1, 2, 0};
    const uint64_t offsets[] = {0, 3, 4};
    const int64_t labels[] = {3, -100, 0, 0}, unknown[] = {0, 4, 0, 0};
    const struct sequences sequences = {(const uint8_t *)ids, (const uint8_t *)offsets, 2};
    const struct limits limits = {4, 3};
    struct targets targets = {0};
    struct text why = {0};
    assert(read_targets(&sequences, NULL, limits, &targets, &why) && targets.length == 2);
    assert(targets.all[0].before == 3 && targets.all[0].id == 1 && targets.all[1].before == 1 && targets.all[1].id == 2);
    const uint64_t ends[] = {0, 2, 2};
    assert(targets.offsets.length == sizeof ends && memcmp(targets.offsets.bytes, ends, sizeof ends) == 0);
    targets_free(&targets);
    assert(read_targets(&sequences, (const uint8_t *)labels, limits, &targets, &why) && targets.length == 1);
    assert(targets.all[0].before == 1 && targets.all[0].id == 0);
    targets_free(&targets);

    assert(!read_targets(&sequences, (const uint8_t *)unknown, limits, &targets, &why));
    assert(says(&why, "label 4 is not in the vocabulary of 4"));
    assert(!check_sequence(&sequences, 0, 0, (struct limits){3, 9}, &why));
    assert(says(&why, "id 3 is not in the vocabulary of 3"));
    assert(check_sequence(&sequences, 1, 2, limits, &why) && !check_sequence(&sequences, 1, 3, limits, &why));
    assert(says(&why, "a sequence has 4 tokens, and 3 are the most"));
    targets_free(&targets);
}

static void settings_that_are_written_are_read(void)
{
    const char *given = "{\"smoothing\": 0.25, \"vocab_size\": 4, \"path\": null, \"sequence_length\": 8}";
    const char *without = "{\"vocab_size\": 4}";
    struct settings settings = {0}, again = {0};
    struct text written = {0}, why = {0};
    assert(settings_read(&settings, json_read(given, strlen(given)), &why));
    settings_write(&settings, "bigram", &written);
    assert(settings_read(&again, json_read(written.bytes, written.length), &why));
    assert(again.limits.vocab_size == 4 && again.limits.sequence_length == 8 && again.smoothing == 0.25);
    assert(!settings_read(&again, json_read(without, strlen(without)), &why));
    assert(says(&why, "config.json has no sequence_length"));
    free(written.bytes);
    free(settings.smoothing_text.bytes);
    free(again.smoothing_text.bytes);
}

int main(void)
{
    probabilities_and_counts();
    targets_of_a_batch();
    settings_that_are_written_are_read();
    return 0;
}
