/* GSM8K: grade-school word problems with worked solutions (github.com/openai/grade-school-math). */
#include "task/numeric.h"

const task task_gsm8k = {
    .name = "gsm8k",
    .instruction =
        "Solve the problem step by step, one step on each line. End with a line that has #### and then only "
        "the final number.",
    .before_question = "Problem: ",
    .cue = "\nSolution:\n",
    .markers = worked_markers,
    .judge = &judge_in_words,
    .answers = &worked_answers,
    .mistake = numeric_mistake,
    .read_row = worked_read_row,
};
