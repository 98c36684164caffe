/* gemm: C = alpha A B + beta C, matrices of n by n.
   Idea: PolyBench (L.-N. Pouchet), "gemm"; the initial values are our own.
   Exports: run(n) -> f64; the sum of the entries of C.
   Small: run(40) = -919.6021184697669. Bench: run(900) = -19365264.656207692, about 0.2 s native. */
#include "rt.h"

static NOINLINE void init(i32 n, f64 *a, f64 *b, f64 *c) {
    for (i32 i = 0; i < n; i++)
        for (i32 j = 0; j < n; j++) {
            a[i * n + j] = (f64)((i * 3 + j) % 17) / 17;
            b[i * n + j] = (f64)((i + j * 5) % 13) / 13 - 0.5;
            c[i * n + j] = (f64)((i * j + 1) % 11) / 11;
        }
}

static NOINLINE void gemm(i32 n, f64 alpha, f64 beta, const f64 *a, const f64 *b, f64 *c) {
    for (i32 i = 0; i < n; i++) {
        for (i32 j = 0; j < n; j++) c[i * n + j] *= beta;
        for (i32 k = 0; k < n; k++) {
            f64 scaled = alpha * a[i * n + k];
            for (i32 j = 0; j < n; j++) c[i * n + j] += scaled * b[k * n + j];
        }
    }
}

EXPORT("run") f64 run(i32 n) {
    arena_reset();
    usize bytes = (usize)n * (usize)n * sizeof(f64);
    f64 *a = arena_alloc(bytes), *b = arena_alloc(bytes), *c = arena_alloc(bytes);
    init(n, a, b, c);
    gemm(n, 1.5, 1.25, a, b, c);
    f64 sum = 0;
    for (i32 i = 0; i < n * n; i++) sum += c[i];
    return sum;
}
