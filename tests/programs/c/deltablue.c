/* deltablue: an incremental solver of hierarchies of one-way constraints, on a chain of equalities
   and on a projection (scale and offset). What a constraint does is a table of functions.
   Idea: M. Sannella, J. Maloney, B. Freeman-Benson, A. Borning, "Multi-way versus One-way
   Constraints in User Interfaces: Experience with the DeltaBlue Algorithm" (1993).
   Exports: run(n) -> i32; n rounds of both tests with 100 variables. Traps on a wrong solution.
   Small: run(3) = 36842521. Bench: run(4000) = -744439584, about 0.2 s native. */
#include "rt.h"

/* Smaller is stronger. */
enum strength { REQUIRED, STRONG, PREFERRED, DEFAULT, NORMAL, WEAK, WEAKEST };

struct constraint;

struct list {
    struct constraint **items;
    i32 len, capacity;
};

struct variable {
    i32 value;
    struct list constraints;         /* all that mention it */
    struct constraint *determined_by; /* the one that sets it now */
    i32 mark;
    i32 walk_strength; /* the weakest that could be revoked to change it */
    i32 stay;          /* constant at planning time */
};

/* What the kinds of constraint differ in. An unsatisfied constraint has no output. */
struct kind {
    void (*add_to_graph)(struct constraint *);
    void (*remove_from_graph)(struct constraint *);
    void (*choose_method)(struct constraint *, i32 mark);
    void (*mark_inputs)(struct constraint *, i32 mark);
    i32 (*inputs_known)(struct constraint *, i32 mark);
    void (*recalculate)(struct constraint *);
    void (*execute)(struct constraint *);
    i32 is_input;
};

struct constraint {
    const struct kind *kind;
    i32 strength;
    struct variable *a, *b;         /* b only for equality and scale */
    struct variable *scale, *offset; /* only for scale: b = a * scale + offset */
    struct variable *output, *input; /* as the chosen method has it */
};

static i32 current_mark;

/* Lists. */

static NOINLINE void list_push(struct list *l, struct constraint *c) {
    if (l->len == l->capacity) {
        i32 capacity = l->capacity ? l->capacity * 2 : 4;
        struct constraint **items = arena_alloc((usize)capacity * sizeof *items);
        for (i32 i = 0; i < l->len; i++) items[i] = l->items[i];
        l->items = items;
        l->capacity = capacity;
    }
    l->items[l->len++] = c;
}

static NOINLINE void list_remove(struct list *l, struct constraint *c) {
    i32 to = 0;
    for (i32 i = 0; i < l->len; i++)
        if (l->items[i] != c) l->items[to++] = l->items[i];
    l->len = to;
}

static struct constraint *list_pop(struct list *l) {
    return l->len ? l->items[--l->len] : NULL;
}

static struct list new_list(void) { return (struct list){NULL, 0, 0}; }

static struct variable *new_variable(i32 value) {
    struct variable *v = arena_alloc(sizeof *v);
    *v = (struct variable){value, new_list(), NULL, 0, WEAKEST, 1};
    return v;
}

static i32 known(const struct variable *v, i32 mark) {
    return v->mark == mark || v->stay || !v->determined_by;
}

/* Stay and edit: one variable, which they set. */

static void unary_add(struct constraint *c) {
    list_push(&c->a->constraints, c);
    c->output = NULL;
}

static void unary_remove(struct constraint *c) {
    list_remove(&c->a->constraints, c);
    c->output = NULL;
}

static void unary_choose(struct constraint *c, i32 mark) {
    i32 can = c->a->mark != mark && c->strength < c->a->walk_strength;
    c->output = can ? c->a : NULL;
}

static void unary_mark_inputs(struct constraint *c, i32 mark) { (void)c, (void)mark; }

static i32 unary_inputs_known(struct constraint *c, i32 mark) {
    (void)c, (void)mark;
    return 1;
}

static void unary_recalculate(struct constraint *c) {
    c->output->walk_strength = c->strength;
    c->output->stay = !c->kind->is_input;
    if (c->output->stay) c->kind->execute(c);
}

static void unary_execute(struct constraint *c) { (void)c; }

/* Equality and scale: either of two variables follows the other. */

static void binary_add(struct constraint *c) {
    list_push(&c->a->constraints, c);
    list_push(&c->b->constraints, c);
    c->output = NULL;
}

static void binary_remove(struct constraint *c) {
    list_remove(&c->a->constraints, c);
    list_remove(&c->b->constraints, c);
    c->output = NULL;
}

