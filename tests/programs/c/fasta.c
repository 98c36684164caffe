/* fasta: write three DNA sequences, one repeated and two random; letters by linear search.
   Idea: the Computer Language Benchmarks Game, "fasta".
   Exports: run(n) -> i32; the checksum of the text.
   Small: run(2000) = 1893986748. Bench: run(5000000) = -1590258622, about 0.8 s native. */
#include "fasta.h"

static void prepare(const struct letter *letters, i32 count) { accumulate(letters, count); }

static NOINLINE u8 pick(f64 random) {
    i32 i = 0;
    while (cumulative[i].probability <= random) i++;
    return cumulative[i].symbol;
}

EXPORT("run") i32 run(i32 n) { return write_all(n); }
