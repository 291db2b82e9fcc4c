// The portable encoding of threads: what goes in comes out, the bytes are those of the golden files, and nothing that
// is read can crash or confuse the types of a node.
#include "runtime/frames/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <xxhash.h>

#include <fstream>
#include <random>

#include "runtime/frames/runtime_frames.h"
#include "tests/unit/runtime/support/program.h"

namespace jvmc::rt::test {
namespace {

constexpr const char* kProgram = R"(
class Point {
  field x: i32
  static origin: ref(Point)
  init @Point.clinit
}
func @Point.clinit() {
  %p = new Object
  return
}
func @sum(%p: ref(Point), %n: i32, %w: f64, %z: f32) -> i64 {
  br loop(0, 0, %w)
loop(%i: i32, %s: i64, %f: f64):
  %c = lt.i32 %i, %n
  br_if %c, body, done
body:
  %v = load_field %p, Point.x
  %vw = i32_to_i64 %v
  %s2 = add.i64 %s, %vw
  %i2 = add.i32 %i, 1
  %f2 = mul.f64 %f, %f
  br loop(%i2, %s2, %f2)
done:
  %zd = f32_to_f64 %z
  %g = add.f64 %f, %zd
  %gi = f64_to_i64 %g
  %r = add.i64 %s, %gi
  return %r
}
func @worker(%p: ref(Point), %k: i64) {
  %o = load_static Point.origin
  %r = call @sum(%p, 5, 2.0, 1.0)
  %t = add.i64 %r, %k
  %u = new Thread
  thread_start %u, @worker(%o, %t)
  thread_sleep %t
  return
}
func @main() {
  %p = new Point
  call @worker(%p, 1)
  return
}
)";

constexpr ObjectRef kObject = 0x1400'0000'1000;

class ThreadImage : public testing::Test {
 protected:
  std::unique_ptr<ir::Module> module_ = parseProgram(kProgram);
  FunctionInfos infos_{*module_};
  PlausibleReference anyReference_ = [](ObjectRef ref) { return ref % 8 == 0 && ref >= 0x1400'0000'0000; };

  uint32_t function(const char* name) { return module_->findFunction(name).value; }

  /// Flat index of the nth instruction with this opcode.
  uint32_t find(const char* name, ir::Opcode op) {
    const FunctionInfo& info = infos_[module_->findFunction(name)];
    for (uint32_t i = 0; i < info.cfg().instrCount(); ++i)
      if (info.instr(i).op == op) return i;
    ADD_FAILURE() << name;
    return 0;
  }

  /// Pushes a frame; slots by type: references, then numbers counting up.
  void push(GuestThread& thread, const char* name, uint32_t resumePoint) {
    const PointSlots& point = infos_[module_->findFunction(name)].slots(resumePoint);
    uint64_t* slots = thread.frames.push(function(name), resumePoint, uint32_t(point.types.size()));
    for (size_t i = 0; i < point.types.size(); ++i)
      slots[i] = module_->types[point.types[i]].isReference() ? kObject : 100 + i;
  }

  std::unique_ptr<GuestThread> threadInLoop() {
    auto thread = std::make_unique<GuestThread>();
    thread->ref = {7, kObject + 64};
    thread->incarnation = 3;
    thread->name = "worker-7";
    thread->outsideCalls = 12;
    thread->interrupted = true;
    thread->guestClockFloor = 1'000'000'007;
    thread->stats.captures = 5;
    thread->stats.moves = 2;
    push(*thread, "main", ir::pointAfter(find("main", ir::Opcode::kCall)));
    push(*thread, "worker", ir::pointAfter(find("worker", ir::Opcode::kCall)));
    push(*thread, "sum", ir::pointBefore(find("sum", ir::Opcode::kLt)));
    return thread;
  }

  std::unique_ptr<GuestThread> asleep() {
    auto thread = threadInLoop();
    thread->frames.pop();
    thread->frames.pop();
    push(*thread, "worker", ir::pointAfter(find("worker", ir::Opcode::kThreadSleep)));
    thread->wait.kind = WaitKind::Sleep;
    thread->wait.ticket = 44;
    thread->wait.remainingNanos = 123'456'789;
    thread->wait.interruptible = true;
    thread->resumption.acquire = true;
    return thread;
  }

  std::unique_ptr<GuestThread> initialising() {
    auto thread = threadInLoop();
    thread->frames.pop();
    thread->frames.pop();
    push(*thread, "worker", ir::pointBefore(find("worker", ir::Opcode::kLoadStatic)));
    uint64_t* slots = thread->frames.push(kFrameClassInit, 0, kClassInitSlots);
    slots[0] = module_->findClass("Point").value;
    slots[1] = uint64_t(ClassInitPhase::Body);
    slots[2] = kNullRef;
    push(*thread, "Point.clinit", ir::pointBefore(0));
    return thread;
  }

