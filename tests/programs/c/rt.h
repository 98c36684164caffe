/* What every program here shares: fixed-width names, the export attribute, a bump allocator and a
   checksum. There is no libc and no host: a program is a pure function from n to a number. */
#ifndef RT_H
#define RT_H

typedef signed int i32;
typedef unsigned int u32;
typedef signed long long i64;
typedef unsigned long long u64;
typedef unsigned char u8;
typedef double f64;
typedef __SIZE_TYPE__ usize;

#define NULL ((void *)0)
#define NOINLINE __attribute__((noinline))

/* The arena: bytes handed out upwards from a base, given back only all at once. */
#ifdef __wasm__
#define EXPORT(name) __attribute__((export_name(name)))
extern u8 __heap_base;
#define ARENA_BASE (&__heap_base)
#else
#define EXPORT(name)
#define ARENA_BYTES (512u << 20)
static u8 native_arena[ARENA_BYTES] __attribute__((aligned(16)));
#define ARENA_BASE native_arena
#endif

/* Says that control does not go on; the unoptimized build needs it said. */
__attribute__((unused, noreturn)) static inline void trap(void) {
    __builtin_trap();
    __builtin_unreachable();
}

static u8 *arena_next;

__attribute__((unused)) static void arena_reset(void) { arena_next = ARENA_BASE; }

/* 16-byte aligned, contents undefined. Traps when memory cannot grow. */
__attribute__((unused)) static NOINLINE void *arena_alloc(usize bytes) {
    u8 *at = (u8 *)(((usize)arena_next + 15) & ~(usize)15);
    usize end = (usize)at + bytes;
#ifdef __wasm__
    usize have = __builtin_wasm_memory_size(0) * 65536u;
    if (end > have) {
        usize pages = (end - have + 65535u) / 65536u;
        if (__builtin_wasm_memory_grow(0, pages) == (usize)-1) trap();
    }
#else
    if (end > (usize)native_arena + ARENA_BYTES) trap();
#endif
    arena_next = (u8 *)end;
    return at;
}

/* FNV-1a, 32 bits. */
__attribute__((unused)) static NOINLINE u32 checksum(const u8 *bytes, usize len) {
    u32 h = 2166136261u;
    for (usize i = 0; i < len; i++) h = (h ^ bytes[i]) * 16777619u;
    return h;
}

/* xorshift32 (Marsaglia 2003). The state must not be zero. */
__attribute__((unused)) static u32 xorshift(u32 *state) {
    u32 x = *state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *state = x;
}

#endif
