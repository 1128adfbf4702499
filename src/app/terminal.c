#include "app/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

bool terminal_is_live(FILE *stream) {
    const char *terminal = getenv("TERM");
    return isatty(fileno(stream)) == 1 && terminal && *terminal && strcmp(terminal, "dumb") != 0;
}

int terminal_width(FILE *stream, int without) {
    enum { LEAST = 20, MOST = 1000 };
    struct winsize size;
    const char *columns = getenv("COLUMNS");
    int width = columns ? atoi(columns) : 0;
    if (ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) width = size.ws_col;
    if (width <= 0) return without;
    return width < LEAST ? LEAST : width > MOST ? MOST : width;
}

bool terminal_locale_is_utf8(void) {
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (int i = 0; i < 3; i++) {
        const char *value = getenv(names[i]);
        if (value && *value) return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}

display terminal_display(FILE *stream, int width_without) {
    const char *no_colour = getenv("NO_COLOR");
    return (display){.unicode = !isatty(fileno(stream)) || terminal_locale_is_utf8(),
                     .colour = terminal_is_live(stream) && !(no_colour && *no_colour),
                     .width = terminal_width(stream, width_without)};
}

void terminal_put(FILE *stream, const char *text) {
    text_buffer clean = {0};
    display_clean_lines(&clean, terminal_display(stream, 80).unicode, text, strlen(text));
    fwrite(clean.at, 1, clean.length, stream);
    text_free(&clean);
}
