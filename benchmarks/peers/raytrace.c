/* C counterpart of examples/raytrace.ir: same scene file, same arithmetic, one thread, same picture and checksum. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { double x, y, z; } Vector;
typedef struct Shape Shape;
struct Shape {
  double (*hit)(const Shape*, Vector, Vector);
  Vector (*normal)(const Shape*, Vector);
  Vector (*colour)(const Shape*, Vector);
  Vector base, other, centre;
  double reflection, radius, y;
  Shape* next;
};
typedef struct Light {
  Vector at;
  double brightness;
  struct Light* next;
} Light;

static Shape* shapes;
static Light* lights;
static Vector eye, look;
static double fov;

static double dot(Vector a, Vector b) { return (a.x * b.x + a.y * b.y) + a.z * b.z; }
static Vector sub(Vector a, Vector b) { return (Vector){a.x - b.x, a.y - b.y, a.z - b.z}; }
static Vector add(Vector a, Vector b) { return (Vector){a.x + b.x, a.y + b.y, a.z + b.z}; }
static Vector scale(Vector a, double k) { return (Vector){a.x * k, a.y * k, a.z * k}; }

static double sphereHit(const Shape* s, Vector o, Vector d) {
  Vector l = sub(s->centre, o);
  double b = dot(l, d), c = dot(l, l) - s->radius * s->radius, disc = b * b - c;
  if (disc < 0.0) return INFINITY;
  double root = sqrt(disc);
  if (b - root > 0.0001) return b - root;
  if (b + root > 0.0001) return b + root;
  return INFINITY;
}
static Vector sphereNormal(const Shape* s, Vector p) {
  Vector d = sub(p, s->centre);
  return (Vector){d.x / s->radius, d.y / s->radius, d.z / s->radius};
}
static Vector sphereColour(const Shape* s, Vector p) { (void)p; return s->base; }
static double planeHit(const Shape* s, Vector o, Vector d) {
  if (fabs(d.y) < 0.000001) return INFINITY;
  double t = (s->y - o.y) / d.y;
  return t > 0.0001 ? t : INFINITY;
}
static Vector planeNormal(const Shape* s, Vector p) { (void)s; (void)p; return (Vector){0.0, 1.0, 0.0}; }
static Vector planeColour(const Shape* s, Vector p) {
  return (((int)floor(p.x) + (int)floor(p.z)) & 1) ? s->other : s->base;
}

static int shadowed(Vector p, Vector d, double limit) {
  for (const Shape* s = shapes; s; s = s->next)
    if (s->hit(s, p, d) < limit) return 1;
  return 0;
}

static Vector trace(Vector o, Vector d, int depth) {
  const Shape* best = NULL;
  double distance = INFINITY;
  for (const Shape* s = shapes; s; s = s->next) {
    double t = s->hit(s, o, d);
    if (t < distance) best = s, distance = t;
  }
  if (!best) {
    double k = (d.y + 1.0) * 0.5;
    return (Vector){k * -0.5 + 0.95, k * -0.3 + 0.97, 1.0};
  }
  Vector p = add(o, scale(d, distance)), n = best->normal(best, p), c = best->colour(best, p);
  Vector r = sub(d, scale(n, dot(d, n) * 2.0));
  double diffuse = 0.15, shine = 0.0;
  for (const Light* light = lights; light; light = light->next) {
    Vector v = sub(light->at, p);
    double far = sqrt(dot(v, v));
    Vector l = {v.x / far, v.y / far, v.z / far};
    double cosine = dot(n, l);
    if (!(cosine > 0.0) || shadowed(p, l, far)) continue;
    diffuse += cosine * light->brightness;
    double h = dot(r, l);
    if (!(h > 0.0)) continue;
    double h2 = h * h, h4 = h2 * h2, h8 = h4 * h4, h16 = h8 * h8, h32 = h16 * h16;
    shine += h32 * light->brightness;
  }
  double half = shine * 0.6;
  Vector m = {c.x * diffuse + half, c.y * diffuse + half, c.z * diffuse + half};
  if (depth <= 0 || best->reflection <= 0.0) return m;
  Vector mirrored = trace(p, r, depth - 1);
  double part = best->reflection, rest = 1.0 - part;
  return (Vector){m.x * rest + mirrored.x * part, m.y * rest + mirrored.y * part, m.z * rest + mirrored.z * part};
}

static char* text;
static size_t at, length;
static char word[256];
static const char* next(void) {
  while (at < length) {
    if (text[at] == '#') {
      while (at < length && text[at] != '\n') ++at;
    } else if (text[at] <= 32) {
      ++at;
    } else {
      size_t n = 0;
      while (at < length && text[at] > 32 && n < sizeof word - 1) word[n++] = text[at++];
      word[n] = 0;
      return word;
    }
  }
  return NULL;
}
static double number(void) { return atof(next()); }
static Vector vector(void) {
  Vector v;
  v.x = number();
  v.y = number();
  v.z = number();
  return v;
}

static void load(const char* path) {
  FILE* file = fopen(path, "rb");
  if (!file) perror(path), exit(1);
  fseek(file, 0, SEEK_END);
  length = (size_t)ftell(file);
  rewind(file);
  text = malloc(length);
  if (fread(text, 1, length, file) != length) exit(1);
  fclose(file);
  while (next()) {
    if (word[0] == 'c') {
      eye = vector();
      look = vector();
      fov = number();
    } else if (word[0] == 'l') {
      Light* light = calloc(1, sizeof *light);
      light->at = vector();
      light->brightness = number();
      light->next = lights;
      lights = light;
    } else {
      Shape* s = calloc(1, sizeof *s);
      int isPlane = word[0] == 'p';
      s->hit = isPlane ? planeHit : sphereHit;
      s->normal = isPlane ? planeNormal : sphereNormal;
      s->colour = isPlane ? planeColour : sphereColour;
      if (isPlane) {
        s->y = number();
        s->base = vector();
        s->other = vector();
      } else {
        s->centre = vector();
        s->radius = number();
        s->base = vector();
      }
      s->reflection = number();
      s->next = shapes;
      shapes = s;
    }
  }
}

static uint8_t toByte(double c) { return (uint8_t)(int)(sqrt(fmin(fmax(c, 0.0), 1.0)) * 255.0 + 0.5); }

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  load(argv[1]);
  int width = argc > 3 ? atoi(argv[3]) : 160, height = argc > 4 ? atoi(argv[4]) : 120;
  int samples = argc > 6 ? atoi(argv[6]) : 1;
  Vector f = sub(look, eye);
  double fl = sqrt(dot(f, f));
  f = (Vector){f.x / fl, f.y / fl, f.z / fl};
  double flat = sqrt(f.x * f.x + f.z * f.z);
  Vector right = {f.z / flat, 0.0, -f.x / flat};
  Vector top = {f.y * right.z, f.z * right.x - f.x * right.z, -(f.y * right.x)};
  double zoom = tan(fov * 0.008726646259971648), n = samples, share = 1.0 / (n * n), yh = height * 0.5, xh = width * 0.5;
  char header[64];
  int headerBytes = sprintf(header, "P6\n%d %d\n255\n", width, height);
  size_t total = (size_t)headerBytes + (size_t)width * (size_t)height * 3;
  uint8_t* out = malloc(total);
  memcpy(out, header, (size_t)headerBytes);
  uint8_t* pixel = out + headerBytes;
  for (int yy = 0; yy < height; ++yy)
    for (int xx = 0; xx < width; ++xx) {
      Vector sum = {0.0, 0.0, 0.0};
      for (int j = 0; j < samples; ++j)
        for (int i = 0; i < samples; ++i) {
          double v = (yh - (yy + (j + 0.5) / n)) * zoom / yh, u = ((xx + (i + 0.5) / n) - xh) * zoom / yh;
          Vector d = {(right.x * u + top.x * v) + f.x, top.y * v + f.y, (right.z * u + top.z * v) + f.z};
          double q = sqrt(dot(d, d));
          sum = add(sum, trace(eye, (Vector){d.x / q, d.y / q, d.z / q}, 4));
        }
      *pixel++ = toByte(sum.x * share);
      *pixel++ = toByte(sum.y * share);
      *pixel++ = toByte(sum.z * share);
    }
  FILE* file = fopen(argv[2], "wb");
  if (!file) perror(argv[2]), exit(1);
  fwrite(out, 1, total, file);
  fclose(file);
  uint64_t checksum = 0;
  for (size_t i = 0; i < total; ++i) checksum = checksum * 31 + out[i];
  printf("checksum: %lld\n", (long long)checksum);
  return 0;
}
