/* many-call-sites: 256 small functions, no two alike, each called from its own place in a chain
   of direct calls, from one of its neighbours, and through a table.
   Idea: our own; what a call binding costs per site shows when there are many sites.
   Exports: run(n) -> i32; n rounds over all functions.
   Small: run(150) = 1789063077. Bench: run(150000) = -722987807, about 0.5 s native. */
#include "rt.h"

/* Four kinds of function. Functions are numbered by four digits in base 4; "0" before the digits
   makes an octal literal, different for each, from which its constants are computed. */
#define HASH(d) ((u32)(0##d + 1) * 2654435761u)

#define LEAF(d)                                                              \
    static NOINLINE u32 f##d(u32 x) {                                        \
        return (x ^ HASH(d)) * (2u * 0##d + 3) + (x >> (0##d % 13 + 1));     \
    }
#define CALLER(d, callee)                                                    \
    static NOINLINE u32 f##d(u32 x) {                                        \
        u32 kept = x + HASH(d);                                              \
        return f##callee(x * (0##d + 5)) ^ (kept >> (0##d % 7 + 1));         \
    }
#define WIDE(d)                                                              \
    static NOINLINE u32 f##d(u32 x) {                                        \
        u64 product = (u64)x * HASH(d) + 0##d;                               \
        return (u32)(product >> 32) ^ (u32)product;                          \
    }
#define FLOAT(d, callee)                                                     \
    static NOINLINE u32 f##d(u32 x) {                                        \
        f64 kept = (f64)(x & 0xffff) * (1.0 / (0##d + 2));                   \
        u32 below = f##callee(x + 0##d);                                     \
        return below + (u32)(i32)(kept * 16.0 + 0##d);                       \
    }
#define FOUR_DEFINITIONS(p) LEAF(p##0) CALLER(p##1, p##0) WIDE(p##2) FLOAT(p##3, p##1)

#define FOUR(m, p) m(p##0) m(p##1) m(p##2) m(p##3)
#define SIXTEEN(m, p) FOUR(m, p##0) FOUR(m, p##1) FOUR(m, p##2) FOUR(m, p##3)
#define SIXTY_FOUR(m, p) SIXTEEN(m, p##0) SIXTEEN(m, p##1) SIXTEEN(m, p##2) SIXTEEN(m, p##3)
/* Every three-digit prefix. */
#define PREFIXES(m) SIXTEEN(m, 0) SIXTEEN(m, 1) SIXTEEN(m, 2) SIXTEEN(m, 3)
#define FUNCTIONS(m) SIXTY_FOUR(m, 0) SIXTY_FOUR(m, 1) SIXTY_FOUR(m, 2) SIXTY_FOUR(m, 3)

PREFIXES(FOUR_DEFINITIONS)

#define ENTRY(d) f##d,
static u32 (*const table[256])(u32) = {FUNCTIONS(ENTRY)};

#define CALL(d) x = f##d(x + 0##d);
static NOINLINE u32 chain0(u32 x) { SIXTY_FOUR(CALL, 0) return x; }
static NOINLINE u32 chain1(u32 x) { SIXTY_FOUR(CALL, 1) return x; }
static NOINLINE u32 chain2(u32 x) { SIXTY_FOUR(CALL, 2) return x; }
static NOINLINE u32 chain3(u32 x) { SIXTY_FOUR(CALL, 3) return x; }

static NOINLINE u32 through_table(u32 x) {
    for (i32 i = 0; i < 256; i++) x = table[(x ^ (u32)i) & 255](x);
    return x;
}

EXPORT("run") i32 run(i32 n) {
    u32 x = (u32)n;
    for (i32 round = 0; round < n; round++) {
        x = chain0(x);
        x = chain1(x);
        x = chain2(x);
        x = chain3(x);
        x = through_table(x);
    }
    return (i32)x;
}
