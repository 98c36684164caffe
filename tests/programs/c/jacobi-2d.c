/* jacobi-2d: a five-point stencil over an n by n grid, back and forth between two arrays.
   Idea: PolyBench (L.-N. Pouchet), "jacobi-2d"; the initial values are our own.
   Exports: run(n) -> f64; the sum of the grid after 20 double steps.
   Small: run(36) = 364.9061796533364. Bench: run(2000) = 21027.972094494726, about 0.3 s native. */
#include "rt.h"

enum { STEPS = 20 };

static NOINLINE void relax(i32 n, const f64 *from, f64 *to) {
    for (i32 i = 1; i < n - 1; i++)
        for (i32 j = 1; j < n - 1; j++) {
            const f64 *at = &from[i * n + j];
            to[i * n + j] = 0.2 * (at[0] + at[-1] + at[1] + at[-n] + at[n]);
        }
}

EXPORT("run") f64 run(i32 n) {
    arena_reset();
    usize bytes = (usize)n * (usize)n * sizeof(f64);
    f64 *a = arena_alloc(bytes), *b = arena_alloc(bytes);
    for (i32 i = 0; i < n; i++)
        for (i32 j = 0; j < n; j++)
            a[i * n + j] = b[i * n + j] = (f64)(i * (j + 2) % 19 + 2) / n;
    for (i32 step = 0; step < STEPS; step++) {
        relax(n, a, b);
        relax(n, b, a);
    }
    f64 sum = 0;
    for (i32 i = 0; i < n * n; i++) sum += a[i];
    return sum;
}
