/* fannkuch: for every permutation of 1..n, flip prefixes until 1 comes first; count the flips.
   Idea: K. Anderson and D. Rettig, "Performing Lisp Analysis of the FANNKUCH Benchmark" (1994);
   the Computer Language Benchmarks Game, "fannkuch-redux", whose order of permutations is used.
   Exports: run(n) -> i32, 2 <= n <= 12; checksum * 100 + largest number of flips.
   (The published figures for n = 7 are checksum 228 and 16 flips.)
   Small: run(7) = 22816. Bench: run(10) = 7319638, about 0.2 s native. */
#include "rt.h"

enum { MAX_N = 12 };

static i32 perm[MAX_N], work[MAX_N], rotations[MAX_N];

static NOINLINE i32 count_flips(i32 n) {
    for (i32 i = 0; i < n; i++) work[i] = perm[i];
    i32 flips = 0;
    for (i32 first = work[0]; first != 0; first = work[0]) {
        for (i32 lo = 0, hi = first; lo < hi; lo++, hi--) {
            i32 t = work[lo];
            work[lo] = work[hi];
            work[hi] = t;
        }
        flips++;
    }
    return flips;
}

/* Rotates ever longer prefixes until one has rotations left. False after the last permutation. */
static NOINLINE i32 next_permutation(i32 n) {
    for (i32 len = 2; len <= n; len++) {
        i32 head = perm[0];
        for (i32 i = 0; i < len - 1; i++) perm[i] = perm[i + 1];
        perm[len - 1] = head;
        if (--rotations[len - 1] > 0) return 1;
        rotations[len - 1] = len;
    }
    return 0;
}

EXPORT("run") i32 run(i32 n) {
    if (n < 2 || n > MAX_N) trap();
    for (i32 i = 0; i < n; i++) {
        perm[i] = i;
        rotations[i] = i + 1;
    }
    i32 sum = 0, most = 0, even = 1;
    do {
        i32 flips = count_flips(n);
        sum += even ? flips : -flips;
        if (flips > most) most = flips;
        even = !even;
    } while (next_permutation(n));
    return sum * 100 + most;
}
