#include "runtime/frames/codec.h"

#include <xxhash.h>

#include <algorithm>
#include <unordered_map>

#include "ir/support/fault.h"
#include "runtime/frames/class_init.h"
#include "runtime/frames/frame_check.h"
#include "runtime/frames/image_io.h"
#include "runtime/frames/runtime_frames.h"

namespace jvmc::rt {
namespace {

constexpr uint32_t kMagic = 0x544D'564A;  // "JVMT"
constexpr size_t kChecksumBytes = 8;
enum Flags : uint16_t { kInterrupted = 1, kParkPermit = 2, kPinned = 4 };

Error corrupt(std::string what) {
  return {ErrorCode::kCorrupt, "thread image: " + std::move(what)};
}

uint32_t slotBytes(const ir::Module& module, ir::TypeId type) {
  ir::TypeKind kind = module.types[type].kind;
  return kind == ir::TypeKind::I32 || kind == ir::TypeKind::F32 ? 4 : 8;
}

// ---------------------------------------------------------------- encoding

class Encoder {
 public:
  explicit Encoder(const FunctionInfos& functions) : functions_(functions) {}

  std::vector<uint8_t> run(const GuestThread& thread) {
    putHead(thread);
    collectFunctions(thread.frames);
    out_.put(uint32_t(table_.size()));
    for (uint32_t function : table_) {
      ir::FunctionHash hash = functions_.module().hash(ir::FunctionId(function));
      out_.put(hash.high);
      out_.put(hash.low);
    }
    out_.put(uint32_t(thread.frames.depth()));
    for (size_t i = 0; i < thread.frames.depth(); ++i) putFrame(thread.frames.header(i), thread.frames.slots(i));
    out_.put(uint64_t(XXH3_64bits(out_.bytes().data(), out_.bytes().size())));
    return out_.take();
  }

 private:
  void putHead(const GuestThread& thread) {
    out_.put(kMagic);
    out_.put(kThreadImageVersion);
    bool interrupted = thread.interrupted && !JVMC_FAULT("interrupt-flag-stays-behind");
    out_.put(uint16_t((interrupted ? kInterrupted : 0) | (thread.parkPermit ? kParkPermit : 0) |
                      (thread.pinned ? kPinned : 0)));
    out_.put(thread.ref.id);
    out_.put(thread.ref.object);
    out_.put(thread.incarnation);
    out_.putText(thread.name);
    out_.put(uint8_t(thread.wait.kind));
    out_.put(uint8_t(thread.wait.interruptible));
    out_.put(thread.wait.ticket);
    out_.put(thread.wait.object);
    out_.put(thread.wait.remainingNanos);
    const Resumption& r = thread.resumption;
    out_.put(uint8_t(r.kind));
    out_.put(uint8_t(r.builtin));
    out_.put(uint8_t((r.acquire ? 1 : 0) | (r.remote ? 2 : 0)));
    out_.put(r.detail);
    out_.put(r.value);
    out_.put(r.exception);
    out_.put(thread.outsideCalls);
    out_.put(thread.guestClockFloor);
    const ThreadStats& s = thread.stats;
    for (uint64_t n :
         {s.cpuNanosInterpreter, s.cpuNanosCompiled, s.captures, s.capturedFrames, s.capturedCompiledFrames, s.moves})
      out_.put(n);
  }

  void addFunction(uint32_t function) {
    if (indexOf_.try_emplace(function, uint32_t(table_.size())).second) table_.push_back(function);
  }

  void collectFunctions(const FrameStack& frames) {
    for (size_t i = 0; i < frames.depth(); ++i) {
      uint32_t function = frames.header(i).function;
      if (!isRuntimeFrame(function)) addFunction(function);
      if (function == kFrameThreadStart) addFunction(uint32_t(frames.slots(i)[2]));
    }
  }

  void putFrame(const FrameHeader& header, const uint64_t* slots) {
    bool isRuntime = isRuntimeFrame(header.function);
    out_.put(isRuntime ? header.function : indexOf_.at(header.function));
    out_.put(header.resumePoint);
    out_.put(header.slotCount);
    if (!isRuntime) return putSlots(header.function, header.resumePoint, slots);
    bool startsThread = header.function == kFrameThreadStart;
    uint32_t fixed = startsThread ? kThreadStartFixedSlots : header.slotCount;
    for (uint32_t s = 0; s < fixed; ++s)
      out_.put(startsThread && s == 2 ? uint64_t(indexOf_.at(uint32_t(slots[s]))) : slots[s]);
    if (startsThread) putSlots(uint32_t(slots[2]), ir::pointBefore(0), slots + fixed);
  }

