/* fasta-redux: the text of fasta, with letters found through a table of 4096 slots.
   Idea: the Computer Language Benchmarks Game, "fasta-redux".
   Exports: run(n) -> i32; the checksum of the text, the same as fasta's.
   Small: run(2000) = 1893986748. Bench: run(5000000) = -1590258622, about 0.3 s native. */
#include "fasta.h"

enum { SLOTS = 4096 };

/* slot_letter[s] is the letter of the smallest random number that falls into slot s. */
static i32 slot_letter[SLOTS];

static NOINLINE void prepare(const struct letter *letters, i32 count) {
    accumulate(letters, count);
    i32 letter = 0;
    for (i32 slot = 0; slot < SLOTS; slot++) {
        while (cumulative[letter].probability <= (f64)slot / SLOTS) letter++;
        slot_letter[slot] = letter;
    }
}

static NOINLINE u8 pick(f64 random) {
    i32 i = slot_letter[(i32)(random * SLOTS)];
    while (cumulative[i].probability <= random) i++;
    return cumulative[i].symbol;
}

EXPORT("run") i32 run(i32 n) { return write_all(n); }
