/* binary-trees: build, walk and free many perfect binary trees; allocation and recursion.
   Nodes come from a free list refilled by the arena.
   Idea: the Computer Language Benchmarks Game, "binary-trees" (after H. Boehm's GCBench).
   Exports: run(n) -> i64, n the largest depth; the sum over all trees of their node counts.
   Small: run(7) = 8798. Bench: run(18) = 68332206, about 0.6 s native. */
#include "rt.h"

enum { MIN_DEPTH = 4, NODES_PER_REFILL = 1024 };

struct node {
    struct node *left, *right;
};

static struct node *free_list;

static NOINLINE void refill(void) {
    struct node *block = arena_alloc(NODES_PER_REFILL * sizeof *block);
    for (i32 i = 0; i < NODES_PER_REFILL; i++) {
        block[i].left = free_list;
        free_list = &block[i];
    }
}

static NOINLINE struct node *new_node(void) {
    if (!free_list) refill();
    struct node *node = free_list;
    free_list = node->left;
    return node;
}

static NOINLINE struct node *build(i32 depth) {
    struct node *node = new_node();
    node->left = depth > 0 ? build(depth - 1) : NULL;
    node->right = depth > 0 ? build(depth - 1) : NULL;
    return node;
}

static NOINLINE i32 count(const struct node *node) {
    if (!node->left) return 1;
    return 1 + count(node->left) + count(node->right);
}

static NOINLINE void release(struct node *node) {
    if (node->left) {
        release(node->left);
        release(node->right);
    }
    node->left = free_list;
    free_list = node;
}

static i32 build_count_release(i32 depth) {
    struct node *tree = build(depth);
    i32 nodes = count(tree);
    release(tree);
    return nodes;
}

EXPORT("run") i64 run(i32 n) {
    arena_reset();
    free_list = NULL;
    i32 max_depth = n < MIN_DEPTH + 2 ? MIN_DEPTH + 2 : n;
    i64 total = build_count_release(max_depth + 1);
    struct node *long_lived = build(max_depth);
    for (i32 depth = MIN_DEPTH; depth <= max_depth; depth += 2) {
        i32 iterations = 1 << (max_depth - depth + MIN_DEPTH);
        for (i32 i = 0; i < iterations; i++) total += build_count_release(depth);
    }
    total += count(long_lived);
    return total;
}
