/* libFuzzer: arbitrary bytes as a chat template, rendered with a conversation. Build with clang
 * -fsanitize=fuzzer,address,undefined. */
#include "text/jinja/jinja.h"

#include <stdlib.h>
#include <string.h>

static const char conversation[] =
    "{\"messages\": [{\"role\": \"system\", \"content\": \" \\uE000 \"}, {\"role\": \"user\", \"content\": "
    "\"\\uE001\\n\"}, {\"role\": \"assistant\", \"content\": \"\\uE002\"}], \"n\": 3, \"x\": 1.5, \"l\": [1, "
    "\"a\", null, "
    "{\"k\": true}], \"bos_token\": \"<s>\", \"add_generation_prompt\": true}";

/* The marks are in order, and inside the text. */
static void check_marks(const marked_text *text) {
    size_t at = 0;
    for (int64_t i = 0; i < text->trusted.count; i++) {
        text_span span = text->trusted.at[i];
        if (span.start < at || span.end <= span.start || span.end > text->text.length) abort();
        at = span.end;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    static const char *const own[] = {"role", "bos_token", NULL};
    jinja *t;
    esp_error error = {0};
    if (jinja_compile(&t, (const char *)bytes, n, &error) != ESP_OK) {
        if (!error.message[0]) abort();
        return 0;
    }
    json_t *context = json_loads(conversation, 0, NULL);
    jinja_input input = {.context = context,
                         .own = own,
                         .date = "26 Jul 2024",
                         .limits = {.steps = 20000, .bytes = 1 << 20, .depth = 100}};
    marked_text text = {0};
    if (jinja_render(t, &input, &text, &error) == ESP_OK)
        check_marks(&text);
    else if (!error.message[0])
        abort();
    if (text.text.length > input.limits.bytes) abort();
    marked_text_free(&text);
    json_decref(context);
    jinja_free(t);
    return 0;
}
