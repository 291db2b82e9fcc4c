// Compiled kernels beside the same ones in C, and beside the same IR compiled without anything that makes a thread
// movable (rt::CodeOptions::unmovable). Variants run interleaved in one process; the table gives medians of CPU time,
// the ratio to C and the price of being movable. With `--smoke` each runs once and only results are compared; with
// `--checked` the movable side has coherence checks, as in a program with peers.
//
//   jit_kernels [--smoke] [--checked] [--only KERNEL]
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <numeric>
#include <sstream>

#include "tests/unit/jit/fake_runtime.h"

extern "C" {
void c_saxpy(int n, double k, const double* x, double* y);
int64_t c_sum(int n, const int64_t* a);
double c_dot(int n, const double* x, const double* y);
void c_matmul(int n, const double* a, const double* b, double* c);
void c_stencil(int n, const double* from, double* to);
double c_gather(int n, const int32_t* index, const double* x);
int c_sieve(int n, int8_t* flags);
void c_nbody(int n, const double* x, const double* y, const double* z, double* v, const double* mass);
int c_mandelbrot(int width, int limit);
int64_t c_fib(int n);
struct tree;
tree* c_plant(int depth);
int64_t c_walk(const tree* t);
}

namespace jvmc::jit {
namespace {

using test::FakeRuntime;
using test::slot;

double cpuSeconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return double(t.tv_sec) + double(t.tv_nsec) * 1e-9;
}

/// One kernel ready to run: in C on its arrays, and compiled on copies of them in a guest heap.
struct Kernel {
  std::string name;
  std::function<double()> c;
  std::function<std::vector<uint64_t>(FakeRuntime&)> arguments;
  std::function<double(FakeRuntime&, uint64_t result)> result;  ///< what the C function gives
};

class Data {
 public:
  explicit Data(size_t n) : x(n), y(n), z(n), ints(n), index(n), bytes(n) {
    for (size_t i = 0; i < n; ++i) {
      x[i] = double(i % 97) * 0.5 + 1;
      y[i] = double(i % 31) * 0.25 - 2;
      z[i] = double(i % 13);
      ints[i] = int64_t(i * 7919 % 1000);
      index[i] = int32_t(i * 7919 % n);
    }
  }
  std::vector<double> x, y, z;
  std::vector<int64_t> ints;
  std::vector<int32_t> index;
  std::vector<int8_t> bytes;
};

template <class T>
rt::ObjectRef copyIn(FakeRuntime& vm, ir::TypeId type, const std::vector<T>& values) {
  rt::ObjectRef array = vm.newArray(type, uint32_t(values.size()));
  std::memcpy(vm.elements<T>(array), values.data(), values.size() * sizeof(T));
  return array;
}

std::vector<Kernel> kernels() {
  static Data d(2048), big(100000), square(96 * 96), bodies(256);
  static std::vector<double> out(2048), product(96 * 96), velocity(256);
  static tree* trunk = c_plant(14);
  auto f64 = [](FakeRuntime& vm, const std::vector<double>& v) { return copyIn(vm, ir::kF64, v); };
  auto asF64 = [](FakeRuntime&, uint64_t r) { return std::bit_cast<double>(r); };
  auto asInt = [](FakeRuntime&, uint64_t r) { return double(int64_t(r)); };
  auto nothing = [](FakeRuntime&, uint64_t) { return 0.0; };
  return {
      {"saxpy", [] { return c_saxpy(2048, 0.0001, d.x.data(), d.y.data()), 0.0; },
       [=](FakeRuntime& vm) { return std::vector{slot(2048), slot(0.0001), f64(vm, d.x), f64(vm, d.y)}; }, nothing},
      {"sum", [] { return double(c_sum(2048, d.ints.data())); },
       [](FakeRuntime& vm) { return std::vector{slot(2048), copyIn(vm, ir::kI64, d.ints)}; }, asInt},
      {"dot", [] { return c_dot(2048, d.x.data(), d.z.data()); },
       [=](FakeRuntime& vm) { return std::vector{slot(2048), f64(vm, d.x), f64(vm, d.z)}; }, asF64},
      {"stencil", [] { return c_stencil(2048, d.x.data(), out.data()), 0.0; },
       [=](FakeRuntime& vm) { return std::vector{slot(2048), f64(vm, d.x), f64(vm, out)}; }, nothing},
      {"gather", [] { return c_gather(2048, d.index.data(), d.x.data()); },
       [=](FakeRuntime& vm) { return std::vector{slot(2048), copyIn(vm, ir::kI32, d.index), f64(vm, d.x)}; }, asF64},
      {"matmul", [] { return c_matmul(96, square.x.data(), square.z.data(), product.data()), 0.0; },
       [=](FakeRuntime& vm) { return std::vector{slot(96), f64(vm, square.x), f64(vm, square.z), f64(vm, product)}; },
       nothing},
      {"nbody",
       [] {
         c_nbody(256, bodies.x.data(), bodies.y.data(), bodies.z.data(), velocity.data(), bodies.x.data());
         return 0.0;
       },
       [=](FakeRuntime& vm) {
         return std::vector{slot(256),         f64(vm, bodies.x), f64(vm, bodies.y),
                            f64(vm, bodies.z), f64(vm, velocity), f64(vm, bodies.x)};
       },
       nothing},
      {"mandelbrot", [] { return double(c_mandelbrot(64, 200)); },
       [](FakeRuntime&) { return std::vector{slot(64), slot(200)}; }, asInt},
      {"sieve", [] { return double(c_sieve(100000, big.bytes.data())); },
       [](FakeRuntime& vm) { return std::vector{slot(100000), copyIn(vm, ir::kI8, big.bytes)}; }, asInt},
      {"fib", [] { return double(c_fib(25)); }, [](FakeRuntime&) { return std::vector{slot(25)}; }, asInt},
      {"walk", [] { return double(c_walk(trunk)); },
       [](FakeRuntime& vm) { return std::vector<uint64_t>{vm.run("plant", {slot(14)}).bits}; }, asInt},
  };
}

std::string readText(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  JVMC_CHECK(!text.str().empty(), path);
  return text.str();
}

double median(std::vector<double> v) {
  std::nth_element(v.begin(), v.begin() + long(v.size() / 2), v.end());
  return v[v.size() / 2];
}

/// The compiled kernel with arguments of its own.
class Compiled {
 public:
  Compiled(const Kernel& kernel, FakeRuntime& vm)
      : vm_(vm), arguments_(kernel.arguments(vm)), cell_(vm.ctx.cells[vm.function(kernel.name).index()]) {
    double fromC = kernel.c(), fromJit = kernel.result(vm, vm.run(kernel.name, arguments_).bits);
    JVMC_CHECK(std::fabs(fromC - fromJit) <= 1e-9 * std::fabs(fromC), kernel.name, fromC, fromJit);
  }
  void run() { cell_.enter.load()(&vm_.ctx, &cell_, arguments_.data(), &result_); }

