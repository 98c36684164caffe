/* cholesky: factor a symmetric positive definite n by n matrix into L transposed(L), in place.
   Idea: PolyBench (L.-N. Pouchet), "cholesky"; the matrix, diagonally dominant, is our own.
   Exports: run(n) -> f64; the sum of the entries of L.
   Small: run(70) = 184.7338250470975. Bench: run(1400) = 3735.6706081212064, about 0.4 s native. */
#include "rt.h"

static NOINLINE void init(i32 n, f64 *a) {
    for (i32 i = 0; i < n; i++)
        for (i32 j = 0; j < n; j++) {
            i32 distance = i > j ? i - j : j - i;
            a[i * n + j] = i == j ? 4.0 + (f64)(i % 3) : 1.0 / (1 + distance * distance);
        }
}

static NOINLINE f64 dot(const f64 *x, const f64 *y, i32 len) {
    f64 sum = 0;
    for (i32 k = 0; k < len; k++) sum += x[k] * y[k];
    return sum;
}

static NOINLINE void factor(i32 n, f64 *a) {
    for (i32 i = 0; i < n; i++) {
        f64 *row = &a[i * n];
        for (i32 j = 0; j < i; j++) row[j] = (row[j] - dot(row, &a[j * n], j)) / a[j * n + j];
        row[i] = __builtin_sqrt(row[i] - dot(row, row, i));
    }
}

EXPORT("run") f64 run(i32 n) {
    arena_reset();
    f64 *a = arena_alloc((usize)n * (usize)n * sizeof(f64));
    init(n, a);
    factor(n, a);
    f64 sum = 0;
    for (i32 i = 0; i < n; i++)
        for (i32 j = 0; j <= i; j++) sum += a[i * n + j];
    return sum;
}
