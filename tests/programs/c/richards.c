/* richards: the kernel of an operating system: six tasks of different priorities pass packets to
   one another through queues, until all have ended. Task bodies are called through pointers.
   Idea: M. Richards, the "Bench" program (Cambridge, 1981).
   Exports: run(n) -> i64, n the idle task's count;
     packets queued * 1000000000 + times a task was held.
   (The published figures are 23246 and 9297 for n = 10000, 2322 and 928 for n = 1000.)
   Small: run(4000) = 9182000003672. Bench: run(8000000) = 18611024007444409, about 0.3 s native. */
#include "rt.h"

enum task_id { IDLE, WORKER, HANDLER_A, HANDLER_B, DEVICE_A, DEVICE_B, TASKS };
enum packet_kind { DEVICE_PACKET, WORK_PACKET };
enum { PACKET_DATA = 4 };

struct packet {
    struct packet *link;
    i32 task; /* the task it goes to, or came from */
    i32 kind;
    i32 at;
    i32 data[PACKET_DATA];
};

struct task;
typedef struct task *task_body(struct task *, struct packet *);

struct task {
    struct task *next; /* in order of priority */
    i32 id, priority;
    struct packet *queue;
    i32 waiting, held, pending; /* pending: a packet is queued */
    task_body *body;
    /* The task's own registers; which of them mean something depends on the body. */
    u32 control;
    i32 count, destination;
    struct packet *work, *device, *current;
};

static struct task tasks[TASKS];
static struct task *task_list, *running;
static i32 packets_queued, times_held;

static struct packet *new_packet(struct packet *link, i32 task, i32 kind) {
    struct packet *p = arena_alloc(sizeof *p);
    p->link = link;
    p->task = task;
    p->kind = kind;
    p->at = 0;
    for (i32 i = 0; i < PACKET_DATA; i++) p->data[i] = 0;
    return p;
}

/* Appends at the end; returns the new head. */
static NOINLINE struct packet *append(struct packet *p, struct packet *queue) {
    p->link = NULL;
    if (!queue) return p;
    struct packet *last = queue;
    while (last->link) last = last->link;
    last->link = p;
    return queue;
}

static NOINLINE struct task *wait_for_packet(void) {
    running->waiting = 1;
    return running;
}

static NOINLINE struct task *hold_self(void) {
    times_held++;
    running->held = 1;
    return running->next;
}

/* The task to run next: the released one when it matters more than the running one. */
static NOINLINE struct task *release(i32 id) {
    struct task *t = &tasks[id];
    t->held = 0;
    return t->priority > running->priority ? t : running;
}

static NOINLINE struct task *send(struct packet *p) {
    struct task *t = &tasks[p->task];
    packets_queued++;
    p->task = running->id;
    i32 was_empty = !t->queue;
    t->queue = append(p, t->queue);
    t->pending = 1;
    return was_empty && t->priority > running->priority ? t : running;
}

/* Counts down, releasing one of the devices as a shift register decides. */
static struct task *idle_body(struct task *self, struct packet *p) {
    (void)p;
    if (--self->count == 0) return hold_self();
    if ((self->control & 1) == 0) {
        self->control >>= 1;
        return release(DEVICE_A);
    }
    self->control = (self->control >> 1) ^ 0xD008;
    return release(DEVICE_B);
}

/* Fills packets with letters and sends them to the two handlers in turn. */
static struct task *worker_body(struct task *self, struct packet *p) {
    if (!p) return wait_for_packet();
    self->destination = self->destination == HANDLER_A ? HANDLER_B : HANDLER_A;
    p->task = self->destination;
    p->at = 0;
    for (i32 i = 0; i < PACKET_DATA; i++) {
        if (++self->count > 26) self->count = 1;
        p->data[i] = 'A' + self->count - 1;
    }
    return send(p);
}

/* Hands the letters of work packets to its device, one in each device packet. */
static struct task *handler_body(struct task *self, struct packet *p) {
    if (p) {
        if (p->kind == WORK_PACKET)
            self->work = append(p, self->work);
        else
            self->device = append(p, self->device);
    }
    struct packet *work = self->work;
    if (!work) return wait_for_packet();
    if (work->at >= PACKET_DATA) {
        self->work = work->link;
        return send(work);
    }
    struct packet *device = self->device;
    if (!device) return wait_for_packet();
    self->device = device->link;
    device->at = work->data[work->at++];
    return send(device);
}

/* Holds itself for each packet; the idle task's release is the interrupt that completes it. */
static struct task *device_body(struct task *self, struct packet *p) {
    if (p) {
        self->current = p;
        return hold_self();
    }
    struct packet *done = self->current;
    if (!done) return wait_for_packet();
    self->current = NULL;
    return send(done);
}

static void add_task(i32 id, i32 priority, struct packet *queue, task_body *body) {
    struct task *t = &tasks[id];
    t->next = task_list;
    t->id = id;
    t->priority = priority;
    t->queue = queue;
    t->held = 0;
    t->waiting = 1;
    t->pending = queue != NULL;
    t->body = body;
    t->control = 0;
    t->count = 0;
    t->destination = 0;
    t->work = t->device = t->current = NULL;
    task_list = t;
}

static NOINLINE struct task *run_task(struct task *t) {
    struct packet *p = NULL;
    if (t->waiting && t->pending) {
        p = t->queue;
        t->queue = p->link;
        t->waiting = 0;
        t->pending = t->queue != NULL;
    }
    running = t;
    return t->body(t, p);
}

static NOINLINE void schedule(void) {
    struct task *t = task_list;
    while (t) {
        if (t->held || (t->waiting && !t->pending))
            t = t->next;
        else
            t = run_task(t);
    }
}

static struct packet *device_packets(i32 id) {
    struct packet *queue = NULL;
    for (i32 i = 0; i < 3; i++) queue = new_packet(queue, id, DEVICE_PACKET);
    return queue;
}

EXPORT("run") i64 run(i32 n) {
    arena_reset();
    task_list = NULL;
    packets_queued = times_held = 0;
    add_task(IDLE, 0, NULL, idle_body);
    tasks[IDLE].waiting = 0;
    tasks[IDLE].control = 1;
    tasks[IDLE].count = n;
    struct packet *work = new_packet(NULL, WORKER, WORK_PACKET);
    add_task(WORKER, 1000, new_packet(work, WORKER, WORK_PACKET), worker_body);
    tasks[WORKER].destination = HANDLER_A;
    add_task(HANDLER_A, 2000, device_packets(DEVICE_A), handler_body);
    add_task(HANDLER_B, 3000, device_packets(DEVICE_B), handler_body);
    add_task(DEVICE_A, 4000, NULL, device_body);
    add_task(DEVICE_B, 5000, NULL, device_body);
    schedule();
    return (i64)packets_queued * 1000000000 + times_held;
}
