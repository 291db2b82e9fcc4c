#include "cluster/dashboard/recorder.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cluster/dashboard/metrics.h"
#include "cluster/dashboard/state_json.h"

namespace jvmc::cluster {
namespace {

using Json = nlohmann::json;

/// A program on nodes 0 and 1, at a second; thread 65 is on `threadNode`.
ProgramSample sampleAt(int64_t second, uint32_t threadNode = 0) {
  ProgramSample sample;
  sample.unixMillis = second * 1000;
  sample.program = {"c0ffee", "hall.ir", "running", 2, 1, 0, 7};
  for (uint32_t id : {0, 1}) {
    NodeView node;
    node.node = id;
    node.state = "running";
    node.cpuNanos = uint64_t(second) * 500'000'000;
    node.heapBytes = 1000 * (id + 1);
    sample.nodes.push_back(node);
  }
  ThreadView thread;
  thread.id = 65;
  thread.name = "mill";
  thread.node = threadNode;
  thread.state = "running";
  thread.moves = threadNode;
  thread.uses.push_back({1 - threadNode, 10, 100, 2.5, 40.0});
  sample.threads.push_back(thread);
  sample.counters = {R"({"node":0,"heap":{"pauseNanosTotal":)" + std::to_string(second * 10'000'000) + "}}", "no json"};
  return sample;
}

std::vector<std::string> kindsOf(const Recorder& recorder) {
  std::vector<std::string> kinds;
  for (const ProgramEvent& event : recorder.events()) kinds.push_back(event.kind);
  return kinds;
}

float last(const Recorder& recorder, size_t node, Series series) {
  return recorder.frames().back().nodes.at(node).second[size_t(series)];
}

TEST(Recorder, TurnsCountersIntoRates) {
  Recorder recorder;
  recorder.take(sampleAt(100));
  EXPECT_EQ(last(recorder, 0, Series::Cpu), 0) << "nothing to compare with";
  recorder.take(sampleAt(102));
  EXPECT_FLOAT_EQ(last(recorder, 0, Series::Cpu), 0.5);
  EXPECT_FLOAT_EQ(last(recorder, 0, Series::Pauses), 0.01F);
  EXPECT_FLOAT_EQ(last(recorder, 1, Series::Heap), 2000);
}

TEST(Recorder, ANodeThatDoesNotAnswerOnceMakesNoPeak) {
  Recorder recorder;
  recorder.take(sampleAt(100));
  ProgramSample silent = sampleAt(101);
  silent.counters.clear();
  recorder.take(silent);
  EXPECT_EQ(last(recorder, 0, Series::Pauses), 0);
}

TEST(Recorder, SaysWhatChangedBetweenSamples) {
  Recorder recorder;
  recorder.fail(99'000, "the program is still starting");
  recorder.take(sampleAt(100));
  recorder.take(sampleAt(101, 1));
  EXPECT_EQ(recorder.events().back().text, "mill (65) moved from node 0 to node 1");

  ProgramSample grown = sampleAt(102, 1);
  grown.nodes.push_back(grown.nodes[0]);
  grown.nodes.back().node = 2;
  recorder.take(grown);
  grown.nodes.back().state = "leaving";
  recorder.take(grown);
  recorder.take(sampleAt(103, 1));
  recorder.fail(104'000, "the program has ended");
  recorder.fail(105'000, "the program has ended");
  EXPECT_EQ(kindsOf(recorder), (std::vector<std::string>{"program", "move", "join", "leaving", "leave", "program"}));
  EXPECT_EQ(recorder.problem(), "the program has ended");
  EXPECT_TRUE(recorder.latest()) << "what was known last stays";
}

TEST(Recorder, TellsOfDecisionsOnceTheirOutcomeIsKnown) {
  Recorder recorder;
  ProgramSample sample = sampleAt(100);
  DecisionView decision;
  decision.number = 1;
  decision.thread = 65;
  decision.to = 1;
  decision.ageNanos = 500'000'000;
  decision.predicted = 0.5;
  decision.outcome = "pending";
  decision.reason = "node 0 is crowded";
  sample.decisions = {decision};
  recorder.take(sample);
  EXPECT_EQ(kindsOf(recorder), (std::vector<std::string>{"program"}));
  decision.ageNanos += 1'000'000'000;
  decision.outcome = "moved";
  decision.isMeasured = true;
  decision.measured = 0.4;
  sample = sampleAt(101);
  sample.decisions = {decision};
  recorder.take(sample);
  recorder.take(sample);
  EXPECT_EQ(kindsOf(recorder), (std::vector<std::string>{"program", "balance"}));
  EXPECT_EQ(recorder.events().back().text,
            "mill (65) from node 0 to node 1: node 0 is crowded; gain expected 0.50, measured 0.40; moved");
  EXPECT_EQ(recorder.events().back().unixMillis, 99'500);
}

TEST(Recorder, ForgetsTheOldest) {
  Recorder recorder;
  ProgramSample joined = sampleAt(1);
  recorder.take(joined);
  for (int64_t second = 2; second < 3000; ++second) recorder.take(sampleAt(second, uint32_t(second % 2)));
  EXPECT_EQ(recorder.frames().size(), Recorder::kFramesMax);
  EXPECT_EQ(recorder.frames().back().unixMillis, 2'999'000);
  EXPECT_EQ(recorder.events().size(), Recorder::kMovesMax + 1);
  EXPECT_EQ(recorder.events().front().kind, "program") << "moves push out moves only";
}

TEST(Recorder, TakesFramesNoOftenerThanASecond) {
  Recorder recorder;
  for (int64_t millis = 100'000; millis < 110'000; millis += 250) {
    ProgramSample sample = sampleAt(100);
    sample.unixMillis = millis;
    recorder.take(sample);
  }
  EXPECT_EQ(recorder.frames().size(), 10U);
}

TEST(StateJson, GivesOnlyWhatIsNew) {
  Recorder recorder;
  recorder.take(sampleAt(100));
  const Json first = Json::parse(stateJson(recorder, 0, 100'500));
  EXPECT_EQ(first["frames"].size(), 1U);
  EXPECT_EQ(first["events"].size(), 1U);
  EXPECT_EQ(first["traffic"], Json::parse("[[0, 1, 2.5, 40]]"));
  recorder.take(sampleAt(101, 1));
  const Json second = Json::parse(stateJson(recorder, first["number"].get<uint64_t>(), 101'500));
  ASSERT_EQ(second["frames"].size(), 1U);
  EXPECT_EQ(second["frames"][0]["time"], 101'000);
  EXPECT_EQ(second["events"][0]["kind"], "move");
  EXPECT_EQ(second["traffic"], Json::parse("[[1, 0, 2.5, 40]]"));
}

TEST(StateJson, NamesMayBeAnyBytes) {
  Recorder recorder;
  ProgramSample sample = sampleAt(100);
  sample.threads[0].name = "\xff\"</script>";
  recorder.take(sample);
  EXPECT_EQ(Json::parse(stateJson(recorder, 0, 0))["threads"][0]["name"], "\xEF\xBF\xBD\"</script>");
}

TEST(StateJson, ListsSoManyThreadsOnly) {
  Recorder recorder;
  ProgramSample sample = sampleAt(100);
  sample.threads.resize(kThreadsShown + 5);
  recorder.take(sample);
  const Json state = Json::parse(stateJson(recorder, 0, 0));
  EXPECT_EQ(state["threads"].size(), kThreadsShown);
  EXPECT_EQ(state["threadCount"], kThreadsShown + 5);
}

TEST(Metrics, BucketsAddUp) {
  ProgramSample sample = sampleAt(100);
  sample.counters = {R"({"node":0,"objects":{"fetch":{"count":6,"nanos":3000000,
      "buckets":{"512":1,"1024":1,"8192":1,"65536":2,"1099511627776":1}}}})"};
  const std::string text = metricsText({sample});
  const auto has = [&](const std::string& line) { return text.find(line + "\n") != std::string::npos; };
  const std::string labels = R"({program="c0ffee",node="0",kind="fetch")";
  EXPECT_TRUE(has("jvmcluster_request_seconds_bucket" + labels + R"(,le="1.024e-06"} 2)")) << text;
  EXPECT_TRUE(has("jvmcluster_request_seconds_bucket" + labels + R"(,le="1.6384e-05"} 3)")) << text;
  EXPECT_TRUE(has("jvmcluster_request_seconds_bucket" + labels + R"(,le="+Inf"} 6)")) << text;
  EXPECT_TRUE(has("jvmcluster_request_seconds_count" + labels + "} 6")) << text;
  EXPECT_TRUE(has("jvmcluster_request_seconds_sum" + labels + "} 0.003")) << text;
}

TEST(Metrics, NothingRunsNothingIsSaid) {
  EXPECT_EQ(metricsText({}), "");
}

TEST(Metrics, LabelsAreQuoted) {
  ProgramSample sample = sampleAt(100);
  sample.program.name = "a\"b\\c\nd";
  EXPECT_NE(metricsText({sample}).find(R"(name="a\"b\\c\nd")"), std::string::npos);
}

}  // namespace
}  // namespace jvmc::cluster
