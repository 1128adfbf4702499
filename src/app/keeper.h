/* The program as the keeper of a grader: see keeper.c. */
#ifndef ESPALIER_APP_KEEPER_H
#define ESPALIER_APP_KEEPER_H

/* argv: the limit of memory in MB, the program, its arguments. Returns the exit status. */
int keeper_main(int argc, char **argv);

#endif
