/* Runs one program natively, to confirm the results recorded in programs.json:
     cc -O2 -fwrapv -ffp-contract=off -DPROGRAM='"fib.c"' native.c -lm && ./a.out 20
   (deep-recursion also needs a large stack: ulimit -s unlimited). */
#include <stdio.h>
#include <stdlib.h>
#undef NULL
#include PROGRAM

static void print_int(i64 v) { printf("%lld\n", v); }
static void print_f64(f64 v) { printf("%.17g\n", v); }

int main(int argc, char **argv) {
    i32 n = argc > 1 ? atoi(argv[1]) : 0;
    _Generic(run(n), i32: print_int, i64: print_int, f64: print_f64)(run(n));
    return 0;
}