  std::unique_ptr<GuestThread> starting() {
    auto thread = threadInLoop();
    thread->frames.pop();
    thread->frames.pop();
    push(*thread, "worker", ir::pointAfter(find("worker", ir::Opcode::kThreadStart)));
    uint64_t* slots = thread->frames.push(kFrameThreadStart, 0, kThreadStartFixedSlots + 2);
    slots[0] = kObject;
    slots[1] = 9;
    slots[2] = function("worker");
    slots[3] = uint64_t(ThreadStartPhase::Begin);
    slots[4] = kObject;
    slots[5] = 77;
    return thread;
  }

  std::string failure(const std::vector<uint8_t>& image) {
    auto decoded = decodeThread(infos_, image, anyReference_);
    return decoded.ok() ? "" : decoded.error().message;
  }

  /// Puts the right checksum under changed bytes.
  static void seal(std::vector<uint8_t>& image) {
    uint64_t sum = XXH3_64bits(image.data(), image.size() - 8);
    for (size_t i = 0; i < 8; ++i) image[image.size() - 8 + i] = uint8_t(sum >> (8 * i));
  }
};

void expectSame(const GuestThread& a, const GuestThread& b) {
  EXPECT_EQ(a.ref, b.ref);
  EXPECT_EQ(a.incarnation, b.incarnation);
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.outsideCalls, b.outsideCalls);
  EXPECT_EQ(a.interrupted, b.interrupted);
  EXPECT_EQ(a.parkPermit, b.parkPermit);
  EXPECT_EQ(a.guestClockFloor, b.guestClockFloor);
  EXPECT_EQ(a.wait.kind, b.wait.kind);
  EXPECT_EQ(a.wait.ticket, b.wait.ticket);
  EXPECT_EQ(a.wait.remainingNanos, b.wait.remainingNanos);
  EXPECT_EQ(a.resumption.acquire, b.resumption.acquire);
  EXPECT_EQ(a.resumption.value, b.resumption.value);
  EXPECT_EQ(a.stats.captures, b.stats.captures);
  EXPECT_EQ(a.stats.moves, b.stats.moves);
  ASSERT_EQ(a.frames.depth(), b.frames.depth());
  for (size_t i = 0; i < a.frames.depth(); ++i) {
    EXPECT_EQ(a.frames.header(i).function, b.frames.header(i).function);
    EXPECT_EQ(a.frames.header(i).resumePoint, b.frames.header(i).resumePoint);
    ASSERT_EQ(a.frames.header(i).slotCount, b.frames.header(i).slotCount);
    for (uint32_t s = 0; s < a.frames.header(i).slotCount; ++s) EXPECT_EQ(a.frames.slots(i)[s], b.frames.slots(i)[s]);
  }
}

TEST_F(ThreadImage, comes_back_as_it_was) {
  for (auto& thread : {threadInLoop(), asleep(), initialising(), starting()}) {
    auto decoded = decodeThread(infos_, encodeThread(infos_, *thread), anyReference_);
    ASSERT_TRUE(decoded.ok()) << decoded.error().message;
    expectSame(*thread, **decoded);
  }
}

// Numbers that lose something if a slot is written narrower than it is.
TEST_F(ThreadImage, keeps_every_bit_of_every_slot) {
  auto thread = threadInLoop();
  for (size_t i = 0; i < thread->frames.depth(); ++i) {
    const FrameHeader& frame = thread->frames.header(i);
    const PointSlots& point = infos_[ir::FunctionId(frame.function)].slots(frame.resumePoint);
    for (size_t s = 0; s < point.types.size(); ++s) {
      ir::TypeKind kind = module_->types[point.types[s]].kind;
      bool isNarrow = kind == ir::TypeKind::I32 || kind == ir::TypeKind::F32;
      if (!module_->types[point.types[s]].isReference())
        thread->frames.slots(i)[s] = isNarrow ? 0x8765'4321 : 0x8765'4321'0000'0001;
    }
  }
  auto decoded = decodeThread(infos_, encodeThread(infos_, *thread), anyReference_);
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  expectSame(*thread, **decoded);
}

// A file of another version of this code must stay readable, or be refused: its bytes must not change unnoticed.
TEST_F(ThreadImage, has_the_bytes_of_the_golden_files) {
  std::pair<const char*, std::unique_ptr<GuestThread>> cases[] = {
      {"in_loop", threadInLoop()}, {"asleep", asleep()}, {"initialising", initialising()}, {"starting", starting()}};
  for (auto& [name, thread] : cases) {
    std::string path = std::string(JVMC_SOURCE_DIR "/tests/golden/frames/") + name + ".hex";
    std::string hex;
    std::vector<uint8_t> image = encodeThread(infos_, *thread);
    for (size_t i = 0; i < image.size(); ++i) hex += fmt::format("{:02x}{}", image[i], i % 32 == 31 ? "\n" : "");
    hex += "\n";
    if (std::getenv("JVMC_UPDATE_GOLDEN")) std::ofstream(path) << hex;
    std::ifstream file(path);
    std::string golden((std::istreambuf_iterator<char>(file)), {});
    EXPECT_EQ(hex, golden) << name << ": JVMC_UPDATE_GOLDEN=1 writes the file anew; a change is a new version";
  }
}