  void putSlots(uint32_t function, uint32_t resumePoint, const uint64_t* slots) {
    const PointSlots& point = functions_[ir::FunctionId(function)].slots(resumePoint);
    for (size_t s = 0; s < point.types.size(); ++s) {
      if (slotBytes(functions_.module(), point.types[s]) == 4)
        out_.put(uint32_t(slots[s]));
      else if (JVMC_FAULT("image-truncates-i64") && point.types[s] == ir::kI64)
        out_.put(uint64_t(uint32_t(slots[s])));
      else
        out_.put(slots[s]);
    }
  }

  const FunctionInfos& functions_;
  ImageWriter out_;
  std::vector<uint32_t> table_;
  std::unordered_map<uint32_t, uint32_t> indexOf_;
};

// ---------------------------------------------------------------- decoding

class Decoder {
 public:
  Decoder(const FunctionInfos& functions, std::span<const uint8_t> body, const PlausibleReference& plausible)
      : functions_(functions), in_(body), plausible_(plausible), thread_(std::make_unique<GuestThread>()) {}

  Result<std::unique_ptr<GuestThread>> run() {
    if (Status head = getHead(); !head.ok()) return std::move(head).error();
    if (Status table = getFunctions(); !table.ok()) return std::move(table).error();
    for (uint32_t i = 0, n = in_.getCount(12); i < n; ++i)
      if (Status frame = getFrame(); !frame.ok()) return std::move(frame).error();
    if (in_.failed()) return corrupt("too short");
    if (!in_.atEnd()) return corrupt("bytes after its end");
    if (Status frames = checkFrames(functions_, *thread_); !frames.ok()) return corrupt(frames.error().message);
    if (Status references = checkReferences(); !references.ok()) return std::move(references).error();
    return std::move(thread_);
  }

 private:
  Status getHead() {
    in_.get<uint32_t>();  // magic and version: looked at by the caller
    in_.get<uint16_t>();
    uint16_t flags = in_.get<uint16_t>();
    if (flags > (kInterrupted | kParkPermit | kPinned)) return corrupt("unknown flags");
    GuestThread& t = *thread_;
    t.interrupted = flags & kInterrupted;
    t.parkPermit = flags & kParkPermit;
    t.pinned = flags & kPinned;
    t.ref.id = in_.get<uint64_t>();
    t.ref.object = in_.get<uint64_t>();
    t.incarnation = in_.get<uint32_t>();
    t.name = in_.getText();
    uint8_t waitKind = in_.get<uint8_t>(), interruptible = in_.get<uint8_t>();
    t.wait.kind = WaitKind(waitKind);
    t.wait.interruptible = interruptible;
    t.wait.ticket = in_.get<uint64_t>();
    t.wait.object = in_.get<uint64_t>();
    t.wait.remainingNanos = in_.get<int64_t>();
    uint8_t kind = in_.get<uint8_t>(), builtin = in_.get<uint8_t>(), how = in_.get<uint8_t>();
    Resumption& r = t.resumption;
    r.kind = Resumption::Kind(kind);
    r.builtin = BuiltinThrow(builtin);
    r.acquire = how & 1;
    r.remote = how & 2;
    r.detail = in_.get<int32_t>();
    r.value = in_.get<uint64_t>();
    r.exception = in_.get<uint64_t>();
    t.outsideCalls = in_.get<uint64_t>();
    t.guestClockFloor = in_.get<int64_t>();
    ThreadStats& s = t.stats;
    for (uint64_t* n : {&s.cpuNanosInterpreter, &s.cpuNanosCompiled, &s.captures, &s.capturedFrames,
                        &s.capturedCompiledFrames, &s.moves})
      *n = in_.get<uint64_t>();
    if (in_.failed()) return corrupt("too short");
    if (t.ref.id == 0 || t.ref.object == kNullRef) return corrupt("no thread id or object");
    if (waitKind > uint8_t(WaitKind::Yield) || interruptible > 1 || t.wait.remainingNanos < 0)
      return corrupt("bad wait");
    if (kind > uint8_t(Resumption::Kind::ThrowObject) || builtin > uint8_t(BuiltinThrow::NoClassDef) || how > 3)
      return corrupt("bad resumption");
    if (r.kind == Resumption::Kind::ThrowObject && r.exception == kNullRef) return corrupt("throws null");
    return Unit{};
  }

