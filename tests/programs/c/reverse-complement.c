/* reverse-complement: read three DNA records, write each reversed with every base complemented.
   Idea: the Computer Language Benchmarks Game, "reverse-complement". The input is made here.
   Exports: run(n) -> i32; the checksum of the text, records of 2n, 3n and 5n bases.
   Small: run(2500) = 1664139041. Bench: run(8000000) = 1746473033, about 0.3 s native. */
#include "rt.h"

enum { LINE = 60 };

static u8 complement[256];

static void init_complement(void) {
    static const char pairs[] = "ATCGMKRYVBHDWWSSNNUA";
    for (i32 i = 0; i < 256; i++) complement[i] = (u8)i;
    for (const char *p = pairs; *p; p += 2) {
        u8 a = (u8)p[0], b = (u8)p[1];
        complement[a] = complement[a | 32] = b;
        if (a != 'U') complement[b] = complement[b | 32] = a;
    }
}

static NOINLINE u8 *write_record(u8 *at, u8 name, i32 length, u32 *random) {
    static const u8 bases[] = "acgtacgtacgtacgtACGTMRWSYKVHDBNN";
    *at++ = '>';
    *at++ = name;
    *at++ = '\n';
    for (i32 i = 1; i <= length; i++) {
        *at++ = bases[xorshift(random) >> 27];
        if (i % LINE == 0 || i == length) *at++ = '\n';
    }
    return at;
}

/* Writes the bases of [from, to) backwards, skipping the old line breaks and making new ones. */
static NOINLINE u8 *write_reversed(u8 *at, const u8 *from, const u8 *to) {
    i32 column = 0;
    while (to > from) {
        u8 base = *--to;
        if (base == '\n') continue;
        *at++ = complement[base];
        if (++column == LINE) {
            *at++ = '\n';
            column = 0;
        }
    }
    if (column > 0) *at++ = '\n';
    return at;
}

static NOINLINE u8 *reverse_records(u8 *at, const u8 *in, const u8 *end) {
    while (in < end) {
        while (*in != '\n') *at++ = *in++;
        *at++ = *in++;
        const u8 *body = in;
        while (in < end && *in != '>') in++;
        at = write_reversed(at, body, in);
    }
    return at;
}

EXPORT("run") i32 run(i32 n) {
    arena_reset();
    init_complement();
    usize capacity = (usize)n * 10 + (usize)n * 10 / LINE + 64;
    u8 *input = arena_alloc(capacity), *output = arena_alloc(capacity);
    u32 random = 42;
    u8 *end = write_record(input, '1', n * 2, &random);
    end = write_record(end, '2', n * 3, &random);
    end = write_record(end, '3', n * 5, &random);
    u8 *out_end = reverse_records(output, input, end);
    return (i32)checksum(output, (usize)(out_end - output));
}
