/* mandelbrot: an n by n bitmap of the Mandelbrot set, 50 iterations a point, 8 points a byte.
   Idea: the Computer Language Benchmarks Game, "mandelbrot".
   Exports: run(n) -> i32; the checksum of the bitmap.
   Small: run(48) = -1394554062. Bench: run(2400) = 1459904384, about 0.4 s native. */
#include "rt.h"

enum { ITERATIONS = 50 };

static NOINLINE i32 stays_bounded(f64 cr, f64 ci) {
    f64 zr = 0, zi = 0, rr = 0, ii = 0;
    for (i32 i = 0; i < ITERATIONS; i++) {
        zi = 2 * zr * zi + ci;
        zr = rr - ii + cr;
        rr = zr * zr;
        ii = zi * zi;
        if (rr + ii > 4.0) return 0;
    }
    return 1;
}

EXPORT("run") i32 run(i32 n) {
    arena_reset();
    i32 row_bytes = (n + 7) / 8;
    u8 *bitmap = arena_alloc((usize)row_bytes * (usize)n);
    for (i32 y = 0; y < n; y++) {
        f64 ci = 2.0 * y / n - 1.0;
        for (i32 xbyte = 0; xbyte < row_bytes; xbyte++) {
            u32 bits = 0;
            for (i32 x = xbyte * 8; x < xbyte * 8 + 8; x++)
                bits = bits << 1 | (u32)(x < n && stays_bounded(2.0 * x / n - 1.5, ci));
            bitmap[y * row_bytes + xbyte] = (u8)bits;
        }
    }
    return (i32)checksum(bitmap, (usize)row_bytes * (usize)n);
}
