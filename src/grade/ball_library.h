/* Arb, which is a library of its own beside FLINT 2 and a part of FLINT 3. */
#ifndef ESPALIER_GRADE_BALL_LIBRARY_H
#define ESPALIER_GRADE_BALL_LIBRARY_H

#if __has_include(<flint/acb.h>)
#include <flint/acb.h>
#include <flint/acb_hypgeom.h>
#else
#include <acb.h>
#include <acb_hypgeom.h>
#endif

#endif
