/* LaTeX commands and brackets. */
#include "grade/reader.h"
#include "grade/units.h"

/* ---- Brackets ---- */

/* a \over b, n \choose k inside a group. */
static const expr *read_infix(reader *r, const expr *left) {
    bool over = accept_command(r, "over"), choose = !over && accept_command(r, "choose");
    if (!over && !choose) return left;
    const expr *right = read_relation(r);
    if (!right) return NULL;
    if (over) return expr_quotient(r->pool, left, right);
    return expr_call(r->pool, FUNCTION_BINOM, (const expr *const[]){left, right}, 2);
}

/* Elements separated by commas or semicolons up to a closing sign of `closing`, which *close becomes. */
static bool read_elements(reader *r, const char *closing, expr_list *out, unsigned char *close) {
    for (;;) {
        const expr *e = read_relation(r);
        if (e) e = read_infix(r, e);
        if (!e) return false;
        MEM_LIST_PUSH(out, e);
        skip_spaces(r);
        unsigned char c = peek(r);
        if (c && strchr(closing, c)) {
            *close = c;
            r->i++;
            return true;
        }
        if (c != ',' && c != ';') return false;
        r->i++;
        skip_spaces(r);
        if (peek(r) == ')' && *closing == ')') { /* (5,) */
            *close = ')';
            r->i++;
            return true;
        }
    }
}

static bool read_until_command(reader *r, const char *closing, expr_list *out) {
    for (;;) {
        const expr *e = read_relation(r);
        if (!e) return false;
        MEM_LIST_PUSH(out, e);
        if (accept_command(r, closing)) return true;
        if (!accept(r, ",") && !accept(r, ";")) return false;
    }
}

static const expr *bracketed(reader *r, unsigned char open) {
    expr_list parts = {0};
    unsigned char close = 0;
    const expr *e = NULL;
    int brackets = r->brackets;
    r->brackets += open != '{';
    bool set = open == CLEAN_SET_OPEN || open == '{';
    const char *closing = open == '{' ? "}" : set ? (const char[]){CLEAN_SET_CLOSE, 0} : ")]";
    if (read_elements(r, closing, &parts, &close)) {
        bool pair = set || (open == '(') == (close == ')');
        if (open == CLEAN_SET_OPEN || (set && parts.count > 1))
            e = expr_node(r->pool, EXPR_SET, 0, parts.at, parts.count);
        else if (parts.count == 1)
            e = pair ? parts.at[0] : NULL;
        else
            e = expr_node(r->pool, EXPR_TUPLE, open * 256 + close, parts.at, parts.count);
    }
    r->brackets = brackets;
    MEM_LIST_FREE(&parts);
    return e;
}

static const expr *read_absolute(reader *r) {
    const expr *inside = read_sum(r);
    if (!inside || !accept(r, "|")) return NULL;
    return expr_call(r->pool, FUNCTION_ABS, &inside, 1);
}

/* \text{...}: words of the answer, or mathematics in another font. */
static const expr *read_words(reader *r) {
    size_t end = letters_end(r, r->i);
    int id = peek_at(r, end) == CLEAN_WORDS_CLOSE ? function_find(r->at + r->i, end - r->i) : -1;
    if (id >= 0) {
        r->i = end + 1;
        return read_call(r, (function_id)id);
    }
    int words = r->words;
    r->words = 1;
    const expr *e = read_sum(r);
    r->words = words;
    skip_spaces(r);
    if (!e || peek(r) != CLEAN_WORDS_CLOSE) return NULL;
    r->i++;
    return e;
}

const expr *read_brackets(reader *r) {
    size_t start = r->i;
    unsigned char open = peek(r);
    r->i++;
    const expr *e = NULL;
    if (open == CLEAN_SET_OPEN && accept(r, (const char[]){CLEAN_SET_CLOSE, 0}))
        e = expr_node(r->pool, EXPR_SET, 0, NULL, 0);
    else if (open == '|')
        e = read_absolute(r);
    else if (open == CLEAN_WORDS_OPEN)
        e = read_words(r);
    else if (open == CLEAN_SET_OPEN)
        e = read_set_by_rule(r);
    if (!e && open != '|' && open != CLEAN_WORDS_OPEN) e = bracketed(r, open);
    if (!e) r->i = start;
    return e;
}

/* ---- Commands ---- */

const expr *read_argument(reader *r) {
    skip_spaces(r);
    unsigned char c = peek(r);
    if (is_digit(c)) {
        r->i++;
        return expr_integer(r->pool, c - '0');
    }
    if (is_letter(c) && c < 0x80) {
        const expr *e;
        reader one = *r;
        one.length = r->i + 1;
        e = read_letters(&one);
        if (e) r->i++;
        return e;
    }
    return read_primary(r);
}

static const expr *two_arguments(reader *r, const expr **second) {
    const expr *first = read_argument(r);
    *second = first ? read_argument(r) : NULL;
    return *second ? first : NULL;
}

