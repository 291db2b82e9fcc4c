#include "runtime/prof/profiler.h"

#include <algorithm>
#include <chrono>
#include <unordered_map>

#include "runtime/abi/guest_memory.h"
#include "runtime/abi/helpers.h"
#include "runtime/frames/function_info.h"
#include "runtime/heap/object_model.h"
#include "runtime/helpers/throwing.h"
#include "runtime/prof/cpu_sampler.h"
#include "runtime/prof/service_threads.h"
#include "runtime/prof/stack_walk.h"
#include "runtime/vm.h"

namespace jvmc::rt {
namespace {

constexpr auto kGatherPeriod = std::chrono::milliseconds(100);
/// Beyond these, samples are counted as lost.
constexpr size_t kNotesMax = 200'000;
constexpr size_t kStacksMax = 200'000;
/// A helper is not longer than this: an address further behind its start belongs to something else.
constexpr uint64_t kHelperBytesMax = 8192;

/// The helper that an address of ours lies in, as "[newObject]"; "[runtime]" if it is none.
std::string runtimeName(uint64_t pc) {
  static const std::vector<std::pair<uint64_t, const char*>> kStarts = [] {
    std::vector<std::pair<uint64_t, const char*>> starts = {
#define JVMC_HELPER(name, result, params) {reinterpret_cast<uint64_t>(&jvmc_##name), #name},
#include "runtime/abi/helpers.def"
    };
    std::sort(starts.begin(), starts.end());
    return starts;
  }();
  auto after = std::upper_bound(kStarts.begin(), kStarts.end(), std::pair(pc, static_cast<const char*>(nullptr)),
                                [](const auto& a, const auto& b) { return a.first < b.first; });
  if (after == kStarts.begin() || pc - std::prev(after)->first > kHelperBytesMax) return "[runtime]";
  return "[" + std::string(std::prev(after)->second) + "]";
}

template <class Value>
uint64_t hashOf(const std::vector<Value>& words) {
  uint64_t hash = 0;
  for (Value word : words) hash = (hash ^ uint64_t(word)) * 0x9E37'79B9'7F4A'7C15 + (hash >> 29);
  return hash;
}

}  // namespace

// ---------------------------------------------------------------- adding up

/// Finds out what words mean, and keeps one entry for equal samples.
class Profiler::Book {
 public:
  explicit Book(Vm& vm, ServiceThreads services = {}) : vm_(vm), services_(std::move(services)) {}

  void add(const ProfileSample& sample, std::span<const uint64_t> words) { addStack(sample, stackOf(words)); }

  /// CPU time of the runtime itself, which no guest thread is behind.
  void addServices() {
    services_.drain([this](const char* name, uint64_t nanos) {
      ProfileSample sample;
      sample.count = 1;
      sample.value = nanos;
      addStack(sample, {frameNumber({name, "", 0})});
    });
  }

  void addStack(const ProfileSample& sample, const std::vector<uint32_t>& stack) {
    const uint64_t hash = hashOf(stack);
    uint32_t index = ~0u;
    for (auto [it, end] = stacks_.equal_range(hash); it != end; ++it)
      if (profile_.stacks[it->second] == stack) index = it->second;
    if (index == ~0u) {
      if (profile_.stacks.size() >= kStacksMax) {
        profile_.lost += sample.count;
        return;
      }
      index = uint32_t(profile_.stacks.size());
      stacks_.emplace(hash, index);
      profile_.stacks.push_back(stack);
    }
    const Key key{sample.kind, sample.wait, sample.home, index, sample.thread, sample.cls};
    const auto [known, isNew] = samples_.try_emplace(key, profile_.samples.size());
    if (isNew) {
      profile_.samples.push_back(sample);
      profile_.samples.back().stack = index;
      return;
    }
    ProfileSample& sum = profile_.samples[known->second];
    sum.count += sample.count;
    sum.value += sample.value;
    sum.nanos += sample.nanos;
  }

  void lose(uint64_t samples) { profile_.lost += samples; }

  /// Names of threads, as long as they are here.
  void nameThreads() {
    const bool anyNew = std::any_of(profile_.samples.begin(), profile_.samples.end(), [&](const ProfileSample& sample) {
      return sample.thread != 0 && !profile_.threads.contains(sample.thread);
    });
    if (!anyNew) return;
    for (const ThreadSnapshot& thread : vm_.scheduler().snapshot()) profile_.threads[thread.ref.id] = thread.name;
  }

  Profile take() { return std::move(profile_); }
  /// For the book that goes on after this one.
  ServiceThreads takeServices() { return std::move(services_); }

