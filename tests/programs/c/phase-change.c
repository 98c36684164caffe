/* phase-change: a loop whose call target, branch directions and value ranges hold for a long phase
   and then change, eight times. Speculation pays within a phase and is wrong at its end.
   Idea: our own, after the phases of Sherwood et al., "Automatically Characterizing Large Scale
   Program Behavior" (2002).
   Exports: run(n) -> i32; n steps in each phase.
   Small: run(6000) = 648058433. Bench: run(10000000) = 1409402839, about 0.4 s native. */
#include "rt.h"

struct machine {
    u32 (*op)(struct machine *, u32); /* stable: one of four */
    i32 saturate;                     /* stable: the same branch taken all phase long */
    i32 shift;                        /* stable: the same small number */
    u32 rare;                         /* taken about once in 1024 steps */
    u64 wide;
};

static u32 op_add(struct machine *m, u32 x) { return x + (u32)m->shift * 40503u; }

static u32 op_mix(struct machine *m, u32 x) { return (x ^ (x >> m->shift)) * 2246822519u; }

static u32 op_wide(struct machine *m, u32 x) {
    m->wide = m->wide * 6364136223846793005ULL + x;
    return (u32)(m->wide >> 33);
}

static u32 op_float(struct machine *m, u32 x) {
    f64 scaled = (f64)(x & 0xfffff) * 0.75 + m->shift;
    return x + (u32)(i32)scaled;
}

static u32 (*const ops[4])(struct machine *, u32) = {op_add, op_mix, op_wide, op_float};

static NOINLINE u32 step(struct machine *m, u32 x) {
    u32 y = m->op(m, x);
    if (m->saturate) {
        if (y > 0x80000000u) y -= 0x7fffffffu;
    } else {
        y = y << 7 | y >> 25;
    }
    if ((y & 1023) == 1023) m->rare += y >> 10;
    return y + (x << m->shift);
}

static NOINLINE u32 phase(struct machine *m, u32 x, i32 steps) {
    for (i32 i = 0; i < steps; i++) x = step(m, x ^ (u32)i);
    return x;
}

EXPORT("run") i32 run(i32 n) {
    struct machine m = {ops[0], 0, 1, 0, 1};
    u32 x = 12345;
    for (i32 p = 0; p < 8; p++) {
        m.op = ops[p & 3];
        m.saturate = (p >> 1) & 1;
        m.shift = p < 4 ? 1 : 1 + p;
        x = phase(&m, x, n);
    }
    return (i32)(x ^ m.rare ^ (u32)m.wide);
}
