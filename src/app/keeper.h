/* The program as the keeper of a grader: see keeper.c. */
#ifndef ESPALIER_APP_KEEPER_H
#define ESPALIER_APP_KEEPER_H

/* From here on graders that are programs run below this process as their keeper. Not inherited by a process
 * that is forked: it calls this again. */
void keeper_offer(void);
/* argv: the limit of memory in MB, the program, its arguments. Returns the exit status. */
int keeper_main(int argc, char **argv);

#endif
