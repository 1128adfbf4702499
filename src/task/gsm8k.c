/* GSM8K: grade-school word problems with worked solutions (github.com/openai/grade-school-math). */
#include "task/kind.h"

const task task_gsm8k = {
    .name = "gsm8k",
    .instruction =
        "Solve the problem step by step, one step on each line. End with a line that has #### and then only "
        "the final number.",
    .markers = worked_markers,
    .read_row = worked_read_row,
    .extract = worked_extract,
    .grade = worked_grade,
    .judge = &judge_in_words,
};
