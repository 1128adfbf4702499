/* Sums, products, integrals, limits, cases, and sets given by a rule. */
#include "grade/formal.h"
#include "grade/reader.h"

/* The name that is bound: a letter, also i and e, or a command. */
static const expr *read_bound_name(reader *r) {
    skip_spaces(r);
    size_t start = r->i;
    unsigned char c = peek(r);
    const expr *e = NULL;
    if (is_letter(c) && !is_letter(peek_at(r, start + 1))) {
        r->i++;
        e = expr_named(r->pool, EXPR_NAME, r->at + start, 1);
    } else if (c == '\\') {
        e = read_primary(r);
    }
    if (!e || e->kind != EXPR_NAME) {
        r->i = start;
        return NULL;
    }
    return e;
}

/* Whether i is a name in what follows; the caller puts the former meaning back. */
static bool bind_letter(reader *r, const expr *name) {
    bool before = r->i_is_name;
    r->i_is_name = before || strcmp(name->text, "i") == 0;
    return before;
}

/* _{k=1}^{n} after \sum or \prod: parts[1] to parts[3]. */
static bool read_range(reader *r, const expr **parts) {
    for (int script = 0; script < 2; script++) {
        if (!parts[1] && accept(r, "_") && accept(r, "{")) {
            parts[1] = read_bound_name(r);
            if (!parts[1] || !accept(r, "=")) return false;
            parts[2] = read_sum(r);
            if (!parts[2] || !accept(r, "}")) return false;
        } else if (accept(r, "^")) {
            parts[3] = read_exponent(r);
        }
    }
    return parts[1] && parts[3];
}

static const expr *read_series(reader *r, formal_kind kind) {
    const expr *parts[4] = {NULL};
    if (r->running || !read_range(r, parts)) return NULL;
    bool before = bind_letter(r, parts[1]);
    parts[0] = read_product(r);
    r->i_is_name = before;
    return parts[0] ? expr_bind(r->pool, kind, parts, 4) : NULL;
}

const expr *read_series_sum(reader *r) {
    return read_series(r, FORMAL_SUM);
}

const expr *read_series_product(reader *r) {
    return read_series(r, FORMAL_PRODUCT);
}

/* The "d" of the differential that ends the integral here, outside brackets; those of integrals inside, which
 * are not in brackets either, come first. r->length where there is none. */
static size_t find_differential(const reader *r) {
    int open = 0, inner = 0;
    for (size_t i = r->i; i < r->length; i++) {
        unsigned char c = peek_at(r, i);
        if (strchr("({[\x02", c)) open++;
        if (strchr(")}]\x03", c)) open--;
        if (open < 0) break;
        if (c == '\\') {
            size_t end = letters_end(r, i + 1);
            inner += open == 0 && end == i + 4 && starts_with(r, i + 1, "int");
            i = end > i + 1 ? end - 1 : i + 1;
            continue;
        }
        bool name = is_letter(peek_at(r, i + 1)) && !is_letter(peek_at(r, i + 2));
        if (c == 'd' && open == 0 && (name || peek_at(r, i + 1) == '\\') && inner-- == 0) return i;
    }
    return r->length;
}

/* The factors up to the place `end`; 1 where there are none. */
static const expr *read_integrand(reader *r, size_t end) {
    size_t length = r->length;
    skip_spaces(r);
    if (r->i == end) return expr_integer(r->pool, 1);
    r->length = end;
    const expr *e = read_sum(r);
    skip_spaces(r);
    if (r->i < end) e = NULL;
    r->length = length;
    return e;
}

const expr *read_integral(reader *r) {
    const expr *parts[4] = {NULL};
    if (r->running) return NULL;
    for (int script = 0; script < 2; script++) {
        if (!parts[2] && accept(r, "_"))
            parts[2] = read_argument(r);
        else if (accept(r, "^"))
            parts[3] = read_exponent(r);
    }
    size_t end = find_differential(r);
    if (!parts[2] != !parts[3] || end == r->length) return NULL;
    parts[0] = read_integrand(r, end);
    r->i = end + 1;
    parts[1] = parts[0] ? read_bound_name(r) : NULL;
    return parts[1] ? expr_bind(r->pool, FORMAL_INTEGRAL, parts, parts[2] ? 4 : 2) : NULL;
}