  Status getFunctions() {
    uint32_t count = in_.getCount(16);
    for (uint32_t i = 0; i < count; ++i) {
      ir::FunctionHash hash;
      hash.high = in_.get<uint64_t>();
      hash.low = in_.get<uint64_t>();
      ir::FunctionId function = functions_.findByHash(hash);
      if (!function.valid()) return corrupt(fmt::format("unknown function {:016x}{:016x}", hash.high, hash.low));
      Result<const FunctionInfo*> info = functions_.find(function);
      if (!info.ok()) return std::move(info).error();
      table_.push_back(*info);
    }
    return Unit{};
  }

  const FunctionInfo* function(uint64_t index) const { return index < table_.size() ? table_[index] : nullptr; }

  Status getFrame() {
    uint32_t name = in_.get<uint32_t>(), resumePoint = in_.get<uint32_t>(), slotCount = in_.get<uint32_t>();
    if (isRuntimeFrame(name)) return getRuntimeFrame(name, resumePoint, slotCount);
    const FunctionInfo* info = function(name);
    if (info == nullptr) return corrupt("a frame of no function");
    if (!info->isResumePoint(resumePoint)) return corrupt(fmt::format("{} is no resume point", resumePoint));
    if (info->slots(resumePoint).types.size() != slotCount) return corrupt("wrong number of slots");
    getSlots(*info, resumePoint, thread_->frames.push(info->function().value, resumePoint, slotCount));
    return Unit{};
  }

  Status getRuntimeFrame(uint32_t name, uint32_t resumePoint, uint32_t slotCount) {
    if (resumePoint != 0 || uint64_t(slotCount) > 1u << 20) return corrupt("bad runtime frame");
    std::vector<uint64_t> slots(std::min<uint32_t>(slotCount, kThreadStartFixedSlots));
    for (uint64_t& slot : slots) slot = in_.get<uint64_t>();
    if (name != kFrameThreadStart) {
      if (slotCount != slots.size()) return corrupt("bad runtime frame");
      std::copy(slots.begin(), slots.end(), thread_->frames.push(name, 0, slotCount));
      return Unit{};
    }
    const FunctionInfo* info = slots.size() == kThreadStartFixedSlots ? function(slots[2]) : nullptr;
    if (info == nullptr || info->slots(ir::pointBefore(0)).types.size() != slotCount - kThreadStartFixedSlots)
      return corrupt("bad thread start");
    slots[2] = info->function().value;
    uint64_t* to = thread_->frames.push(name, 0, slotCount);
    std::copy(slots.begin(), slots.end(), to);
    getSlots(*info, ir::pointBefore(0), to + kThreadStartFixedSlots);
    return Unit{};
  }

  void getSlots(const FunctionInfo& info, uint32_t resumePoint, uint64_t* slots) {
    const PointSlots& point = info.slots(resumePoint);
    for (size_t s = 0; s < point.types.size(); ++s)
      slots[s] = slotBytes(functions_.module(), point.types[s]) == 4 ? in_.get<uint32_t>() : in_.get<uint64_t>();
  }

  Status checkReferences() {
    bool good = true;
    visitThreadReferences(functions_, *thread_, [&](ObjectRef ref) { good = good && plausible_(ref); });
    if (!good) return corrupt("a reference that is none");
    return Unit{};
  }

  const FunctionInfos& functions_;
  ImageReader in_;
  const PlausibleReference& plausible_;
  std::vector<const FunctionInfo*> table_;
  std::unique_ptr<GuestThread> thread_;
};

}  // namespace

std::vector<uint8_t> encodeThread(const FunctionInfos& functions, const GuestThread& thread) {
  return Encoder(functions).run(thread);
}

Result<std::unique_ptr<GuestThread>> decodeThread(const FunctionInfos& functions, std::span<const uint8_t> image,
                                                  const PlausibleReference& plausible) {
  ImageReader head(image);
  if (head.get<uint32_t>() != kMagic) return corrupt("not one");
  uint16_t version = head.get<uint16_t>();
  if (version != kThreadImageVersion)
    return Error{ErrorCode::kUnsupportedVersion,
                 fmt::format("thread image: version {}, this is {}", version, kThreadImageVersion)};
  if (image.size() < kChecksumBytes) return corrupt("too short");
  std::span<const uint8_t> body = image.first(image.size() - kChecksumBytes);
  ImageReader tail(image.last(kChecksumBytes));
  if (tail.get<uint64_t>() != XXH3_64bits(body.data(), body.size())) return corrupt("checksum does not match");
  Result<std::unique_ptr<GuestThread>> thread = Decoder(functions, body, plausible).run();
  if (thread.ok()) noteInitialising(**thread);
  return thread;
}

}  // namespace jvmc::rt
