#include "cluster/dashboard/metrics.h"

#include <fmt/format.h>

#include <map>

#include "cluster/dashboard/counters.h"

namespace jvmc::cluster {

namespace {

using Json = nlohmann::json;

constexpr double kNano = 1e-9;

/// A node of a program, and what it has said.
struct NodeFacts {
  const ProgramSample& program;
  const NodeView& node;
  Json counters;
  std::map<std::string, uint64_t> threadsByState;
};

/// Writes the values of one metric.
class Out {
 public:
  explicit Out(std::string name) : name_(std::move(name)) {}

  void labels(const ProgramSample& program) { common_ = fmt::format("program=\"{}\"", escaped(program.program.id)); }
  void labels(const NodeFacts& facts) {
    labels(facts.program);
    common_ += fmt::format(",node=\"{}\"", facts.node.node);
  }
  /// `more`: labels of this value, "kind=\"fetch\"".
  void value(double value, const std::string& more = "") { put("", value, more); }
  void put(const char* suffix, double value, const std::string& more) {
    text_ += fmt::format("{}{}{{{}{}{}}} {}\n", name_, suffix, common_, more.empty() ? "" : ",", more, value);
  }
  static std::string label(const char* name, const std::string& value) {
    return fmt::format("{}=\"{}\"", name, escaped(value));
  }
  const std::string& text() const { return text_; }

 private:
  static std::string escaped(const std::string& value) {
    std::string out;
    for (char c : value) {
      if (c == '\\' || c == '"') out += '\\';
      out += c == '\n' ? "\\n" : std::string(1, c);
    }
    return out;
  }

