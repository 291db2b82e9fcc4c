/* C counterpart of examples/mandelbrot.ir: same arithmetic, one thread, same output. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static int escape(double cr, double ci, int limit) {
  double zr = 0.0, zi = 0.0;
  int n = 0;
  while (n < limit) {
    double zr2 = zr * zr, zi2 = zi * zi;
    if (zr2 + zi2 > 4.0) break;
    double next = (zr2 - zi2) + cr;
    double zz = zr * zi;
    zi = (zz + zz) + ci;
    zr = next;
    ++n;
  }
  return n;
}

int main(int argc, char** argv) {
  int width = argc > 1 ? atoi(argv[1]) : 120, iterations = argc > 2 ? atoi(argv[2]) : 100;
  double scale = 3.0 / width, half = width / 2.0;
  int64_t inside = 0;
  uint64_t sum = 0;
  uint8_t* row = malloc((size_t)width);
  for (int y = 0; y < width; ++y) {
    double ci = (y - half) * scale;
    for (int x = 0; x < width; ++x) {
      int n = escape(x * scale - 2.0, ci, iterations);
      row[x] = (uint8_t)(n == iterations ? 0 : n % 255 + 1);
    }
    for (int x = 0; x < width; ++x) {
      inside += row[x] == 0;
      sum = sum * 31 + row[x];
    }
  }
  printf("inside: %lld\nchecksum: %lld\n", (long long)inside, (long long)sum);
  free(row);
  return 0;
}
