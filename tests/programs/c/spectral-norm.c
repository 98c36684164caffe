/* spectral-norm: the largest singular value of A(i,j) = 1/((i+j)(i+j+1)/2 + i + 1), by ten steps
   of the power method.
   Idea: the Computer Language Benchmarks Game, "spectral-norm" (SIAM 100-digit challenge, 3).
   Exports: run(n) -> f64. (The published value for n = 100 is 1.274219991.)
   Small: run(40) = 1.2741672876292667. Bench: run(2000) = 1.274224152228617, about 0.3 s native. */
#include "rt.h"

static NOINLINE f64 element(i32 i, i32 j) {
    return 1.0 / ((i + j) * (i + j + 1) / 2 + i + 1);
}

static NOINLINE void times(i32 n, const f64 *v, f64 *result) {
    for (i32 i = 0; i < n; i++) {
        f64 sum = 0;
        for (i32 j = 0; j < n; j++) sum += element(i, j) * v[j];
        result[i] = sum;
    }
}

static NOINLINE void transposed_times(i32 n, const f64 *v, f64 *result) {
    for (i32 i = 0; i < n; i++) {
        f64 sum = 0;
        for (i32 j = 0; j < n; j++) sum += element(j, i) * v[j];
        result[i] = sum;
    }
}

EXPORT("run") f64 run(i32 n) {
    arena_reset();
    usize bytes = (usize)n * sizeof(f64);
    f64 *u = arena_alloc(bytes), *v = arena_alloc(bytes), *t = arena_alloc(bytes);
    for (i32 i = 0; i < n; i++) u[i] = 1.0;
    for (i32 step = 0; step < 10; step++) {
        times(n, u, t);
        transposed_times(n, t, v);
        times(n, v, t);
        transposed_times(n, t, u);
    }
    f64 uv = 0, vv = 0;
    for (i32 i = 0; i < n; i++) {
        uv += u[i] * v[i];
        vv += v[i] * v[i];
    }
    return __builtin_sqrt(uv / vv);
}
