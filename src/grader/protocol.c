#include "grader/protocol.h"

#include "base/excerpt.h"
#include "formats/json.h"

#include <math.h>
#include <string.h>

/* ---- questions ---- */

static void set_text(json_t *object, const char *key, const char *text) {
    if (text) json_object_set_new(object, key, json_from_text(text, strlen(text)));
}

char *protocol_question(const problem *p, const char *text, size_t length) {
    json_t *object = json_object();
    set_text(object, "problem", p->id);
    set_text(object, "question", p->question);
    json_object_set_new(object, "answer", json_from_text(text, length));
    set_text(object, "gold", p->gold);
    json_t *row = p->row ? json_loads(p->row, 0, NULL) : NULL;
    if (row) json_object_set_new(object, "row", row);
    char *dumped = json_dumps(object, JSON_COMPACT), *kept = mem_strdup(dumped);
    free(dumped);
    json_decref(object);
    return kept;
}

void protocol_line(const char *question, int64_t id, text_buffer *out) {
    text_printf(out, "{\"id\":%lld,%s\n", (long long)id, question + 1);
}

/* ---- answers ---- */

static bool refuse(protocol_answer *a, const char *what, const char *line, size_t length, text_buffer *why) {
    text_printf(why, "%s: ", what);
    excerpt(line, length, EXCERPT_MOST, why);
    json_decref(a->from);
    *a = (protocol_answer){0};
    return false;
}

/* What is wrong with the object; NULL: it is an answer. */
static const char *read_fields(const json_t *o, bool needs_id, protocol_answer *out) {
    const json_t *id = json_object_get(o, "id"), *correct = json_object_get(o, "correct"),
                 *reward = json_object_get(o, "reward"), *reason = json_object_get(o, "reason");
    grader_verdict *v = &out->verdict;
    if (needs_id && !json_is_integer(id)) return "no whole number as \"id\"";
    if (!correct && !reward) return "neither \"correct\" nor \"reward\"";
    if (correct && !json_is_boolean(correct) && !json_is_null(correct))
        return "\"correct\" is not true, false or null";
    if (reward && !json_is_null(reward) && !json_is_number(reward)) return "\"reward\" is not a number";
    if (reason && !json_is_null(reason) && !json_is_string(reason)) return "\"reason\" is not a text";
    out->id = json_is_integer(id) ? json_integer_value(id) : 0;
    v->reason = json_string_value(reason);
    v->scored = json_is_number(reward);
    v->reward = v->scored ? json_number_value(reward) : 0;
    if (!isfinite(v->reward)) return "\"reward\" is not finite";
    if (!correct)
        v->verdict = !v->scored ? GRADE_UNKNOWN : v->reward > 0 ? GRADE_EQUAL : GRADE_DIFFERENT;
    else
        v->verdict = json_is_null(correct)   ? GRADE_UNKNOWN
                     : json_is_true(correct) ? GRADE_EQUAL
                                             : GRADE_DIFFERENT;
    if (!v->scored) return NULL;
    if (v->verdict == GRADE_UNKNOWN) return "a \"reward\", though \"correct\" is null";
    if ((v->verdict == GRADE_EQUAL) != (v->reward > 0))
        return "\"reward\" of a correct answer must be above 0, of another one 0 or below";
    return NULL;
}

bool protocol_read(const char *line, size_t length, bool needs_id, protocol_answer *out, text_buffer *why) {
    json_error_t parsed;
    *out = (protocol_answer){.from = json_loadb(line, length, JSON_REJECT_DUPLICATES, &parsed)};
    if (!out->from) return refuse(out, "what is no JSON", line, length, why);
    if (!json_is_object(out->from)) return refuse(out, "JSON that is no object", line, length, why);
    const char *wrong = read_fields(out->from, needs_id, out);
    return wrong ? refuse(out, wrong, line, length, why) : true;
}
