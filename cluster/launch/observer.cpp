#include "cluster/launch/observer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "cluster/launch/state_name.h"
#include "cluster/node_services.h"
#include "runtime/abi/guest_memory.h"
#include "runtime/helpers/throwing.h"
#include "runtime/prof/thread_dump.h"

namespace jvmc::cluster {

namespace {

using Json = nlohmann::ordered_json;
using rt::SampleKind;

constexpr uint32_t kHzMax = 10'000;
constexpr int64_t kOutcomeNanos = 3'000'000'000;  // so long at most the outcome of a decision is awaited
constexpr size_t kTraceEvents = 1 << 17, kTraceEventsMax = 1 << 22;

Error nonsense(const std::string& what) {
  return {ErrorCode::kInvalidInput, "a request to observe that makes no sense: " + what};
}

Result<rt::ProfileOptions> profileOptions(const Json& request) {
  rt::ProfileOptions options;
  options.kinds = 0;
  for (const Json& name : request.value("kinds", Json::array({"cpu"}))) {
    const auto* const end = std::end(rt::kSampleKindNames);
    const auto* const found =
        std::find(std::begin(rt::kSampleKindNames), end, name.is_string() ? name.get<std::string>() : "");
    if (found == end) return nonsense("kinds");
    options.kinds |= 1u << (found - std::begin(rt::kSampleKindNames));
  }
  options.hz = std::clamp(request.value("hz", options.hz), 1u, kHzMax);
  options.allocBytes = std::max<uint64_t>(request.value("allocBytes", options.allocBytes), 1024);
  options.leaseNanos = request.value("leaseMillis", int64_t(0)) * 1'000'000;
  return options;
}

Json toJson(const rt::ProfileSample& sample) {
  Json json = {{"kind", rt::kSampleKindNames[size_t(sample.kind)]},
               {"thread", sample.thread},
               {"stack", sample.stack},
               {"count", sample.count},
               {"value", sample.value}};
  if (!sample.cls.empty()) json["class"] = sample.cls;
  if (sample.home >= 0) json["home"] = sample.home;
  if (sample.wait != rt::WaitKind::None) json["wait"] = rt::waitName(sample.wait);
  if (sample.nanos > 0) json["nanos"] = sample.nanos;
  return json;
}

Json toJson(const rt::Profile& profile) {
  Json frames = Json::array(), samples = Json::array(), threads = Json::object();
  for (const rt::ProfileFrame& frame : profile.frames) frames.push_back({frame.function, frame.file, frame.line});
  for (const rt::ProfileSample& sample : profile.samples) samples.push_back(toJson(sample));
  for (const auto& [id, name] : profile.threads) threads[std::to_string(id)] = name;
  return {{"frames", frames},
          {"stacks", profile.stacks},
          {"samples", samples},
          {"threads", threads},
          {"lost", profile.lost}};
}

// ---------------------------------------------------------------- stacks and waits

const char* stateOf(const rt::ThreadDump& thread) {
  if (thread.moving) return "moving";
  if (thread.suspended) return "fetching";
  return stateName(thread.state);
}

/// As text: JSON readers lose bits of large numbers.
std::string addressText(rt::ObjectRef object) {
  return fmt::format("{:#x}", object);
}

/// The class of an object that is homed or cached here.
Json classOf(rt::Vm& vm, rt::ObjectRef object) {
  if (object == rt::kNullRef) return nullptr;
  if (rt::header(object)->epochWord.load(std::memory_order_acquire) == rt::kEpochInvalid) return nullptr;
  return rt::className(vm.layout(), rt::classIndexOf(object));
}

Json toJson(rt::Vm& vm, const rt::ThreadDump& thread) {
  Json stack = Json::array();
  for (const rt::ProfileFrame& frame : thread.stack)
    stack.push_back({{"function", frame.function}, {"file", frame.file}, {"line", frame.line}});
  Json json = {{"id", thread.ref.id},
               {"name", thread.name},
               {"state", stateOf(thread)},
               {"moves", thread.incarnation},
               {"pinned", thread.pinned},
               {"wait", nullptr},
               {"stack", stack}};
  if (thread.state != rt::ThreadState::Parked || thread.wait.kind == rt::WaitKind::None) return json;
  json["wait"] = {{"for", rt::waitName(thread.wait.kind)}, {"ticket", thread.wait.ticket}};
  if (thread.wait.object != rt::kNullRef) {
    json["wait"]["object"] = addressText(thread.wait.object);
    json["wait"]["class"] = classOf(vm, thread.wait.object);
  }
  return json;
}

Json threadIds(const std::vector<rt::SyncState::Waiting>& waiting) {
  Json ids = Json::array();
  for (const auto& each : waiting) ids.push_back(each.thread.id);
  return ids;
}

void addWaits(Json& reply, rt::Vm& vm, const rt::SyncHome& home) {
  Json monitors = Json::array(), joins = Json::array(), inits = Json::array();
  rt::World::GuestAccess access(vm.world());
  for (const auto& [object, state] : home.states()) {
    Json about = {{"object", addressText(object)}, {"class", classOf(vm, object)}};
    if (state.inflated) {
      Json monitor = about;
      monitor["owner"] = state.owner == 0 ? Json() : Json(state.owner);
      monitor["count"] = state.owner == 0 ? 0 : state.count + 1;
      monitor["entering"] = threadIds(state.entering);
      monitor["waiting"] = threadIds(state.waiting);
      if (home.hasBorrowed(object)) monitor["borrowed"] = true;
      monitors.push_back(std::move(monitor));
    }
    if (!state.joining.empty()) {
      Json join = about;
      const auto& fields = vm.layout()[ir::builtin::kThread].fields;
      join["thread"] = rt::loadGuest<uint64_t>(object + fields[ir::builtin::kThreadId].offset);
      join["waiting"] = threadIds(state.joining);
      joins.push_back(std::move(join));
    }
    if (state.classInit == rt::ClassInitState::Running) {
      Json init = about;
      init["runner"] = state.initRunner;
      init["waiting"] = threadIds(state.initWaiting);
      inits.push_back(std::move(init));
    }
  }
  // Who has them tells the rest, but perhaps not the class: monitors travel without their objects.
  for (const auto& [object, node] : home.lent())
    monitors.push_back({{"object", addressText(object)}, {"class", classOf(vm, object)}, {"lentTo", node.value}});
  reply["monitors"] = std::move(monitors);
  reply["joins"] = std::move(joins);
  reply["classInits"] = std::move(inits);
}

Json toJson(const SpaceState& state) {
  return {{"clock", state.clock}, {"busyObjects", state.busy}, {"writtenObjects", state.written}};
}

Json migrationJson(const NodeState& state) {
  return {{"threadsLeaving", state.threadsLeaving},
          {"threadsSent", state.threadsSent},
          {"lastRefusal", state.lastRefusal},
          {"incomingBlockBytes", state.incomingBlockBytes}};
}

// ---------------------------------------------------------------- events

Json toJson(const rt::TraceTaken& taken, rt::Vm& vm) {
  Json events = Json::array();
  rt::World::GuestAccess access(vm.world());
  for (const rt::TraceEvent& event : taken.events) {
    Json json = {{"kind", rt::kTraceKindNames[size_t(event.kind)]},
                 {"thread", event.thread},
                 {"begin", event.begin},
                 {"end", event.end},
                 {"a", event.a},
                 {"b", event.b}};
    if (event.kind == rt::TraceKind::Wait) json["wait"] = rt::waitName(rt::WaitKind(event.a));
    if (event.kind == rt::TraceKind::Member && event.b < size_t(rt::MemberChange::kCount))
      json["change"] = rt::kMemberChangeNames[event.b];
    if (event.kind == rt::TraceKind::Collect && event.a < size_t(rt::HeapPhase::kCount))
      json["phase"] = rt::kHeapPhaseNames[event.a];
    if (event.kind == rt::TraceKind::Loan) json["class"] = classOf(vm, event.b);
    if (event.kind == rt::TraceKind::Compile) json["function"] = vm.module()[ir::FunctionId(event.a)].name;
    events.push_back(std::move(json));
  }
  return events;
}

Json toJson(const DecisionRecord& record) {
  const auto [from, to, gain, reason] =
      std::visit([](const auto& move) { return std::tuple(move.from, move.to, move.gain, move.reason); }, record.move);
  const Move* const move = std::get_if<Move>(&record.move);
  return {{"number", record.number},
          {"time", record.nanos},
          {"thread", move ? Json(move->thread.id) : Json()},
          {"bytes", move ? Json() : Json(std::get<BlockMove>(record.move).bytes)},
          {"from", from.value},
          {"to", to.value},
          {"reason", reason},
          {"predictedGain", gain},
          {"measuredGain", record.measured ? Json(*record.measured) : Json()},
          {"outcome", nameOf(record.outcome)}};
}

/// Those that are younger than `nanos` and have not been told with their outcome. `told`: see Observer::decisionsTold_.
Json decisionsSince(NodeServices* services, int64_t nanos, uint64_t& told) {
  Json list = Json::array();
  if (!services) return list;
  bool isSettled = true;
  for (const DecisionRecord& record : services->balancer().decisions()) {
    if (record.number <= told) continue;
    const bool isOpen =
        record.outcome == DecisionRecord::Outcome::Pending && rt::Tracer::now() - record.nanos < kOutcomeNanos;
    isSettled = isSettled && !isOpen;
    if (isSettled) told = record.number;
    if (record.nanos >= nanos) list.push_back(toJson(record));
  }
  return list;
}

std::string textOf(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

/// Ends a trace that nobody has asked for any more.
class Observer::TraceLease {
 public:
  explicit TraceLease(rt::Tracer& tracer) : tracer_(tracer), thread_([this] { run(); }) {}
  ~TraceLease() {
    {
      std::scoped_lock lock(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  void renew(int64_t nanos) {
    std::scoped_lock lock(mutex_);
    end_ = std::chrono::steady_clock::now() + std::chrono::nanoseconds(nanos);
    changed_.notify_all();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (!closed_) {
      const auto end = end_;
      changed_.wait_until(lock, end);
      if (end_ <= std::chrono::steady_clock::now()) {
        tracer_.stop();
        end_ = std::chrono::steady_clock::now() + std::chrono::hours(1);
      }
    }
  }

  rt::Tracer& tracer_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::chrono::steady_clock::time_point end_ = std::chrono::steady_clock::now() + std::chrono::hours(1);
  bool closed_ = false;
  std::thread thread_;  // last: it uses the rest
};

Observer::Observer(rt::Vm& vm, const rt::SyncHome& home, NodeServices* services, const NodeNet& net)
    : vm_(vm), home_(home), services_(services) {
  noteMembers(net.nodes(), net.places());
}

Observer::~Observer() = default;

Result<std::string> Observer::answer(const std::string& text) {
  const Json request = Json::parse(text, nullptr, false);
  if (!request.is_object()) return nonsense("no object");
  Json reply = {{"node", vm_.options().node.value}};
  try {
    if (const auto profile = request.find("profile"); profile != request.end()) {
      if (profilesWholeRun_)
        return Error{ErrorCode::kUnavailable, "the program is being profiled already, from its start (run --prof)"};
      const bool stop = profile->value("stop", false);
      if (stop) {
        stopProfile();
      } else {
        auto options = profileOptions(*profile);
        if (!options.ok()) return options.error();
        const bool watchesWaits = isWatchingWaits();
        vm_.profiler().start(*options);
        if (!watchesWaits && isWatchingWaits()) vm_.scheduler().beginWaits();
      }
      reply["profile"] = toJson(vm_.profiler().take());
    }
    if (request.value("threads", false)) {
      Json threads = Json::array();
      for (const rt::ThreadDump& thread : rt::dumpThreads(vm_)) threads.push_back(toJson(vm_, thread));
      reply["threads"] = std::move(threads);
      addWaits(reply, vm_, home_);
      const std::optional<NodeState> state = services_ ? std::optional(services_->state()) : std::nullopt;
      reply["state"] = state ? state->text() : "";
      if (state) reply["objectSpace"] = toJson(state->space);
      if (state) reply["migration"] = migrationJson(*state);
    }
    if (const auto trace = request.find("trace"); trace != request.end()) {
      const bool stop = trace->value("stop", false);
      if (!stop) {
        const bool watchesWaits = isWatchingWaits(), wasOn = vm_.tracer().isOn();
        vm_.tracer().start(std::clamp<size_t>(trace->value("events", kTraceEvents), 1024, kTraceEventsMax),
                           trace->value("minNanos", int64_t(0)));
        if (!watchesWaits) vm_.scheduler().beginWaits();
        if (!wasOn) noteLoans();
        if (!traceLease_) traceLease_ = std::make_unique<TraceLease>(vm_.tracer());
        traceLease_->renew(trace->value("leaseMillis", int64_t(5000)) * 1'000'000);
      }
      rt::TraceTaken taken = vm_.tracer().take();
      if (stop && vm_.tracer().isOn()) takeWhatGoesOn(taken);
      reply["trace"] = toJson(taken, vm_);
      reply["lost"] = taken.lost;
      reply["decisions"] = decisionsSince(services_, vm_.tracer().since(), decisionsTold_);
      if (stop) {
        vm_.tracer().stop();
        traceLease_.reset();
      }
    }
    const auto isLast = [&](const char* kind) { return request.contains(kind) && request[kind].value("last", false); };
    if (!isLast("profile") && !isLast("trace")) reply["now"] = rt::Tracer::now();
  } catch (const Json::exception& error) {
    return nonsense(error.what());
  }
  return textOf(reply);
}

bool Observer::isWatchingWaits() const {
  return vm_.tracer().isOn() || vm_.profiler().wants(SampleKind::Wait);
}

void Observer::stopProfile() {
  if (vm_.profiler().wants(SampleKind::Wait)) vm_.scheduler().noteWaits();
  vm_.profiler().stop();
}

/// Monitors that are here on loan when the trace begins.
void Observer::noteLoans() {
  if (!services_) return;
  for (rt::ObjectRef object : home_.borrowed()) {
    const uint32_t from = services_->homes().homeOf(object).value;
    vm_.tracer().add({rt::TraceKind::Loan, from, 0, vm_.tracer().since(), 0, object});
  }
}

/// After all else, so that a hundred thousand waiting threads push nothing out of the tracer's rings.
void Observer::takeWhatGoesOn(rt::TraceTaken& taken) {
  vm_.scheduler().noteRuns();
  vm_.scheduler().noteWaits();
  rt::TraceTaken more = vm_.tracer().take();
  taken.events.insert(taken.events.end(), more.events.begin(), more.events.end());
  taken.lost += more.lost;
}

void Observer::noteMembers(std::span<const NodeId> nodes, std::span<const NodeId> places) {
  const std::set<NodeId> now(nodes.begin(), nodes.end()), open(places.begin(), places.end());
  const auto note = [this, nanos = rt::Tracer::now()](NodeId node, rt::MemberChange change) {
    if (vm_.tracer().isOn()) vm_.tracer().add({rt::TraceKind::Member, node.value, 0, nanos, nanos, uint64_t(change)});
  };
  for (NodeId node : open)
    if (!places_.contains(node)) note(node, rt::MemberChange::Joined);
  for (NodeId node : places_)
    if (!open.contains(node)) note(node, rt::MemberChange::Leaving);
  for (NodeId node : nodes_)
    if (!now.contains(node)) note(node, rt::MemberChange::Left);
  nodes_ = now;
  places_ = open;
}

Status Observer::startProfile(const std::string& text) {
  const Json request = Json::parse(text, nullptr, false);
  if (!request.is_object()) return nonsense("no object");
  try {
    auto options = profileOptions(request);
    if (!options.ok()) return options.error();
    vm_.profiler().start(*options);
  } catch (const Json::exception& error) {
    return nonsense(error.what());
  }
  profilesWholeRun_ = true;
  return Unit{};
}

std::string Observer::finishProfile() {
  if (!profilesWholeRun_) return {};
  stopProfile();
  return textOf(toJson(vm_.profiler().take()));
}

}  // namespace jvmc::cluster
