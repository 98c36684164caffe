/* bicg: s = transposed(A) r and q = A p in one pass over A (n by n); the kernel of BiCGStab.
   Idea: PolyBench (L.-N. Pouchet), "bicg"; the initial values are our own.
   Exports: run(n) -> f64; the pass is made 10 times, feeding s and q back as r and p.
   Small: run(70) = 42781.67555324707. Bench: run(4000) = 142649406.06288567, about 0.2 s native. */
#include "rt.h"

enum { PASSES = 10 };

static NOINLINE void bicg(i32 n, const f64 *a, const f64 *r, const f64 *p, f64 *s, f64 *q) {
    for (i32 i = 0; i < n; i++) s[i] = 0;
    for (i32 i = 0; i < n; i++) {
        f64 sum = 0, ri = r[i];
        for (i32 j = 0; j < n; j++) {
            s[j] += ri * a[i * n + j];
            sum += a[i * n + j] * p[j];
        }
        q[i] = sum;
    }
}

static NOINLINE void scale(i32 n, const f64 *from, f64 *to) {
    for (i32 i = 0; i < n; i++) to[i] = from[i] / n;
}

EXPORT("run") f64 run(i32 n) {
    arena_reset();
    usize bytes = (usize)n * sizeof(f64);
    f64 *a = arena_alloc(bytes * (usize)n);
    f64 *r = arena_alloc(bytes), *p = arena_alloc(bytes);
    f64 *s = arena_alloc(bytes), *q = arena_alloc(bytes);
    for (i32 i = 0; i < n; i++) {
        r[i] = (f64)(i % 7) / 7;
        p[i] = (f64)(i % 9) / 9;
        for (i32 j = 0; j < n; j++) a[i * n + j] = 1 + (f64)(i * (j + 1) % 23) / 23;
    }
    for (i32 pass = 0; pass < PASSES; pass++) {
        bicg(n, a, r, p, s, q);
        scale(n, s, r);
        scale(n, q, p);
    }
    f64 sum = 0;
    for (i32 i = 0; i < n; i++) sum += s[i] - q[i] / 2;
    return sum;
}
