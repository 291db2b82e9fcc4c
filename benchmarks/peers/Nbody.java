/** Java counterpart of examples/nbody.ir: same arithmetic in the same order, one thread. */
final class Nbody {
  private final int n;
  private final double[] x, y, z, vx, vy, vz, mass;
  private long state = 1;

  private Nbody(int bodies) {
    n = bodies;
    x = random(2.0, -1.0);
    y = random(2.0, -1.0);
    z = random(2.0, -1.0);
    vx = random(0.2, -0.1);
    vy = random(0.2, -0.1);
    vz = random(0.2, -0.1);
    mass = random(0.01, 0.001);
  }

  private double[] random(double scale, double offset) {
    double[] a = new double[n];
    for (int i = 0; i < n; ++i) {
      state = state * 6364136223846793005L + 1442695040888963407L;
      a[i] = (state >>> 11) * 0x1p-53 * scale + offset;
    }
    return a;
  }

  private double energy() {
    double e = 0.0;
    for (int i = 0; i < n; ++i) {
      e += mass[i] * 0.5 * ((vx[i] * vx[i] + vy[i] * vy[i]) + vz[i] * vz[i]);
      for (int j = i + 1; j < n; ++j) {
        double dx = x[j] - x[i], dy = y[j] - y[i], dz = z[j] - z[i];
        double d = Math.sqrt(((dx * dx + dy * dy) + dz * dz) + 0.0001);
        e -= mass[i] * mass[j] / d;
      }
    }
    return e;
  }

  private void accelerate(double dt) {
    for (int i = 0; i < n; ++i) {
      double ax = 0.0, ay = 0.0, az = 0.0;
      for (int j = 0; j < n; ++j) {
        double dx = x[j] - x[i], dy = y[j] - y[i], dz = z[j] - z[i];
        double d2 = ((dx * dx + dy * dy) + dz * dz) + 0.0001;
        double force = mass[j] / (d2 * Math.sqrt(d2));
        ax += dx * force;
        ay += dy * force;
        az += dz * force;
      }
      vx[i] += ax * dt;
      vy[i] += ay * dt;
      vz[i] += az * dt;
    }
  }

  private void move(double[] at, double[] v) {
    for (int i = 0; i < n; ++i) at[i] += v[i] * 0.001;
  }

  public static void main(String[] args) {
    int steps = args.length > 0 ? Integer.parseInt(args[0]) : 1000;
    Nbody system = new Nbody(args.length > 2 ? Integer.parseInt(args[2]) : 32);
    System.out.println(system.energy());
    for (int step = 0; step < steps; ++step) {
      system.accelerate(0.001);
      system.move(system.x, system.vx);
      system.move(system.y, system.vy);
      system.move(system.z, system.vz);
    }
    System.out.println(system.energy());
  }
}
