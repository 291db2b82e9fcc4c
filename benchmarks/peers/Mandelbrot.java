/** Java counterpart of examples/mandelbrot.ir: same arithmetic, one thread, same output. */
final class Mandelbrot {
  private static int escape(double cr, double ci, int limit) {
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

  private static void computeRow(byte[] row, int y, int iterations) {
    int width = row.length;
    double scale = 3.0 / width, ci = (y - width / 2.0) * scale;
    for (int x = 0; x < width; ++x) {
      int n = escape(x * scale - 2.0, ci, iterations);
      row[x] = (byte) (n == iterations ? 0 : n % 255 + 1);
    }
  }

  public static void main(String[] args) {
    int width = args.length > 0 ? Integer.parseInt(args[0]) : 120;
    int iterations = args.length > 1 ? Integer.parseInt(args[1]) : 100;
    long inside = 0, sum = 0;
    byte[] row = new byte[width];
    for (int y = 0; y < width; ++y) {
      computeRow(row, y, iterations);
      for (byte value : row) {
        if (value == 0) ++inside;
        sum = sum * 31 + (value & 0xFF);
      }
    }
    System.out.println("inside: " + inside + "\nchecksum: " + sum);
  }
}
