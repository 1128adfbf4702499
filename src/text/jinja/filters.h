/* Shared by the files of filters. */
#ifndef ESPALIER_TEXT_JINJA_FILTERS_H
#define ESPALIER_TEXT_JINJA_FILTERS_H

#include "text/jinja/tree.h"

#include <stdio.h>

typedef esp_status jinja_filter_function(jinja_run *r, const jinja_value *v, const jinja_values *values,
                                         jinja_value *out);

/* Fail for a value of another kind; what: who needs it. */
esp_status jinja_need_string(jinja_run *r, const jinja_value *v, const char *what, jinja_string *out);
esp_status jinja_need_integer(jinja_run *r, const jinja_value *v, const char *what, int64_t *out);

/* filters.c; of a string they are methods too. */
jinja_filter_function jinja_filter_capitalize, jinja_filter_lower, jinja_filter_upper;
/* list_filters.c */
jinja_filter_function jinja_filter_dictsort, jinja_filter_first, jinja_filter_items, jinja_filter_join,
    jinja_filter_last, jinja_filter_list, jinja_filter_map, jinja_filter_max, jinja_filter_min,
    jinja_filter_reject, jinja_filter_rejectattr, jinja_filter_reverse, jinja_filter_select,
    jinja_filter_selectattr, jinja_filter_sort, jinja_filter_unique;

#endif