  std::string name_, common_, text_;
};

// ---------------------------------------------------------------- of a program

struct ProgramMetric {
  const char *name, *type, *help;
  void (*write)(const ProgramSample& program, Out& out);
};

constexpr ProgramMetric kProgramMetrics[] = {
    {"jvmcluster_program_info", "gauge", "A program that runs: always 1; its name and state are labels",
     [](const ProgramSample& program, Out& out) {
       out.value(1, Out::label("name", program.program.name) + "," + Out::label("state", program.program.state));
     }},
    {"jvmcluster_program_start_time_seconds", "gauge", "When the program was started, in seconds since 1970",
     [](const ProgramSample& program, Out& out) { out.value(double(program.program.startedUnixMillis) / 1000); }},
    {"jvmcluster_program_nodes", "gauge", "Nodes that belong to the program",
     [](const ProgramSample& program, Out& out) { out.value(program.program.nodes); }},
};

// ---------------------------------------------------------------- of a node, as it describes itself

struct NodeMetric {
  const char *name, *type, *help;
  void (*write)(const NodeFacts& facts, Out& out);
};

void writeHistogram(const NodeFacts& facts, const char* counter, const std::string& more, Out& out) {
  const Json* histogram = counterAt(facts.counters, counter);
  if (!histogram) return;
  std::map<uint64_t, uint64_t> buckets;
  if (const Json* some = counterAt(*histogram, "buckets"))
    for (const auto& [bound, durations] : some->items()) buckets[std::stoull(bound)] = durations.get<uint64_t>();
  const std::string comma = more.empty() ? "" : more + ",";
  uint64_t below = 0;
  // The same bounds always: 1 us to 17 s in powers of four. Buckets of the node are finer.
  auto next = buckets.begin();
  for (uint64_t bound = 1 << 10; bound <= uint64_t(1) << 34; bound *= 4) {
    for (; next != buckets.end() && next->first <= bound; ++next) below += next->second;
    out.put("_bucket", double(below), fmt::format("{}le=\"{:.9g}\"", comma, double(bound) * kNano));
  }
  for (; next != buckets.end(); ++next) below += next->second;
  out.put("_bucket", double(below), comma + "le=\"+Inf\"");
  out.put("_sum", double(counterValue(*histogram, "nanos")) * kNano, more);
  out.put("_count", double(below), more);
}

constexpr NodeMetric kNodeMetrics[] = {
    {"jvmcluster_node_cpu_seconds_total", "counter", "CPU time of the node's process",
     [](const NodeFacts& facts, Out& out) { out.value(double(facts.node.cpuNanos) * kNano); }},
    {"jvmcluster_node_resident_bytes", "gauge", "Resident memory of the node's process",
     [](const NodeFacts& facts, Out& out) { out.value(double(facts.node.rssBytes)); }},
    {"jvmcluster_node_workers", "gauge", "Worker threads: how many guest threads can run at once",
     [](const NodeFacts& facts, Out& out) { out.value(facts.node.workers); }},
    {"jvmcluster_node_busy_cores", "gauge", "Cores that the workers have used lately",
     [](const NodeFacts& facts, Out& out) {
       double busy = 0;
       for (double cpu : facts.node.workerCpu) busy += cpu;
       out.value(busy);
     }},
    {"jvmcluster_run_queue_threads", "gauge", "Guest threads that are ready to run and have no worker",
     [](const NodeFacts& facts, Out& out) { out.value(facts.node.queued); }},
    {"jvmcluster_threads", "gauge", "Guest threads on the node, by state",
     [](const NodeFacts& facts, Out& out) {
       for (const char* state : {"new", "ready", "running", "parked", "moving"}) {
         const auto known = facts.threadsByState.find(state);
         out.value(known == facts.threadsByState.end() ? 0 : double(known->second), Out::label("state", state));
       }
     }},
    {"jvmcluster_heap_bytes", "gauge", "Heap in use, as the last collection has found it",
     [](const NodeFacts& facts, Out& out) { out.value(double(facts.node.heapBytes)); }},
    {"jvmcluster_heap_limit_bytes", "gauge", "Limit of the heap",
     [](const NodeFacts& facts, Out& out) { out.value(double(facts.node.heapLimitBytes)); }},
    {"jvmcluster_copies_bytes", "gauge", "Memory of cached copies of other nodes' objects",
     [](const NodeFacts& facts, Out& out) { out.value(double(facts.node.copyBytes)); }},
    {"jvmcluster_gc_pause_seconds", "summary", "Pauses of the program for collections",
     [](const NodeFacts& facts, Out& out) {
       for (auto [quantile, counter] :
            {std::pair{"0.5", "heap.pauseNanosP50"}, std::pair{"0.99", "heap.pauseNanosP99"}})
         out.value(double(counterValue(facts.counters, counter)) * kNano, Out::label("quantile", quantile));
       out.put("_sum", double(counterValue(facts.counters, "heap.pauseNanosTotal")) * kNano, "");
       out.put("_count", double(counterValue(facts.counters, "heap.pauses")), "");
     }},
    {"jvmcluster_request_seconds", "histogram",
     "Round trips to other nodes, by kind: fetch and refresh of objects, flush of writes, sync (operations at a home)",
     [](const NodeFacts& facts, Out& out) {
       for (const char* kind : {"fetch", "flush", "sync"})
         writeHistogram(facts, fmt::format("objects.{}", kind).c_str(), Out::label("kind", kind), out);
     }},
    {"jvmcluster_thread_move_seconds", "histogram",
     "Moves of threads from here, from being sent to the answer of the other node",
     [](const NodeFacts& facts, Out& out) { writeHistogram(facts, "moves.ack", "", out); }},
    {"jvmcluster_messages_sent_total", "counter", "Messages to other nodes, answers included, by channel",
     [](const NodeFacts& facts, Out& out) {
       if (const Json* net = counterAt(facts.counters, "net"))
         for (const auto& [channel, counters] : net->items())
           out.value(double(counterValue(counters, "messages_out")), Out::label("channel", channel));
     }},
    {"jvmcluster_messages_received_total", "counter", "Messages from other nodes, answers included, by channel",
     [](const NodeFacts& facts, Out& out) {
       if (const Json* net = counterAt(facts.counters, "net"))
         for (const auto& [channel, counters] : net->items())
           out.value(double(counterValue(counters, "messages_in")), Out::label("channel", channel));
     }},
    {"jvmcluster_sent_bytes_total", "counter", "Payload of messages to other nodes, by channel",
     [](const NodeFacts& facts, Out& out) {
       if (const Json* net = counterAt(facts.counters, "net"))
         for (const auto& [channel, counters] : net->items())
           out.value(double(counterValue(counters, "bytes_out")), Out::label("channel", channel));
     }},
    {"jvmcluster_received_bytes_total", "counter", "Payload of messages from other nodes, by channel",
     [](const NodeFacts& facts, Out& out) {
       if (const Json* net = counterAt(facts.counters, "net"))
         for (const auto& [channel, counters] : net->items())
           out.value(double(counterValue(counters, "bytes_in")), Out::label("channel", channel));
     }},
};

// ---------------------------------------------------------------- of a node: counters as they are

struct CounterMetric {
  const char *name, *help, *counter;
  double unit = 1;
};

constexpr CounterMetric kCounterMetrics[] = {
    {"jvmcluster_allocated_bytes_total", "Bytes allocated on the heap", "heap.allocatedBytes"},
    {"jvmcluster_gc_collections_total", "Collections, full ones included", "heap.collections"},
    {"jvmcluster_gc_full_collections_total", "Full collections", "heap.fullCollections"},
    {"jvmcluster_compiled_functions_total", "Functions compiled", "code.functions"},
    {"jvmcluster_compiled_continuations_total", "Continuations compiled: code that begins in the middle of a function",
     "code.continuations"},
    {"jvmcluster_compile_seconds_total", "Time spent compiling", "code.compileNanos", kNano},
    {"jvmcluster_code_bytes_total", "Bytes of compiled code", "code.codeBytes"},
    {"jvmcluster_slow_read_checks_total", "Coherence checks of reads that left the inline path", "objects.slow_reads"},
    {"jvmcluster_slow_write_checks_total", "Coherence checks of writes that left the inline path",
     "objects.slow_writes"},
    {"jvmcluster_fetches_total", "Objects asked for from their homes", "objects.fetches"},
    {"jvmcluster_fetched_bytes_total", "Bytes of objects that came from their homes", "objects.fetch_bytes"},
    {"jvmcluster_refreshed_objects_total", "Stale copies asked for again", "objects.refreshed"},
    {"jvmcluster_leases_total", "Copies leased to other nodes", "objects.leased"},
    {"jvmcluster_loans_total", "Objects lent to other nodes", "objects.lent"},
    {"jvmcluster_recalls_total", "Messages that called leases and loans back", "objects.recalls"},
    {"jvmcluster_flushes_total", "Messages with written objects to their homes", "objects.flush_messages"},
    {"jvmcluster_flushed_objects_total", "Written objects sent to their homes", "objects.flushed_objects"},
    {"jvmcluster_flushed_bytes_total", "Bytes of writes sent to the objects' homes", "objects.flush_bytes"},
    {"jvmcluster_syncs_remote_total", "Operations on monitors and volatiles whose home is another node",
     "objects.sync_remote"},
    {"jvmcluster_evicted_objects_total", "Cached copies taken out of memory", "objects.evicted"},
    {"jvmcluster_moved_block_groups_total", "Groups of blocks that left for another home", "blocks.moved"},
    {"jvmcluster_moved_block_bytes_total", "Bytes of blocks that left for another home", "blocks.moved_bytes"},
    {"jvmcluster_adopted_block_groups_total", "Groups of blocks that came from another home", "blocks.adopted"},
    {"jvmcluster_thread_moves_out_total", "Threads that left for another node", "moves.out"},
    {"jvmcluster_thread_moves_in_total", "Threads that came from another node", "moves.in"},
    {"jvmcluster_thread_moves_refused_total", "Moves that were refused", "moves.refused"},
    {"jvmcluster_thread_moved_bytes_total", "Bytes of threads that left for another node", "moves.bytes_out"},
    {"jvmcluster_balancer_rounds_total", "Times that the balancer has looked at all loads (the leader's node)",
     "balance.rounds"},
    {"jvmcluster_balancer_moves_total", "Moves of threads that the balancer has decided on (the leader's node)",
     "balance.moves"},
    {"jvmcluster_balancer_block_moves_total", "Moves of memory that the balancer has decided on (the leader's node)",
     "balance.block_moves"},
    {"jvmcluster_out_of_memory_total", "Allocations that failed because all nodes were full", "memory.out_of_memory"},
};

std::vector<NodeFacts> factsOf(const ProgramSample& program) {
  std::map<uint64_t, Json> reports;
  for (const std::string& text : program.counters) {
    Json report = Json::parse(text, nullptr, false);
    if (report.is_object()) reports[counterValue(report, "node")] = std::move(report);
  }
  std::vector<NodeFacts> all;
  for (const NodeView& node : program.nodes) {
    NodeFacts& facts = all.emplace_back(NodeFacts{program, node, std::move(reports[node.node]), {}});
    for (const ThreadView& thread : program.threads)
      if (thread.node == node.node) ++facts.threadsByState[thread.state];
  }
  return all;
}

/// A metric without a value is left out.
void append(std::string& text, const char* name, const char* type, const char* help, const Out& out) {
  if (!out.text().empty()) text += fmt::format("# HELP {} {}\n# TYPE {} {}\n{}", name, help, name, type, out.text());
}

}  // namespace

std::string metricsText(const std::vector<ProgramSample>& programs) {
  std::string text;
  std::vector<NodeFacts> nodes;
  for (const ProgramSample& program : programs) {
    auto some = factsOf(program);
    std::move(some.begin(), some.end(), std::back_inserter(nodes));
  }
  for (const ProgramMetric& metric : kProgramMetrics) {
    Out out(metric.name);
    for (const ProgramSample& program : programs) {
      out.labels(program);
      metric.write(program, out);
    }
    append(text, metric.name, metric.type, metric.help, out);
  }
  for (const NodeMetric& metric : kNodeMetrics) {
    Out out(metric.name);
    for (const NodeFacts& facts : nodes) {
      out.labels(facts);
      metric.write(facts, out);
    }
    append(text, metric.name, metric.type, metric.help, out);
  }
  for (const CounterMetric& metric : kCounterMetrics) {
    Out out(metric.name);
    for (const NodeFacts& facts : nodes) {
      out.labels(facts);
      if (const Json* counter = counterAt(facts.counters, metric.counter); counter && counter->is_number())
        out.value(counter->get<double>() * metric.unit);
    }
    append(text, metric.name, "counter", metric.help, out);
  }
  return text;
}

}  // namespace jvmc::cluster
