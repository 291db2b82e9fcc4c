// The kernels of kernels.ir as a C programmer writes them; compiled by clang -O3 -march=native -ffp-contract=off.
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

void c_saxpy(int n, double k, const double* x, double* y) {
  for (int i = 0; i < n; i++) y[i] = k * x[i] + y[i];
}
int64_t c_sum(int n, const int64_t* a) {
  int64_t s = 0;
  for (int i = 0; i < n; i++) s += a[i];
  return s;
}
double c_dot(int n, const double* x, const double* y) {
  double s = 0;
  for (int i = 0; i < n; i++) s += x[i] * y[i];
  return s;
}
void c_matmul(int n, const double* a, const double* b, double* c) {
  for (int i = 0; i < n; i++)
    for (int k = 0; k < n; k++)
      for (int j = 0; j < n; j++) c[i * n + j] += a[i * n + k] * b[k * n + j];
}
void c_stencil(int n, const double* from, double* to) {
  for (int i = 1; i < n - 1; i++) to[i] = (from[i - 1] + from[i] + from[i + 1]) * 0.3333333333333333;
}
double c_gather(int n, const int32_t* index, const double* x) {
  double s = 0;
  for (int i = 0; i < n; i++) s += x[index[i]];
  return s;
}
int c_sieve(int n, int8_t* flags) {
  int count = 0;
  for (int i = 0; i < n; i++) flags[i] = 1;
  for (int p = 2; p < n; p++) {
    if (!flags[p]) continue;
    count++;
    for (int m = p + p; m < n; m += p) flags[m] = 0;
  }
  return count;
}
void c_nbody(int n, const double* x, const double* y, const double* z, double* v, const double* mass) {
  for (int i = 0; i < n; i++) {
    double ax = 0, ay = 0, az = 0;
    for (int j = 0; j < n; j++) {
      double dx = x[j] - x[i], dy = y[j] - y[i], dz = z[j] - z[i];
      double d2 = dx * dx + dy * dy + dz * dz + 0.0001;
      double force = mass[j] / (d2 * sqrt(d2));
      ax += dx * force;
      ay += dy * force;
      az += dz * force;
    }
    v[i] += ax + ay + az;
  }
}
static __attribute__((noinline)) int escape(double cr, double ci, int limit) {
  double zr = 0, zi = 0;
  int n = 0;
  while (n < limit) {
    double zr2 = zr * zr, zi2 = zi * zi;
    if (zr2 + zi2 > 4.0) break;
    double zz = zr * zi;
    zr = zr2 - zi2 + cr;
    zi = zz + zz + ci;
    n++;
  }
  return n;
}
int c_mandelbrot(int width, int limit) {
  int sum = 0;
  double scale = 3.0 / width;
  for (int y = 0; y < width; y++)
    for (int x = 0; x < width; x++) sum += escape(x * scale - 2.0, y * scale - 1.5, limit);
  return sum;
}
int64_t c_fib(int n) {
  return n < 2 ? n : c_fib(n - 1) + c_fib(n - 2);
}

struct tree {
  int64_t header[2];
  struct tree *left, *right;
  int64_t value;
};
struct tree* c_plant(int depth) {
  struct tree* t = calloc(1, sizeof(struct tree));
  t->value = depth;
  if (depth) {
    t->left = c_plant(depth - 1);
    t->right = c_plant(depth - 1);
  }
  return t;
}
int64_t c_walk(const struct tree* t) {
  return t ? c_walk(t->left) + c_walk(t->right) + t->value : 0;
}