static const expr *read_fraction(reader *r) {
    const expr *bottom, *top = two_arguments(r, &bottom);
    return top ? expr_quotient(r->pool, top, bottom) : NULL;
}

static const expr *read_binomial(reader *r) {
    const expr *parts[2];
    parts[0] = two_arguments(r, &parts[1]);
    return parts[0] ? expr_call(r->pool, FUNCTION_BINOM, parts, 2) : NULL;
}

static const expr *read_root(reader *r) {
    const expr *degree = expr_integer(r->pool, 2);
    if (accept(r, "[")) {
        degree = read_sum(r);
        if (!degree || !accept(r, "]")) return NULL;
    }
    const expr *inside = read_argument(r);
    return inside ? expr_root(r->pool, inside, degree) : NULL;
}

/* A root sign of Unicode has a whole number or a bracket after it. */
static const expr *read_sign_root(reader *r, int64_t degree) {
    const expr *inside = read_primary(r);
    return inside ? expr_root(r->pool, inside, expr_integer(r->pool, degree)) : NULL;
}

static const expr *read_rounded(reader *r, const char *closing, function_id id) {
    const expr *inside = read_sum(r);
    return inside && accept_command(r, closing) ? expr_call(r->pool, id, &inside, 1) : NULL;
}

static const expr *read_vector(reader *r) {
    expr_list parts = {0};
    const expr *e = NULL;
    r->brackets++;
    if (read_until_command(r, "rangle", &parts))
        e = expr_node(r->pool, EXPR_TUPLE, '(' * 256 + ')', parts.at, parts.count);
    r->brackets--;
    MEM_LIST_FREE(&parts);
    return e;
}

/* The entries up to \end; *rows and the entries' number say the shape. */
static bool read_entries(reader *r, expr_list *out, int64_t *rows) {
    int64_t width = 0, in_row = 0;
    for (*rows = 0;;) {
        const expr *e = read_relation(r);
        if (!e) return false;
        MEM_LIST_PUSH(out, e);
        in_row++;
        if (accept(r, "&")) continue;
        if (*rows > 0 && in_row != width) return false;
        width = in_row;
        in_row = 0;
        ++*rows;
        bool more = accept(r, "\\\\");
        if (more && accept(r, "[")) { /* \\[2pt] */
            const char *close = memchr(r->at + r->i, ']', r->length - r->i);
            if (!close) return false;
            r->i = (size_t)(close - r->at) + 1;
        }
        if (accept_command(r, "end")) return true;
        if (!more) return false;
    }
}

static const expr *read_matrix(reader *r) {
    static const char *const names[] = {"{pmatrix}", "{bmatrix}",     "{Bmatrix}",
                                        "{matrix}",  "{smallmatrix}", "{array}"};
    const char *name = NULL;
    if (accept(r, "{cases}")) return read_cases(r);
    for (size_t i = 0; !name && i < sizeof names / sizeof *names; i++)
        if (accept(r, names[i])) name = names[i];
    if (!name) return NULL;
    if (strcmp(name, "{array}") == 0 && accept(r, "{")) {
        const char *close = memchr(r->at + r->i, '}', r->length - r->i);
        if (!close) return NULL;
        r->i = (size_t)(close - r->at) + 1;
    }
    expr_list parts = {0};
    int64_t rows = 0;
    int brackets = r->brackets;
    r->brackets++;
    const expr *e = NULL;
    if (read_entries(r, &parts, &rows) && accept(r, name))
        e = expr_node(r->pool, EXPR_MATRIX, (int)rows, parts.at, parts.count);
    r->brackets = brackets;
    MEM_LIST_FREE(&parts);
    return e;
}

static const struct {
    const char *name, *unit;
} currencies[] = {{"usd", "usd"}, {"eur", "eur"}, {"gbp", "gbp"},
                  {"jpy", "jpy"}, {"inr", "inr"}, {"cent", "cent"}};

/* Whether a number, or the end of a group, is before the place i. */
static bool follows_factor(const reader *r, size_t i) {
    while (i > 0 && is_space((unsigned char)r->at[i - 1])) i--;
    return i > 0 && (is_digit((unsigned char)r->at[i - 1]) || strchr(".)}]", r->at[i - 1]));
}

/* $5, and 5$ where no number follows; a sign alone is none. `sign` is where the command begins. */
static const expr *read_currency(reader *r, const char *unit, size_t sign) {
    const expr *u = expr_leaf(r->pool, EXPR_UNIT, unit_find(unit, strlen(unit)));
    size_t start = r->i;
    skip_spaces(r);
    unsigned char c = peek(r);
    const expr *amount = NULL;
    if (is_digit(c) || c == '.' || c == '-' || c == '+' || c == '{' || c == '\\') amount = read_factor(r);
    if (amount) return read_with_unit(r, amount, u);
    r->i = start;
    return follows_factor(r, sign) ? u : NULL;
}