 private:
  struct Key {
    SampleKind kind;
    WaitKind wait;
    int32_t home;
    uint32_t stack;
    ThreadId thread;
    std::string cls;
    auto operator<=>(const Key&) const = default;
  };

  /// Innermost first. What the runtime does on behalf of guest code becomes one frame in brackets, at the inner end.
  std::vector<uint32_t> stackOf(std::span<const uint64_t> words) {
    std::vector<uint32_t> stack;
    std::vector<uint64_t> runtime;  // addresses of ours met so far, innermost first
    for (uint64_t word : words) {
      const std::vector<uint32_t>& frames = framesOf(word);
      if (frames.empty()) {
        if (stack.empty()) runtime.push_back(word);
        continue;
      }
      // The outermost is the interpreter's loop: interpreting is not worth a frame.
      if (stack.empty() && word & kPortableWord && !runtime.empty()) runtime.pop_back();
      if (stack.empty() && !runtime.empty()) stack.push_back(frameNumber({runtimeName(runtime.back()), "", 0}));
      stack.insert(stack.end(), frames.begin(), frames.end());
    }
    if (stack.empty()) stack.push_back(frameNumber({"[scheduler]", "", 0}));
    if (words.size() == kWalkWordsMax) stack.push_back(frameNumber({"[deeper]", "", 0}));
    return stack;
  }

  const std::vector<uint32_t>& framesOf(uint64_t word) {
    const auto [known, isNew] = words_.try_emplace(word);
    if (!isNew) return known->second;
    if (word & kPortableWord) {
      known->second = {frameNumber(portableFrame(functionOfWord(word), uint32_t(word)))};
    } else if (vm_.options().mode != RunMode::Interp && vm_.code()) {
      for (const CodeSite& site : vm_.code()->sitesAt(word))
        known->second.push_back(frameNumber(frameAt(site.function, site.loc)));
    }
    return known->second;
  }

  ProfileFrame portableFrame(uint32_t function, uint32_t flat) const {
    const ir::FunctionId id(function);
    if (flat == kUnknownFlat) return frameAt(id, {});
    return frameAt(id, vm_.functionInfos()[id].instr(flat).loc);
  }

  ProfileFrame frameAt(ir::FunctionId function, ir::SourceLoc loc) const {
    const ir::Module& module = vm_.module();
    return {module[function].name, loc.file < module.files.size() ? module.files[loc.file] : "", loc.line};
  }

  uint32_t frameNumber(const ProfileFrame& frame) {
    const auto [known, isNew] =
        frames_.try_emplace({frame.function, frame.file, frame.line}, uint32_t(profile_.frames.size()));
    if (isNew) profile_.frames.push_back(frame);
    return known->second;
  }

