/* C counterpart of examples/nbody.ir: same arithmetic in the same order, one thread. Prints the energies with 17 digits. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static int n;
static double *x, *y, *z, *vx, *vy, *vz, *mass;

static uint64_t fill(double* a, uint64_t state, double scale, double offset) {
  for (int i = 0; i < n; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    a[i] = (double)(int64_t)(state >> 11) * 0x1p-53 * scale + offset;
  }
  return state;
}

static double energy(void) {
  double e = 0.0;
  for (int i = 0; i < n; ++i) {
    e += mass[i] * 0.5 * ((vx[i] * vx[i] + vy[i] * vy[i]) + vz[i] * vz[i]);
    for (int j = i + 1; j < n; ++j) {
      double dx = x[j] - x[i], dy = y[j] - y[i], dz = z[j] - z[i];
      double d = sqrt(((dx * dx + dy * dy) + dz * dz) + 0.0001);
      e -= mass[i] * mass[j] / d;
    }
  }
  return e;
}

static void accelerate(double dt) {
  for (int i = 0; i < n; ++i) {
    double ax = 0.0, ay = 0.0, az = 0.0;
    for (int j = 0; j < n; ++j) {
      double dx = x[j] - x[i], dy = y[j] - y[i], dz = z[j] - z[i];
      double d2 = ((dx * dx + dy * dy) + dz * dz) + 0.0001;
      double force = mass[j] / (d2 * sqrt(d2));
      ax += dx * force;
      ay += dy * force;
      az += dz * force;
    }
    vx[i] += ax * dt;
    vy[i] += ay * dt;
    vz[i] += az * dt;
  }
}

int main(int argc, char** argv) {
  int steps = argc > 1 ? atoi(argv[1]) : 1000;
  n = argc > 3 ? atoi(argv[3]) : 32;
  double** arrays[] = {&x, &y, &z, &vx, &vy, &vz, &mass};
  for (int i = 0; i < 7; ++i) *arrays[i] = calloc((size_t)n, sizeof(double));
  uint64_t s = fill(x, 1, 2.0, -1.0);
  s = fill(y, s, 2.0, -1.0);
  s = fill(z, s, 2.0, -1.0);
  s = fill(vx, s, 0.2, -0.1);
  s = fill(vy, s, 0.2, -0.1);
  s = fill(vz, s, 0.2, -0.1);
  fill(mass, s, 0.01, 0.001);
  printf("%.17g\n", energy());
  for (int step = 0; step < steps; ++step) {
    accelerate(0.001);
    for (int i = 0; i < n; ++i) x[i] += vx[i] * 0.001;
    for (int i = 0; i < n; ++i) y[i] += vy[i] * 0.001;
    for (int i = 0; i < n; ++i) z[i] += vz[i] * 0.001;
  }
  printf("%.17g\n", energy());
  return 0;
}
