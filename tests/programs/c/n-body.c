/* n-body: the Sun and four planets, advanced n steps by a symplectic integrator.
   Idea: the Computer Language Benchmarks Game, "n-body" (initial values published there).
   Exports: run(n) -> f64; the energy after n steps.
   (The published energies are -0.169075164 at the start and -0.169087605 after 1000 steps.)
   Small: run(1000) = -0.1690876052346246. Bench: run(4000000) = -0.1690492626284574, about 0.5 s native. */
#include "rt.h"

#define PI 3.141592653589793
#define SOLAR_MASS (4 * PI * PI)
#define DAYS 365.24

struct body {
    f64 x, y, z, vx, vy, vz, mass;
};

enum { BODIES = 5 };

static const struct body start[BODIES] = {
    {0, 0, 0, 0, 0, 0, SOLAR_MASS},
    {4.84143144246472090e+00, -1.16032004402742839e+00, -1.03622044471123109e-01,
     1.66007664274403694e-03 * DAYS, 7.69901118419740425e-03 * DAYS,
     -6.90460016972063023e-05 * DAYS, 9.54791938424326609e-04 * SOLAR_MASS},
    {8.34336671824457987e+00, 4.12479856412430479e+00, -4.03523417114321381e-01,
     -2.76742510726411899e-03 * DAYS, 4.99852801234917238e-03 * DAYS,
     2.30417297573763929e-05 * DAYS, 2.85885980666130812e-04 * SOLAR_MASS},
    {1.28943695621391310e+01, -1.51111514016986312e+01, -2.23307578892655734e-01,
     2.96460137564761618e-03 * DAYS, 2.37847173959480950e-03 * DAYS,
     -2.96589568540237556e-05 * DAYS, 4.36624404335156298e-05 * SOLAR_MASS},
    {1.53796971148509165e+01, -2.59193146099879641e+01, 1.79258772950371181e-01,
     2.68067772490389322e-03 * DAYS, 1.62824170038242295e-03 * DAYS,
     -9.51592254519715870e-05 * DAYS, 5.15138902046611451e-05 * SOLAR_MASS},
};

static struct body bodies[BODIES];

/* Takes the momentum of the whole from the Sun, so that the centre of mass rests. */
static void offset_momentum(void) {
    f64 px = 0, py = 0, pz = 0;
    for (i32 i = 0; i < BODIES; i++) {
        px += bodies[i].vx * bodies[i].mass;
        py += bodies[i].vy * bodies[i].mass;
        pz += bodies[i].vz * bodies[i].mass;
    }
    bodies[0].vx = -px / SOLAR_MASS;
    bodies[0].vy = -py / SOLAR_MASS;
    bodies[0].vz = -pz / SOLAR_MASS;
}

static NOINLINE void attract(struct body *a, struct body *b, f64 dt) {
    f64 dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
    f64 squared = dx * dx + dy * dy + dz * dz;
    f64 magnitude = dt / (squared * __builtin_sqrt(squared));
    a->vx -= dx * b->mass * magnitude;
    a->vy -= dy * b->mass * magnitude;
    a->vz -= dz * b->mass * magnitude;
    b->vx += dx * a->mass * magnitude;
    b->vy += dy * a->mass * magnitude;
    b->vz += dz * a->mass * magnitude;
}

static NOINLINE void advance(f64 dt) {
    for (i32 i = 0; i < BODIES; i++)
        for (i32 j = i + 1; j < BODIES; j++) attract(&bodies[i], &bodies[j], dt);
    for (i32 i = 0; i < BODIES; i++) {
        bodies[i].x += dt * bodies[i].vx;
        bodies[i].y += dt * bodies[i].vy;
        bodies[i].z += dt * bodies[i].vz;
    }
}

static NOINLINE f64 energy(void) {
    f64 e = 0;
    for (i32 i = 0; i < BODIES; i++) {
        const struct body *a = &bodies[i];
        e += 0.5 * a->mass * (a->vx * a->vx + a->vy * a->vy + a->vz * a->vz);
        for (i32 j = i + 1; j < BODIES; j++) {
            const struct body *b = &bodies[j];
            f64 dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
            e -= a->mass * b->mass / __builtin_sqrt(dx * dx + dy * dy + dz * dz);
        }
    }
    return e;
}

EXPORT("run") f64 run(i32 n) {
    for (i32 i = 0; i < BODIES; i++) bodies[i] = start[i];
    offset_momentum();
    for (i32 i = 0; i < n; i++) advance(0.01);
    return energy();
}