TEST_F(ThreadImage, of_another_version_or_kind_is_refused) {
  std::vector<uint8_t> image = encodeThread(infos_, *threadInLoop());
  auto newer = image;
  newer[4] = 2;
  EXPECT_EQ(decodeThread(infos_, newer, anyReference_).error().code, ErrorCode::kUnsupportedVersion);
  auto other = image;
  other[0] ^= 1;
  EXPECT_THAT(failure(other), testing::HasSubstr("not one"));
  EXPECT_THAT(failure({}), testing::HasSubstr("not one"));
}

TEST_F(ThreadImage, cut_off_anywhere_is_refused) {
  std::vector<uint8_t> image = encodeThread(infos_, *starting());
  for (size_t length = 0; length < image.size(); ++length) {
    std::vector<uint8_t> cut(image.begin(), image.begin() + long(length));
    EXPECT_NE(failure(cut), "") << length;
    if (cut.size() < 16) continue;
    seal(cut);
    EXPECT_NE(failure(cut), "") << length << ", with a right checksum";
  }
}

TEST_F(ThreadImage, with_a_flipped_bit_is_refused) {
  std::vector<uint8_t> image = encodeThread(infos_, *threadInLoop());
  for (size_t i = 6; i < image.size(); ++i) {
    auto flipped = image;
    flipped[i] ^= uint8_t(1u << (i % 8));
    EXPECT_THAT(failure(flipped), testing::HasSubstr("checksum")) << i;
  }
}

TEST_F(ThreadImage, with_a_frame_that_its_caller_does_not_call_is_refused) {
  auto thread = threadInLoop();
  thread->frames.pop();
  push(*thread, "worker", ir::pointAfter(find("worker", ir::Opcode::kCall)));  // worker calls sum there
  EXPECT_THAT(failure(encodeThread(infos_, *thread)), testing::HasSubstr("does not call"));
}

TEST_F(ThreadImage, with_a_reference_out_of_range_is_refused) {
  auto thread = threadInLoop();
  for (size_t i = 0; i < thread->frames.depth(); ++i)
    for (uint32_t r : infos_[ir::FunctionId(thread->frames.header(i).function)]
                          .slots(thread->frames.header(i).resumePoint)
                          .references)
      thread->frames.slots(i)[r] = kObject + 4;
  EXPECT_THAT(failure(encodeThread(infos_, *thread)), testing::HasSubstr("reference"));
}

TEST_F(ThreadImage, of_another_program_is_refused) {
  auto other = parseProgram("func @sum() -> i64 {\n  return 1\n}\nfunc @main() {\n  return\n}\n");
  FunctionInfos infos(*other);
  auto decoded = decodeThread(infos, encodeThread(infos_, *threadInLoop()), anyReference_);
  ASSERT_FALSE(decoded.ok());
  EXPECT_THAT(decoded.error().message, testing::HasSubstr("unknown function"));
}

// Whatever the bytes say, decoding ends with a thread whose frames can be encoded again, or with an error.
TEST_F(ThreadImage, mutated_at_random_with_a_right_checksum_never_crashes) {
  uint64_t seed = 20260;
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  std::vector<std::vector<uint8_t>> corpus;
  for (auto& thread : {threadInLoop(), asleep(), initialising(), starting()})
    corpus.push_back(encodeThread(infos_, *thread));
  int accepted = 0, refused = 0;
  for (int round = 0; round < 40'000; ++round) {
    auto image = corpus[random() % corpus.size()];
    for (uint64_t n = 1 + random() % 4; n > 0; --n) {
      size_t at = 6 + random() % (image.size() - 14);
      switch (random() % 4) {
        case 0:
          image[at] = uint8_t(random());
          break;
        case 1:
          image[at] = random() % 2 ? 0xFF : 0;
          break;
        case 2:
          image[at] ^= uint8_t(1u << (random() % 8));
          break;
        default:
          image.erase(image.begin() + long(at));
      }
    }
    seal(image);
    auto decoded = decodeThread(infos_, image, anyReference_);
    (decoded.ok() ? accepted : refused)++;
    if (decoded.ok()) encodeThread(infos_, **decoded);
  }
  EXPECT_GT(accepted, 100);
  EXPECT_GT(refused, 10'000);
}

}  // namespace
}  // namespace jvmc::rt::test
