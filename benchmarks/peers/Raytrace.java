import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.StringTokenizer;

/** Java counterpart of examples/raytrace.ir: same scene file, same arithmetic, one thread, same picture and checksum. */
final class Raytrace {
  record Vector(double x, double y, double z) {
    double dot(Vector b) { return (x * b.x + y * b.y) + z * b.z; }
    Vector minus(Vector b) { return new Vector(x - b.x, y - b.y, z - b.z); }
    Vector plus(Vector b) { return new Vector(x + b.x, y + b.y, z + b.z); }
    Vector times(double k) { return new Vector(x * k, y * k, z * k); }
    Vector over(double k) { return new Vector(x / k, y / k, z / k); }
  }

  abstract static class Shape {
    double reflection;

    /** Distance along the ray, infinite if it misses. */
    abstract double hit(Vector o, Vector d);
    abstract Vector normal(Vector p);
    abstract Vector colour(Vector p);
  }

  static final class Sphere extends Shape {
    final Vector centre, base;
    final double radius;

    Sphere(Vector centre, double radius, Vector base) {
      this.centre = centre;
      this.radius = radius;
      this.base = base;
    }

    @Override double hit(Vector o, Vector d) {
      Vector l = centre.minus(o);
      double b = l.dot(d), c = l.dot(l) - radius * radius, disc = b * b - c;
      if (disc < 0.0) return Double.POSITIVE_INFINITY;
      double root = Math.sqrt(disc);
      if (b - root > 0.0001) return b - root;
      if (b + root > 0.0001) return b + root;
      return Double.POSITIVE_INFINITY;
    }
    @Override Vector normal(Vector p) { return p.minus(centre).over(radius); }
    @Override Vector colour(Vector p) { return base; }
  }

  static final class Plane extends Shape {
    final double y;
    final Vector base, other;

    Plane(double y, Vector base, Vector other) {
      this.y = y;
      this.base = base;
      this.other = other;
    }

    @Override double hit(Vector o, Vector d) {
      if (Math.abs(d.y) < 0.000001) return Double.POSITIVE_INFINITY;
      double t = (y - o.y) / d.y;
      return t > 0.0001 ? t : Double.POSITIVE_INFINITY;
    }
    @Override Vector normal(Vector p) { return new Vector(0.0, 1.0, 0.0); }
    @Override Vector colour(Vector p) {
      return (((int) Math.floor(p.x) + (int) Math.floor(p.z)) & 1) != 0 ? other : base;
    }
  }

  record Light(Vector at, double brightness) {}

  private final StringTokenizer words;
  private final List<Shape> shapeList = new ArrayList<>();
  private final List<Light> lightList = new ArrayList<>();
  private Shape[] shapes;
  private Light[] lights;
  private Vector eye, look;
  private double fov;

  private double number() { return Double.parseDouble(words.nextToken()); }
  private Vector vector() { return new Vector(number(), number(), number()); }

  private Raytrace(Path scene) throws IOException {
    StringBuilder text = new StringBuilder();
    for (String line : Files.readAllLines(scene)) text.append(line.split("#", 2)[0]).append('\n');
    words = new StringTokenizer(text.toString());
    while (words.hasMoreTokens()) {
      switch (words.nextToken().charAt(0)) {
        case 'c' -> {
          eye = vector();
          look = vector();
          fov = number();
        }
        case 'l' -> lightList.add(0, new Light(vector(), number()));
        case 'p' -> addShape(new Plane(number(), vector(), vector()));
        default -> addShape(new Sphere(vector(), number(), vector()));
      }
    }
    shapes = shapeList.toArray(new Shape[0]);
    lights = lightList.toArray(new Light[0]);
  }

  private void addShape(Shape shape) {
    shape.reflection = number();
    shapeList.add(0, shape);
  }

  private boolean shadowed(Vector p, Vector d, double limit) {
    for (Shape s : shapes)
      if (s.hit(p, d) < limit) return true;
    return false;
  }