/* The variable that can be changed at least cost, unless it was set in this pass. */
static void binary_choose(struct constraint *c, i32 mark) {
    struct variable *out;
    if (c->a->mark == mark)
        out = c->b->mark == mark ? NULL : c->b;
    else if (c->b->mark == mark)
        out = c->a;
    else
        out = c->a->walk_strength > c->b->walk_strength ? c->a : c->b;
    c->output = out && c->strength < out->walk_strength ? out : NULL;
    c->input = c->output == c->a ? c->b : c->a;
}

static void binary_mark_inputs(struct constraint *c, i32 mark) { c->input->mark = mark; }

static i32 binary_inputs_known(struct constraint *c, i32 mark) { return known(c->input, mark); }

static i32 weaker(i32 x, i32 y) { return x > y ? x : y; }

static void equal_recalculate(struct constraint *c) {
    c->output->walk_strength = weaker(c->strength, c->input->walk_strength);
    c->output->stay = c->input->stay;
    if (c->output->stay) c->kind->execute(c);
}

static void equal_execute(struct constraint *c) { c->output->value = c->input->value; }

static void scale_add(struct constraint *c) {
    binary_add(c);
    list_push(&c->scale->constraints, c);
    list_push(&c->offset->constraints, c);
}

static void scale_remove(struct constraint *c) {
    binary_remove(c);
    list_remove(&c->scale->constraints, c);
    list_remove(&c->offset->constraints, c);
}

static void scale_mark_inputs(struct constraint *c, i32 mark) {
    c->input->mark = c->scale->mark = c->offset->mark = mark;
}

static i32 scale_inputs_known(struct constraint *c, i32 mark) {
    return known(c->input, mark) && known(c->scale, mark) && known(c->offset, mark);
}

static void scale_recalculate(struct constraint *c) {
    c->output->walk_strength = weaker(c->strength, c->input->walk_strength);
    c->output->stay = c->input->stay && c->scale->stay && c->offset->stay;
    if (c->output->stay) c->kind->execute(c);
}

static void scale_execute(struct constraint *c) {
    if (c->output == c->b)
        c->b->value = c->a->value * c->scale->value + c->offset->value;
    else
        c->a->value = (c->b->value - c->offset->value) / c->scale->value;
}

static const struct kind stay_kind = {
    unary_add,          unary_remove,      unary_choose,  unary_mark_inputs,
    unary_inputs_known, unary_recalculate, unary_execute, 0,
};
static const struct kind edit_kind = {
    unary_add,          unary_remove,      unary_choose,  unary_mark_inputs,
    unary_inputs_known, unary_recalculate, unary_execute, 1,
};
static const struct kind equal_kind = {
    binary_add,          binary_remove,     binary_choose, binary_mark_inputs,
    binary_inputs_known, equal_recalculate, equal_execute, 0,
};
static const struct kind scale_kind = {
    scale_add,          scale_remove,      binary_choose, scale_mark_inputs,
    scale_inputs_known, scale_recalculate, scale_execute, 0,
};

/* The planner. */

static NOINLINE void remove_constraint(struct constraint *c);

/* The satisfied constraints that use v without setting it. */
static NOINLINE void push_consumers(struct list *to, struct variable *v) {
    for (i32 i = 0; i < v->constraints.len; i++) {
        struct constraint *c = v->constraints.items[i];
        if (c != v->determined_by && c->output) list_push(to, c);
    }
}

/* Recomputes everything downstream of c. False, with c removed, when that leads back to it. */
static NOINLINE i32 propagate(struct constraint *c, i32 mark) {
    struct list todo = new_list();
    for (struct constraint *d = c; d; d = list_pop(&todo)) {
        if (d->output->mark == mark) {
            remove_constraint(c);
            return 0;
        }
        d->kind->recalculate(d);
        push_consumers(&todo, d->output);
    }
    return 1;
}

/* Tries to enforce c; returns the weaker constraint that it drove out, if any. */
static NOINLINE struct constraint *satisfy(struct constraint *c, i32 mark) {
    c->kind->choose_method(c, mark);
    if (!c->output) {
        if (c->strength == REQUIRED) trap();
        return NULL;
    }
    c->kind->mark_inputs(c, mark);
    struct variable *out = c->output;
    struct constraint *overridden = out->determined_by;
    if (overridden) overridden->output = NULL;
    out->determined_by = c;
    if (!propagate(c, mark)) trap();
    out->mark = mark;
    return overridden;
}

static NOINLINE void enforce(struct constraint *c) {
    i32 mark = ++current_mark;
    while (c) c = satisfy(c, mark);
}

static struct constraint *add_constraint(const struct kind *kind, i32 strength, struct variable *a,
                                         struct variable *b, struct variable *scale,
                                         struct variable *offset) {
    struct constraint *c = arena_alloc(sizeof *c);
    *c = (struct constraint){kind, strength, a, b, scale, offset, NULL, NULL};
    kind->add_to_graph(c);
    enforce(c);
    return c;
}

