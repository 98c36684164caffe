/* fib: the doubly recursive Fibonacci function; nothing but calls and returns.
   Idea: the usual recursion benchmark (e.g. Gabriel, "Performance and Evaluation of Lisp Systems").
   Exports: run(n) -> i64, fib(n).
   Small: run(24) = 46368. Bench: run(41) = 165580141, about 0.4 s native. */
#include "rt.h"

EXPORT("fib") NOINLINE i64 fib(i32 n) {
    if (n < 2) return n;
    return fib(n - 1) + fib(n - 2);
}

EXPORT("run") i64 run(i32 n) { return fib(n); }
