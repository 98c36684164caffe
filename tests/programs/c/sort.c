/* sort: the same n records sorted by quicksort, heapsort and merge sort, through a comparison
   function pointer; traps when the three disagree.
   Idea: Knuth, "The Art of Computer Programming" 3, 5.2.
   Exports: run(n) -> i32.
   Small: run(600) = -1470305284. Bench: run(500000) = 311665456, about 0.4 s native. */
#include "rt.h"

struct record {
    u32 key, id;
};

typedef i32 compare_fn(const struct record *, const struct record *);

static i32 by_key(const struct record *a, const struct record *b) {
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

static i32 by_low_bits(const struct record *a, const struct record *b) {
    u32 x = a->key & 0xffff, y = b->key & 0xffff;
    if (x != y) return x < y ? -1 : 1;
    return by_key(a, b);
}

static void swap(struct record *a, struct record *b) {
    struct record t = *a;
    *a = *b;
    *b = t;
}

/* Hoare's partition; recursion on both sides. */
static NOINLINE void quicksort(struct record *r, i32 lo, i32 hi, compare_fn *compare) {
    if (lo >= hi) return;
    struct record pivot = r[lo + (hi - lo) / 2];
    i32 i = lo - 1, j = hi + 1;
    for (;;) {
        do i++;
        while (compare(&r[i], &pivot) < 0);
        do j--;
        while (compare(&r[j], &pivot) > 0);
        if (i >= j) break;
        swap(&r[i], &r[j]);
    }
    quicksort(r, lo, j, compare);
    quicksort(r, j + 1, hi, compare);
}

static NOINLINE void sift(struct record *r, i32 root, i32 n, compare_fn *compare) {
    for (i32 child = 2 * root + 1; child < n; child = 2 * root + 1) {
        if (child + 1 < n && compare(&r[child], &r[child + 1]) < 0) child++;
        if (compare(&r[root], &r[child]) >= 0) return;
        swap(&r[root], &r[child]);
        root = child;
    }
}

static NOINLINE void heapsort(struct record *r, i32 n, compare_fn *compare) {
    for (i32 i = n / 2 - 1; i >= 0; i--) sift(r, i, n, compare);
    for (i32 last = n - 1; last > 0; last--) {
        swap(&r[0], &r[last]);
        sift(r, 0, last, compare);
    }
}

static NOINLINE void merge_sort(struct record *r, struct record *spare, i32 n, compare_fn *compare) {
    if (n < 2) return;
    i32 half = n / 2;
    merge_sort(r, spare, half, compare);
    merge_sort(r + half, spare, n - half, compare);
    for (i32 i = 0; i < half; i++) spare[i] = r[i];
    i32 left = 0, right = half, to = 0;
    while (left < half && right < n)
        r[to++] = compare(&r[right], &spare[left]) < 0 ? r[right++] : spare[left++];
    while (left < half) r[to++] = spare[left++];
}

static NOINLINE void fill(struct record *r, i32 n) {
    u32 random = 88172645u;
    for (i32 i = 0; i < n; i++) {
        r[i].key = xorshift(&random) & 0xfffff;
        r[i].id = (u32)i;
    }
}

static NOINLINE u32 fold(const struct record *r, i32 n, compare_fn *compare) {
    u32 h = 1;
    for (i32 i = 0; i < n; i++) {
        if (i > 0 && compare(&r[i - 1], &r[i]) >= 0) trap();
        h = h * 31 + r[i].id;
    }
    return h;
}

static NOINLINE u32 sort_three_ways(i32 n, struct record *r, struct record *spare, compare_fn *by) {
    fill(r, n);
    quicksort(r, 0, n - 1, by);
    u32 quick = fold(r, n, by);
    fill(r, n);
    heapsort(r, n, by);
    u32 heap = fold(r, n, by);
    fill(r, n);
    merge_sort(r, spare, n, by);
    u32 merge = fold(r, n, by);
    if (quick != heap || heap != merge) trap();
    return quick;
}

EXPORT("run") i32 run(i32 n) {
    arena_reset();
    struct record *r = arena_alloc((usize)n * sizeof *r);
    struct record *spare = arena_alloc((usize)n * sizeof *r);
    u32 sum = sort_three_ways(n, r, spare, by_key);
    return (i32)(sum * 31 + sort_three_ways(n, r, spare, by_low_bits));
}