  private Vector trace(Vector o, Vector d, int depth) {
    Shape best = null;
    double distance = Double.POSITIVE_INFINITY;
    for (Shape s : shapes) {
      double t = s.hit(o, d);
      if (t < distance) {
        best = s;
        distance = t;
      }
    }
    if (best == null) {
      double k = (d.y + 1.0) * 0.5;
      return new Vector(k * -0.5 + 0.95, k * -0.3 + 0.97, 1.0);
    }
    Vector p = o.plus(d.times(distance)), n = best.normal(p), c = best.colour(p);
    Vector r = d.minus(n.times(d.dot(n) * 2.0));
    double diffuse = 0.15, shine = 0.0;
    for (Light light : lights) {
      Vector v = light.at.minus(p);
      double far = Math.sqrt(v.dot(v));
      Vector l = v.over(far);
      double cosine = n.dot(l);
      if (!(cosine > 0.0) || shadowed(p, l, far)) continue;
      diffuse += cosine * light.brightness;
      double h = r.dot(l);
      if (!(h > 0.0)) continue;
      double h2 = h * h, h4 = h2 * h2, h8 = h4 * h4, h16 = h8 * h8, h32 = h16 * h16;
      shine += h32 * light.brightness;
    }
    double half = shine * 0.6;
    Vector m = new Vector(c.x * diffuse + half, c.y * diffuse + half, c.z * diffuse + half);
    if (depth <= 0 || best.reflection <= 0.0) return m;
    Vector mirrored = trace(p, r, depth - 1);
    double part = best.reflection, rest = 1.0 - part;
    return new Vector(
        m.x * rest + mirrored.x * part, m.y * rest + mirrored.y * part, m.z * rest + mirrored.z * part);
  }

  private static byte toByte(double c) {
    return (byte) (int) (Math.sqrt(Math.min(Math.max(c, 0.0), 1.0)) * 255.0 + 0.5);
  }

  /** The picture as a PPM file. */
  private byte[] render(int width, int height, int samples) {
    Vector f = look.minus(eye);
    f = f.over(Math.sqrt(f.dot(f)));
    double flat = Math.sqrt(f.x * f.x + f.z * f.z);
    Vector right = new Vector(f.z / flat, 0.0, -f.x / flat);
    Vector top = new Vector(f.y * right.z, f.z * right.x - f.x * right.z, -(f.y * right.x));
    double zoom = Math.tan(fov * 0.008726646259971648), n = samples, share = 1.0 / (n * n);
    double yh = height * 0.5, xh = width * 0.5;
    byte[] header = ("P6\n" + width + " " + height + "\n255\n").getBytes(StandardCharsets.US_ASCII);
    byte[] out = new byte[header.length + width * height * 3];
    System.arraycopy(header, 0, out, 0, header.length);
    int at = header.length;
    for (int yy = 0; yy < height; ++yy) {
      for (int xx = 0; xx < width; ++xx) {
        Vector sum = new Vector(0.0, 0.0, 0.0);
        for (int j = 0; j < samples; ++j) {
          for (int i = 0; i < samples; ++i) {
            double v = (yh - (yy + (j + 0.5) / n)) * zoom / yh, u = ((xx + (i + 0.5) / n) - xh) * zoom / yh;
            Vector d =
                new Vector((right.x * u + top.x * v) + f.x, top.y * v + f.y, (right.z * u + top.z * v) + f.z);
            sum = sum.plus(trace(eye, d.over(Math.sqrt(d.dot(d))), 4));
          }
        }
        out[at++] = toByte(sum.x * share);
        out[at++] = toByte(sum.y * share);
        out[at++] = toByte(sum.z * share);
      }
    }
    return out;
  }

  public static void main(String[] args) throws IOException {
    int width = args.length > 2 ? Integer.parseInt(args[2]) : 160;
    int height = args.length > 3 ? Integer.parseInt(args[3]) : 120;
    int samples = args.length > 5 ? Integer.parseInt(args[5]) : 1;
    byte[] out = new Raytrace(Path.of(args[0])).render(width, height, samples);
    Files.write(Path.of(args[1]), out);
    long checksum = 0;
    for (byte b : out) checksum = checksum * 31 + (b & 0xFF);
    System.out.println("checksum: " + checksum);
  }
}
