/* The alphabets, generator and line writer of the two fasta programs, which differ in how they
   turn a random number into a letter (pick) and must write the same bytes. */
#ifndef FASTA_H
#define FASTA_H
#include "rt.h"

enum { LINE = 60, MODULUS = 139968, MULTIPLIER = 3877, INCREMENT = 29573, SEED = 42 };

struct letter {
    u8 symbol;
    f64 probability;
};

static const u8 alu[] =
    "GGCCGGGCGCGGTGGCTCACGCCTGTAATCCCAGCACTTTGGGAGGCCGAGGCGGGCGGATCACCTGAGGTCAGGAGTTCGAGA"
    "CCAGCCTGGCCAACATGGTGAAACCCCGTCTCTACTAAAAATACAAAAATTAGCCGGGCGTGGTGGCGCGCGCCTGTAATCCCA"
    "GCTACTCGGGAGGCTGAGGCAGGAGAATCGCTTGAACCCGGGAGGCGGAGGTTGCAGTGAGCCGAGATCGCGCCACTGCACTCC"
    "AGCCTGGGCGACAGAGCGAGACTCCGTCTCAAAAA";

enum { IUB_LETTERS = 15, HUMAN_LETTERS = 4, MAX_LETTERS = 15 };

static const struct letter iub[IUB_LETTERS] = {
    {'a', 0.27}, {'c', 0.12}, {'g', 0.12}, {'t', 0.27}, {'B', 0.02},
    {'D', 0.02}, {'H', 0.02}, {'K', 0.02}, {'M', 0.02}, {'N', 0.02},
    {'R', 0.02}, {'S', 0.02}, {'V', 0.02}, {'W', 0.02}, {'Y', 0.02},
};

static const struct letter human[HUMAN_LETTERS] = {
    {'a', 0.3029549426680},
    {'c', 0.1979883004921},
    {'g', 0.1975473066391},
    {'t', 0.3015094502008},
};

/* cumulative[i] is the sum of the probabilities up to letter i. */
static struct letter cumulative[MAX_LETTERS];

static void accumulate(const struct letter *letters, i32 count) {
    f64 sum = 0;
    for (i32 i = 0; i < count; i++) {
        sum += letters[i].probability;
        cumulative[i].symbol = letters[i].symbol;
        cumulative[i].probability = sum;
    }
    cumulative[count - 1].probability = 1.0;
}

static i32 seed;

static NOINLINE f64 next_random(void) {
    seed = (seed * MULTIPLIER + INCREMENT) % MODULUS;
    return (f64)seed / MODULUS;
}

static u8 *out;

static void write_line(const char *text) {
    while (*text) *out++ = (u8)*text++;
    *out++ = '\n';
}

static NOINLINE void write_repeated(i32 length) {
    i32 at = 0;
    for (i32 i = 1; i <= length; i++) {
        *out++ = alu[at];
        if (++at == sizeof alu - 1) at = 0;
        if (i % LINE == 0 || i == length) *out++ = '\n';
    }
}

static void prepare(const struct letter *letters, i32 count);
static u8 pick(f64 random);

static NOINLINE void write_random(const struct letter *letters, i32 count, i32 length) {
    prepare(letters, count);
    for (i32 i = 1; i <= length; i++) {
        *out++ = pick(next_random());
        if (i % LINE == 0 || i == length) *out++ = '\n';
    }
}

static i32 write_all(i32 n) {
    arena_reset();
    seed = SEED;
    u8 *start = out = arena_alloc((usize)n * 10 + (usize)n * 10 / LINE + 256);
    write_line(">ONE Homo sapiens alu");
    write_repeated(n * 2);
    write_line(">TWO IUB ambiguity codes");
    write_random(iub, IUB_LETTERS, n * 3);
    write_line(">THREE Homo sapiens frequency");
    write_random(human, HUMAN_LETTERS, n * 5);
    return (i32)checksum(start, (usize)(out - start));
}

#endif