 private:
  FakeRuntime& vm_;
  std::vector<uint64_t> arguments_;
  rt::FunctionCell& cell_;
  uint64_t result_ = 0;
};

void compare(const Kernel& kernel, FakeRuntime& movable, FakeRuntime& unmovable, bool smoke) {
  Compiled jit(kernel, movable), bare(kernel, unmovable);
  if (smoke) return;
  const std::function<void()> variants[] = {[&] { kernel.c(); }, [&] { jit.run(); }, [&] { bare.run(); }};
  double start = cpuSeconds();
  kernel.c();
  int repeat = std::max(1, int(0.002 / std::max(cpuSeconds() - start, 1e-7)));
  std::vector<double> times[std::size(variants)], prices;
  for (int round = 0; round < 61; ++round) {
    double seconds[std::size(variants)];
    for (size_t v = 0; v < std::size(variants); ++v) {
      double from = cpuSeconds();
      for (int i = 0; i < repeat; ++i) variants[v]();
      times[v].push_back(seconds[v] = (cpuSeconds() - from) / repeat);
    }
    prices.push_back(seconds[1] / seconds[2]);
  }
  double c = median(times[0]), j = median(times[1]), b = median(times[2]);
  fmt::print("{:<12} {:>10.2f} {:>10.2f} {:>7.2f} {:>13.2f} {:>7.1f}%\n", kernel.name, c * 1e6, j * 1e6, j / c, b * 1e6,
             (median(prices) - 1) * 100);
}

}  // namespace
}  // namespace jvmc::jit

int main(int argc, char** argv) {
  using namespace jvmc;
  using namespace jvmc::jit;
  bool smoke = false, checked = false;
  std::string only;
  for (int i = 1; i < argc; ++i) {
    if (!std::strcmp(argv[i], "--smoke")) smoke = true;
    if (!std::strcmp(argv[i], "--checked")) checked = true;
    if (!std::strcmp(argv[i], "--only") && i + 1 < argc) only = argv[++i];
  }
  FakeRuntime movable(readText(JVMC_KERNELS_IR), {.checked = checked, .synchronous = true});
  rt::AddressPlan elsewhere;
  elsewhere.base += elsewhere.bytes() / 2;
  FakeRuntime unmovable(readText(JVMC_KERNELS_IR), {.synchronous = true, .unmovable = true}, elsewhere);
  if (!smoke)
    fmt::print("{:<12} {:>10} {:>10} {:>7} {:>13} {:>8}\n", "kernel", "C us", "JIT us", "ratio", "unmovable us",
               "price");
  for (const Kernel& kernel : kernels())
    if (only.empty() || only == kernel.name) compare(kernel, movable, unmovable, smoke);
  return 0;
}