const expr *read_limit(reader *r) {
    const expr *parts[4] = {NULL};
    if (r->running || !accept(r, "_") || !accept(r, "{")) return NULL;
    parts[1] = read_bound_name(r);
    if (!parts[1] || !(accept_command(r, "to") || accept(r, "->"))) return NULL;
    parts[2] = read_sum(r);
    if (!parts[2]) return NULL;
    int side = 0;
    if (accept(r, "^")) {
        bool braced = accept(r, "{");
        side = accept(r, "+") ? 1 : accept(r, "-") ? -1 : 0;
        if (!side || (braced && !accept(r, "}"))) return NULL;
    }
    if (!accept(r, "}")) return NULL;
    parts[3] = expr_integer(r->pool, side);
    bool before = bind_letter(r, parts[1]);
    parts[0] = read_product(r);
    r->i_is_name = before;
    return parts[0] ? expr_bind(r->pool, FORMAL_LIMIT, parts, 4) : NULL;
}

/* ---- Cases ---- */

/* \text{if } and its like are left out before a condition; other words are one: "otherwise". */
static const expr *read_condition(reader *r) {
    static const char *const prepositions[] = {"if", "for", "when", "where"};
    skip_spaces(r);
    size_t start = r->i;
    bool words = peek(r) == CLEAN_WORDS_OPEN;
    r->i += words;
    skip_spaces(r);
    size_t word = r->i, end = letters_end(r, word);
    bool known = false;
    for (size_t i = 0; i < sizeof prepositions / sizeof *prepositions; i++)
        known |= strlen(prepositions[i]) == end - word && starts_with(r, word, prepositions[i]);
    if (known) {
        r->i = end;
        if (words && !accept(r, (const char[]){CLEAN_WORDS_CLOSE, 0})) return NULL;
        return read_list(r);
    }
    if (end > word + 1 && words) {
        r->i = end;
        bool closed = accept(r, (const char[]){CLEAN_WORDS_CLOSE, 0});
        return closed ? expr_named(r->pool, EXPR_TEXT, r->at + word, end - word) : NULL;
    }
    r->i = start;
    return read_list(r);
}

/* One row: a value and its condition, or an equation of a system. */
static const expr *read_case(reader *r, bool *conditional) {
    const expr *pair[2] = {read_relation(r)};
    if (!pair[0]) return NULL;
    bool comma = accept(r, ",");
    *conditional = accept(r, "&") || (comma && peek(r) != '\\');
    if (!*conditional) return pair[0];
    pair[1] = read_condition(r);
    accept(r, ",");
    accept(r, ".");
    return pair[1] ? expr_node(r->pool, EXPR_TUPLE, '(' * 256 + ')', pair, 2) : NULL;
}

const expr *read_cases(reader *r) {
    expr_list rows = {0};
    int64_t conditions = 0;
    const expr *e = NULL;
    for (bool more = true; more;) {
        bool conditional = false;
        const expr *row = read_case(r, &conditional);
        if (!row) break;
        MEM_LIST_PUSH(&rows, row);
        conditions += conditional;
        more = accept(r, "\\\\");
        if (!accept_command(r, "end")) continue;
        if (!accept(r, "{cases}")) break;
        if (conditions == rows.count)
            e = expr_node(r->pool, EXPR_FORMAL, FORMAL_CASES, rows.at, rows.count);
        else if (conditions == 0) /* a system of equations */
            e = expr_node(r->pool, EXPR_LIST, 0, rows.at, rows.count);
        break;
    }
    MEM_LIST_FREE(&rows);
    return e;
}

/* ---- Sets ---- */

const expr *read_set_by_rule(reader *r) {
    size_t start = r->i;
    const expr *parts[3] = {NULL}, *e = NULL;
    parts[1] = read_bound_name(r);
    bool element = parts[1] && accept_command(r, "in");
    if (element) parts[2] = read_bound_name(r);
    if (parts[1] && (!element || parts[2]) && (accept(r, "|") || accept(r, ":"))) {
        parts[0] = read_list(r);
        if (parts[0] && accept(r, (const char[]){CLEAN_SET_CLOSE, 0}))
            e = expr_bind(r->pool, FORMAL_SET, parts, element ? 3 : 2);
    }
    if (!e) r->i = start;
    return e;
}
