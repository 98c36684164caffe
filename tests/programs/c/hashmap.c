/* hashmap: an open-addressing table with linear probing; inserts, lookups, deletes and growth.
   Idea: Knuth, "The Art of Computer Programming" 3, 6.4, algorithms L and R (deletion without
   tombstones).
   Exports: run(n) -> i32; n operations on keys below n.
   Small: run(8000) = -1444698967. Bench: run(7000000) = -413888960, about 0.4 s native. */
#include "rt.h"

struct slot {
    u32 key; /* 0: empty */
    u32 value;
};

struct map {
    struct slot *slots;
    u32 mask, used;
};

static NOINLINE u32 hash(u32 key) {
    key = (key ^ (key >> 16)) * 0x45d9f3bu;
    return key ^ (key >> 16);
}

static NOINLINE void map_init(struct map *m, u32 capacity) {
    m->slots = arena_alloc(capacity * sizeof *m->slots);
    for (u32 i = 0; i < capacity; i++) m->slots[i].key = 0;
    m->mask = capacity - 1;
    m->used = 0;
}

/* The slot that holds the key, or the empty one where it would go. */
static NOINLINE struct slot *find(struct map *m, u32 key) {
    u32 i = hash(key) & m->mask;
    while (m->slots[i].key != 0 && m->slots[i].key != key) i = (i + 1) & m->mask;
    return &m->slots[i];
}

static NOINLINE void grow(struct map *m) {
    struct map bigger;
    map_init(&bigger, (m->mask + 1) * 2);
    for (u32 i = 0; i <= m->mask; i++)
        if (m->slots[i].key != 0) *find(&bigger, m->slots[i].key) = m->slots[i];
    bigger.used = m->used;
    *m = bigger;
}

static NOINLINE void add(struct map *m, u32 key, u32 amount) {
    struct slot *s = find(m, key);
    if (s->key == 0) {
        s->key = key;
        s->value = 0;
        m->used++;
    }
    s->value += amount;
    if (m->used * 4 > m->mask * 3) grow(m);
}

/* Closes the gap: moves back every later entry of the run that may not stay behind it. */
static NOINLINE void erase(struct map *m, u32 key) {
    struct slot *s = find(m, key);
    if (s->key == 0) return;
    m->used--;
    u32 gap = (u32)(s - m->slots);
    for (u32 i = (gap + 1) & m->mask; m->slots[i].key != 0; i = (i + 1) & m->mask) {
        u32 home = hash(m->slots[i].key) & m->mask;
        if (((i - home) & m->mask) < ((i - gap) & m->mask)) continue;
        m->slots[gap] = m->slots[i];
        gap = i;
    }
    m->slots[gap].key = 0;
}

EXPORT("run") i32 run(i32 n) {
    arena_reset();
    struct map m;
    map_init(&m, 16);
    u32 random = 2463534242u, sum = 0;
    for (i32 i = 0; i < n; i++) {
        u32 r = xorshift(&random);
        u32 key = 1 + (r >> 4) % (u32)n;
        switch (r & 7) {
        case 0: erase(&m, key); break;
        case 1:
        case 2:
        case 3: sum = sum * 31 + find(&m, key)->key; break;
        default: add(&m, key, r >> 16);
        }
    }
    for (u32 i = 0; i <= m.mask; i++)
        if (m.slots[i].key != 0) sum += m.slots[i].value ^ m.slots[i].key;
    return (i32)(sum + m.used);
}
