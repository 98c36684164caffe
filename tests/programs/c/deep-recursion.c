/* deep-recursion: functions that call themselves n deep with several values live across the call,
   none of which can be recomputed from the result, and so no tail calls and no loops.
   Idea: our own; the frames an invalidation finds are exactly n, all alike.
   Exports: run(n) -> i64, 200 descents of depth n in each of the three shapes;
     descend_int(n) -> i32, descend_mixed(n) -> f64, descend_memory(n) -> i32, one descent each.
   Depth 100000 must work where the stack allows it.
   Small: run(120) = 7252347439526785397. Bench: run(100000) = -6177103956235796286, about 0.3 s native. */
#include "rt.h"

enum { DESCENTS = 200 };

/* Four i32 values live across the call. */
static NOINLINE i32 ints(i32 n, i32 a, i32 b, i32 c) {
    if (n == 0) return a ^ b ^ c;
    i32 below = ints(n - 1, b + n, c ^ (a << 1), a - b);
    return (below ^ a) + (b & n) - (c | 1);
}

/* An i32, an i64 and two f64 values live across the call. */
static NOINLINE f64 mixed(i32 n, i64 wide, f64 x, f64 y) {
    if (n == 0) return x + y + (f64)(wide & 1023);
    f64 below = mixed(n - 1, wide * 6364136223846793005LL + n, y * 0.5 + 1, x - y * 0.25);
    return below * 0.75 + x - y + (f64)((wide >> 40) & 255) + (f64)(n & 7);
}

/* The frame holds memory that the callee writes. */
static NOINLINE i32 memory(i32 n, i32 *parent) {
    if (n == 0) return *parent += 7;
    i32 mine[3] = {n, *parent ^ n, 1};
    i32 below = memory(n - 1, &mine[n % 3]);
    *parent += mine[1];
    return below + mine[0] * 3 + (mine[1] ^ mine[2]);
}

EXPORT("descend_int") i32 descend_int(i32 n) { return ints(n, 1, 2, 3); }

EXPORT("descend_mixed") f64 descend_mixed(i32 n) { return mixed(n, n, 1.0, 0.5); }

EXPORT("descend_memory") i32 descend_memory(i32 n) {
    i32 top = n;
    i32 below = memory(n, &top);
    return below + top;
}

EXPORT("run") i64 run(i32 n) {
    i64 sum = 0;
    for (i32 i = 0; i < DESCENTS; i++) {
        sum = sum * 3 + ints(n, i, 2, 3);
        sum = sum * 3 + (i64)mixed(n, i, 1.0, 0.5);
        i32 top = i;
        sum = sum * 3 + memory(n, &top) + top;
    }
    return sum;
}
