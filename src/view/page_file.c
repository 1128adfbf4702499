#include "view/page_file.h"

#include "base/file.h"
#include "view/page/page.h"

int64_t page_bytes(void) {
    int64_t bytes = 0;
    for (int i = 0; i < PAGE_PIECES; i++) bytes += (int64_t)page_piece_of((page_piece_name)i).size;
    return bytes;
}

/* file_write_end reports a failed write. */
static int64_t put_piece(file_writer *w, page_piece_name name) {
    page_piece p = page_piece_of(name);
    fwrite(p.bytes, 1, p.size, w->stream);
    return (int64_t)p.size;
}

esp_status page_write(const char *path, const document *d, int64_t *bytes, esp_error *error) {
    file_writer w;
    ESP_TRY(file_write_begin(&w, path, error));
    *bytes = put_piece(&w, PAGE_HEAD);
    if (d->mathematics) *bytes += put_piece(&w, PAGE_KATEX);
    *bytes += put_piece(&w, PAGE_BODY) + (int64_t)d->text.length;
    fwrite(d->text.at, 1, d->text.length, w.stream);
    *bytes += put_piece(&w, PAGE_TAIL);
    return file_write_end(&w, error);
}
