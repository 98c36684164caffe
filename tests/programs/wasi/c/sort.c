// Sorts the numbers on standard input with qsort and with a heap of its own, both through function pointers, and
// prints them. `sort abort` aborts, `sort exit N` exits with N from some frames deep.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int compare_fn(const void *, const void *);

static int ascending(const void *a, const void *b) {
    long x = *(const long *)a, y = *(const long *)b;
    return (x > y) - (x < y);
}

static int descending(const void *a, const void *b) { return ascending(b, a); }

static void sift(long *heap, size_t count, size_t root, compare_fn *compare) {
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && compare(&heap[child], &heap[child + 1]) < 0)
            child++;
        if (compare(&heap[root], &heap[child]) >= 0)
            return;
        long other = heap[root];
        heap[root] = heap[child];
        heap[child] = other;
    }
}

static void heap_sort(long *numbers, size_t count, compare_fn *compare) {
    for (size_t root = count / 2; root-- > 0;)
        sift(numbers, count, root, compare);
    for (size_t end = count; end-- > 1;) {
        long first = numbers[0];
        numbers[0] = numbers[end];
        numbers[end] = first;
        sift(numbers, end, 0, compare);
    }
}

__attribute__((noinline)) static int leave(int depth, int code) {
    if (depth == 0)
        exit(code);
    return leave(depth - 1, code) + depth;
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "abort"))
        abort();
    if (argc > 2 && !strcmp(argv[1], "exit"))
        return leave(20, atoi(argv[2]));
    long *numbers = NULL;
    size_t count = 0, room = 0;
    for (long number; scanf("%ld", &number) == 1;) {
        if (count == room)
            numbers = realloc(numbers, (room = room ? room * 2 : 8) * sizeof *numbers);
        numbers[count++] = number;
    }
    qsort(numbers, count, sizeof *numbers, ascending);
    for (size_t i = 0; i < count; i++)
        printf("%ld%c", numbers[i], i + 1 < count ? ' ' : '\n');
    heap_sort(numbers, count, descending);
    for (size_t i = 0; i < count; i++)
        printf("%ld%c", numbers[i], i + 1 < count ? ' ' : '\n');
    free(numbers);
    return 0;
}
