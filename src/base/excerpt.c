#include "base/excerpt.h"

#include "base/utf8.h"

static const char unseen[] = "\xef\xbf\xbd";

void excerpt(const char *text, size_t length, size_t most, text_buffer *out) {
    size_t begin = out->length;
    text_puts(out, "");
    for (size_t i = 0; i < length;) {
        size_t n = utf8_length(text + i, length - i);
        bool shown = n > 1 || (n == 1 && text[i] >= ' ' && text[i] != 0x7f);
        bool gap = n == 1 && (text[i] == '\n' || text[i] == '\t');
        if (out->length - begin + (shown ? n : sizeof unseen - 1) > most) {
            text_puts(out, "...");
            return;
        }
        if (shown)
            text_append(out, text + i, n);
        else
            text_puts(out, gap ? " " : unseen);
        i += n ? n : 1;
    }
}