/* Commands that are names or part of an operator elsewhere. */
static bool is_operator_command(const reader *r, size_t start, size_t end) {
    static const char *const operators[] = {
        "cup",   "cap",    "setminus", "in",     "pm",       "mp",     "to",     "over",    "choose",
        "end",   "degree", "rangle",   "rfloor", "rceil",    "int",    "sum",    "prod",    "lim",
        "begin", "not",    "overline", "subset", "subseteq", "forall", "exists", "partial", "nabla",
        "pmod",  "bmod",   "mod",      "quad",   "iint",     "oint"};
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (strlen(operators[i]) == end - start && memcmp(r->at + start, operators[i], end - start) == 0)
            return true;
    return false;
}

/* Commands that make one name of a letter: \\vec{v}, \\mathbb{R}. */
static bool is_accent(const reader *r, size_t start, size_t n) {
    static const char *const accents[] = {"vec", "hat", "bar", "tilde", "mathbb"};
    for (size_t i = 0; i < sizeof accents / sizeof *accents; i++)
        if (strlen(accents[i]) == n && memcmp(r->at + start, accents[i], n) == 0) return true;
    return false;
}

static const expr *read_named_command(reader *r, size_t start, size_t end) {
    r->i = start;
    size_t n = end - start;
    int id = function_find(r->at + start, n);
    if (starts_with(r, start, "sqrt") && n == 4) id = -1;
    if (id >= 0) {
        r->i = end;
        return read_call(r, (function_id)id);
    }
    for (size_t i = 0; i < sizeof currencies / sizeof *currencies; i++)
        if (strlen(currencies[i].name) == n && starts_with(r, start, currencies[i].name)) {
            r->i = end;
            return read_currency(r, currencies[i].unit, start - 1);
        }
    if (is_operator_command(r, start, end)) return NULL;
    r->i = end;
    text_buffer name = {0};
    text_append(&name, r->at + start - 1, n + 1);
    skip_spaces(r);
    if (peek(r) == '{' && is_accent(r, start, n)) {
        const char *close = memchr(r->at + r->i, '}', r->length - r->i);
        size_t stop = close ? (size_t)(close - r->at) + 1 : r->length;
        text_append(&name, r->at + r->i, stop - r->i);
        r->i = stop;
    }
    if (peek(r) == '_') {
        size_t script = r->i++;
        if (read_argument(r))
            text_append(&name, r->at + script, r->i - script);
        else
            r->i = script;
    }
    const expr *e = expr_named(r->pool, EXPR_NAME, name.at, name.length);
    text_free(&name);
    return e;
}

/* \\overline{AB}: the segment is named by its ends. */
static const expr *read_segment(reader *r) {
    skip_spaces(r);
    size_t end = letters_end(r, r->i + 1);
    bool ends = peek(r) == '{' && peek_at(r, end) == '}' && end > r->i + 2;
    for (size_t i = r->i + 1; ends && i < end; i++) ends = r->at[i] >= 'A' && r->at[i] <= 'Z';
    return ends ? read_argument(r) : NULL;
}

const expr *read_command(reader *r) {
    static const struct {
        const char *name;
        const expr *(*read)(reader *r);
    } readers[] = {{"frac", read_fraction},  {"sqrt", read_root},           {"binom", read_binomial},
                   {"begin", read_matrix},   {"langle", read_vector},       {"overline", read_segment},
                   {"sum", read_series_sum}, {"prod", read_series_product}, {"int", read_integral},
                   {"lim", read_limit}};
    size_t start = r->i, end = letters_end(r, start + 1);
    const expr *e = NULL;
    bool known = true;
    if (accept_command(r, "pi")) {
        e = expr_leaf(r->pool, EXPR_CONSTANT, CONSTANT_PI);
    } else if (accept_command(r, "infty")) {
        e = expr_leaf(r->pool, EXPR_CONSTANT, CONSTANT_INFINITY);
    } else if (accept_command(r, "emptyset")) {
        e = expr_node(r->pool, EXPR_SET, 0, NULL, 0);
    } else if (accept_command(r, "surd")) {
        e = read_sign_root(r, 2);
    } else if (accept_command(r, "cuberoot")) {
        e = read_sign_root(r, 3);
    } else if (accept_command(r, "lfloor")) {
        e = read_rounded(r, "rfloor", FUNCTION_FLOOR);
    } else if (accept_command(r, "lceil")) {
        e = read_rounded(r, "rceil", FUNCTION_CEIL);
    } else {
        known = false;
    }
    for (size_t i = 0; !known && i < sizeof readers / sizeof *readers; i++)
        if (accept_command(r, readers[i].name)) {
            known = true;
            e = readers[i].read(r);
        }
    if (!known && end > start + 1) e = read_named_command(r, start + 1, end);
    if (!e) r->i = start;
    return e;
}
