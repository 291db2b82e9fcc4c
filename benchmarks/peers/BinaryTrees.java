// The same as ../binary_trees.ir.
final class BinaryTrees {
  private static final class Node {
    Node left, right;
  }

  private static Node tree(int depth) {
    Node n = new Node();
    if (depth <= 0) return n;
    n.left = tree(depth - 1);
    n.right = tree(depth - 1);
    return n;
  }

  private static int count(Node n) {
    Node left = n.left;
    return left == null ? 1 : count(left) + count(n.right) + 1;
  }

  private static long many(int times, int depth) {
    long sum = 0;
    for (int i = 0; i < times; ++i) sum += count(tree(depth));
    return sum;
  }

  public static void main(String[] args) {
    int depth = args.length > 0 ? Integer.parseInt(args[0]) : 10;
    Node kept = tree(depth);
    for (int d = 4; d <= depth; d += 2) System.out.println(many(1 << (depth - d + 4), d));
    System.out.println(count(kept));
  }
}