  Vm& vm_;
  ServiceThreads services_;
  Profile profile_;
  std::unordered_map<uint64_t, std::vector<uint32_t>> words_;
  std::map<std::tuple<std::string, std::string, uint32_t>, uint32_t> frames_;
  std::unordered_multimap<uint64_t, uint32_t> stacks_;  // by hash
  std::map<Key, size_t> samples_;
};

std::vector<ProfileFrame> Profiler::describe(Vm& vm, std::span<const uint64_t> words) {
  Book book(vm);
  book.add({}, words);
  const Profile profile = book.take();
  std::vector<ProfileFrame> frames;
  for (uint32_t index : profile.stacks.front()) frames.push_back(profile.frames[index]);
  return frames;
}

// ---------------------------------------------------------------- life

Profiler::Profiler(Vm& vm) : vm_(vm) {}

Profiler::~Profiler() {
  stop();
}

void Profiler::start(const ProfileOptions& options) {
  {
    std::scoped_lock lock(bookMutex_);
    if (!book_) book_ = std::make_unique<Book>(vm_);
    if (options.wants(SampleKind::Cpu)) book_->addServices();  // what they use counts from now on
  }
  allocBytes_ = std::max<uint64_t>(options.allocBytes, 1);
  wanted_ = options.kinds;
  if (options.wants(SampleKind::Cpu))
    CpuSampler::start(vm_, options.hz);
  else
    CpuSampler::stop(vm_);
  {
    std::scoped_lock lock(runMutex_);
    leaseEnd_ = {};
    if (options.leaseNanos > 0)
      leaseEnd_ = std::chrono::steady_clock::now() + std::chrono::nanoseconds(options.leaseNanos);
  }
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
}

void Profiler::stop() {
  if (!thread_.joinable()) return;
  wanted_ = 0;
  gather();
  CpuSampler::stop(vm_);
  {
    std::scoped_lock lock(runMutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
  thread_.join();
  stopping_ = false;
}

Profile Profiler::take() {
  gather();
  std::scoped_lock lock(bookMutex_);
  if (!book_) return {};
  Profile taken = book_->take();
  book_ = std::make_unique<Book>(vm_, book_->takeServices());
  return taken;
}

void Profiler::run() {
  std::unique_lock lock(runMutex_);
  while (!stopped_.wait_for(lock, kGatherPeriod, [this] { return stopping_; })) {
    const bool isOver = leaseEnd_.time_since_epoch().count() != 0 && std::chrono::steady_clock::now() > leaseEnd_;
    lock.unlock();
    isOver ? fallAsleep() : gather();
    lock.lock();
  }
}

/// Whoever wanted the profile has not asked for it again.
void Profiler::fallAsleep() {
  if (wanted_.exchange(0) == 0) return;
  CpuSampler::stop(vm_);
  gather();
  std::scoped_lock lock(bookMutex_);
  book_.reset();
}

void Profiler::gather() {
  std::vector<Note> notes;
  uint64_t lost = 0;
  {
    std::scoped_lock lock(mutex_);
    notes.swap(notes_);
    lost = std::exchange(lost_, 0);
  }
  std::scoped_lock lock(bookMutex_);
  if (!book_) return;
  lost += CpuSampler::drain(vm_, [this](const CpuSample& cpu) {
    ProfileSample sample;
    sample.thread = cpu.thread;
    sample.count = 1;
    sample.value = cpu.nanos;
    book_->add(sample, cpu.words);
  });
  if (wants(SampleKind::Cpu)) book_->addServices();
  for (Note& note : notes) {
    if (note.hasClass) note.sample.cls = className(vm_.layout(), note.cls);
    book_->add(note.sample, note.words);
  }
  book_->lose(lost);
  book_->nameThreads();
}

// ---------------------------------------------------------------- notes

void Profiler::put(Note note) {
  std::scoped_lock lock(mutex_);
  if (notes_.size() >= kNotesMax)
    ++lost_;
  else
    notes_.push_back(std::move(note));
}

void Profiler::noteAllocation(ThreadContext& ctx, ClassIndex cls, uint64_t bytes) {
  const uint64_t mean = allocBytes_.load(std::memory_order_relaxed);
  int64_t& left = ctx.thread->allocSampleLeft;
  // A random distance, so that no period of the program's meets the samples' own.
  const uint64_t random = (ctx.allocCursor ^ ctx.thread->ref.id * 0x9E37'79B9'7F4A'7C15) * 0xBF58'476D'1CE4'E5B9;
  const int64_t next = int64_t(mean / 2 + (random >> 16) % mean + 1);
  if (left == 0) left = next;
  left -= int64_t(bytes);
  if (left > 0) return;
  Note note;
  note.sample.kind = SampleKind::Alloc;
  note.sample.thread = ctx.thread->ref.id;
  note.sample.count = 1;
  note.sample.value = mean + uint64_t(-left);
  note.cls = cls;
  note.hasClass = true;
  left = next;
  uint64_t words[kWalkWordsMax];
  note.words.assign(words, words + walkOwnStack(ctx, words));
  put(std::move(note));
}

void Profiler::noteWait(const GuestThread& thread, uint64_t nanos) {
  Note note;
  note.sample.kind = SampleKind::Wait;
  note.sample.thread = thread.ref.id;
  note.sample.wait = thread.wait.kind;
  note.sample.count = 1;
  note.sample.value = nanos;
  if (const ObjectRef object = thread.wait.object; object != kNullRef) {
    const uint64_t epoch = header(object)->epochWord.load(std::memory_order_acquire);
    note.hasClass = epoch != kEpochInvalid;
    if (note.hasClass) note.cls = classIndexOf(object);
  }
  uint64_t words[kWalkWordsMax];
  note.words.assign(words, words + walkFrames(thread.frames, words));
  put(std::move(note));
}

void Profiler::noteFetch(ThreadContext& ctx, ObjectRef object, uint32_t home, uint64_t bytes, uint64_t nanos) {
  Note note;
  note.sample.kind = SampleKind::Fetch;
  note.sample.thread = ctx.thread->ref.id;
  note.sample.home = int32_t(home);
  note.sample.count = 1;
  note.sample.value = bytes;
  note.sample.nanos = nanos;
  note.cls = classIndexOf(object);
  note.hasClass = true;
  uint64_t words[kWalkWordsMax];
  note.words.assign(words, words + walkOwnStack(ctx, words));
  put(std::move(note));
}

}  // namespace jvmc::rt