/* Undoes what out was set to, downstream too; collects the constraints that may now be met. */
static NOINLINE void retract(struct variable *out, struct list *unsatisfied) {
    out->determined_by = NULL;
    out->walk_strength = WEAKEST;
    out->stay = 1;
    struct list todo = new_list();
    for (struct variable *v = out; v;) {
        for (i32 i = 0; i < v->constraints.len; i++)
            if (!v->constraints.items[i]->output) list_push(unsatisfied, v->constraints.items[i]);
        push_consumers(&todo, v);
        struct constraint *next = list_pop(&todo);
        v = NULL;
        if (next) {
            next->kind->recalculate(next);
            v = next->output;
        }
    }
}

static NOINLINE void remove_constraint(struct constraint *c) {
    struct variable *out = c->output;
    c->kind->remove_from_graph(c);
    if (!out) return;
    struct list unsatisfied = new_list();
    retract(out, &unsatisfied);
    for (i32 strength = REQUIRED; strength < WEAKEST; strength++)
        for (i32 i = 0; i < unsatisfied.len; i++) {
            struct constraint *u = unsatisfied.items[i];
            if (u->strength == strength && !u->output) enforce(u);
        }
}

/* The constraints to execute, in order, after the source has changed. */
static NOINLINE struct list make_plan(struct constraint *source) {
    i32 mark = ++current_mark;
    struct list plan = new_list(), todo = new_list();
    if (source->output) list_push(&todo, source);
    for (struct constraint *c = list_pop(&todo); c; c = list_pop(&todo)) {
        if (c->output->mark == mark || !c->kind->inputs_known(c, mark)) continue;
        list_push(&plan, c);
        c->output->mark = mark;
        push_consumers(&todo, c->output);
    }
    return plan;
}

static NOINLINE void execute_plan(const struct list *plan) {
    for (i32 i = 0; i < plan->len; i++) plan->items[i]->kind->execute(plan->items[i]);
}

/* The two tests. */

enum { SIZE = 100 };

static void expect(i32 holds) {
    if (!holds) trap();
}

static NOINLINE u32 chain_test(void) {
    struct variable *first = new_variable(0), *last = first;
    for (i32 i = 0; i < SIZE; i++) {
        struct variable *next = new_variable(0);
        add_constraint(&equal_kind, REQUIRED, last, next, NULL, NULL);
        last = next;
    }
    add_constraint(&stay_kind, DEFAULT, last, NULL, NULL, NULL);
    struct constraint *edit = add_constraint(&edit_kind, PREFERRED, first, NULL, NULL, NULL);
    struct list plan = make_plan(edit);
    u32 sum = 0;
    for (i32 i = 0; i < 100; i++) {
        first->value = i;
        execute_plan(&plan);
        expect(last->value == i);
        sum = sum * 31 + (u32)last->value;
    }
    remove_constraint(edit);
    return sum;
}

static NOINLINE void change(struct variable *v, i32 value) {
    struct constraint *edit = add_constraint(&edit_kind, PREFERRED, v, NULL, NULL, NULL);
    struct list plan = make_plan(edit);
    for (i32 i = 0; i < 10; i++) {
        v->value = value;
        execute_plan(&plan);
    }
    remove_constraint(edit);
}

static NOINLINE u32 projection_test(void) {
    struct variable *scale = new_variable(10), *offset = new_variable(1000);
    struct variable *from[SIZE], *to[SIZE];
    for (i32 i = 0; i < SIZE; i++) {
        from[i] = new_variable(i);
        to[i] = new_variable(i);
        add_constraint(&stay_kind, NORMAL, from[i], NULL, NULL, NULL);
        add_constraint(&scale_kind, REQUIRED, from[i], to[i], scale, offset);
    }
    change(from[SIZE - 1], 17);
    expect(to[SIZE - 1]->value == 1170);
    change(to[SIZE - 1], 1050);
    expect(from[SIZE - 1]->value == 5);
    change(scale, 5);
    for (i32 i = 0; i < SIZE - 1; i++) expect(to[i]->value == i * 5 + 1000);
    change(offset, 2000);
    u32 sum = 0;
    for (i32 i = 0; i < SIZE - 1; i++) {
        expect(to[i]->value == i * 5 + 2000);
        sum = sum * 31 + (u32)to[i]->value;
    }
    return sum;
}

EXPORT("run") i32 run(i32 n) {
    u32 sum = 0;
    for (i32 round = 0; round < n; round++) {
        arena_reset();
        current_mark = 0;
        sum = sum * 31 + chain_test();
        sum = sum * 31 + projection_test();
    }
    return (i32)sum;
}
