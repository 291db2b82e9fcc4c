#include "cluster/dashboard/http_gate.h"

#include <gtest/gtest.h>

namespace jvmc::cluster {
namespace {

HttpHead headFor(std::string_view host, std::string_view target = "/") {
  HttpHead head;
  head.isGet = true;
  head.target = target;
  head.host = host;
  return head;
}

TEST(HttpGate, ServesNamesThatNobodyElseControls) {
  const HttpGate gate("dash.example", 8080, "");
  for (const char* host : {"127.0.0.1:8080", "127.0.0.1", "localhost:8080", "LOCALHOST:99", "[::1]:8080",
                           "192.0.2.7:8080", "dash.example:8080", "Dash.Example"})
    EXPECT_EQ(gate.judge(headFor(host)).status, 200) << host;
}

TEST(HttpGate, RefusesNamesOfOtherSites) {
  const HttpGate gate("127.0.0.1", 8080, "");
  for (const char* host : {"", "evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example",
                           "localhost:8080:8080", "localhost:", "localhost:80x", "[::1", "[localhost.evil]", "127.1",
                           " localhost", "localhost@evil.example", "0x7f.1"})
    EXPECT_EQ(gate.judge(headFor(host)).status, 403) << host;
}

TEST(HttpGate, ServesOnlyReadsWithoutBody) {
  const HttpGate gate("127.0.0.1", 8080, "");
  HttpHead head = headFor("localhost");
  head.isGet = false;
  EXPECT_EQ(gate.judge(head).status, 405);
  head.isGet = true;
  head.hasBody = true;
  EXPECT_EQ(gate.judge(head).status, 400);
}

TEST(HttpGate, WantsTheTokenOnceAndThenItsCookie) {
  const std::string token = newToken();
  const HttpGate gate("127.0.0.1", 8080, token);
  HttpHead head = headFor("localhost", "/api/state");
  EXPECT_EQ(gate.judge(head).status, 401);

  const std::string target = "//evil.example/?x=1&token=" + token;
  const HttpVerdict verdict = gate.judge(headFor("localhost", target));
  EXPECT_EQ(verdict.status, 303);
  EXPECT_EQ(verdict.location, "/");
  EXPECT_EQ(verdict.cookie, "jvmcluster-8080=" + token + "; Path=/; HttpOnly; SameSite=Strict");

  const std::string good = "other=1; jvmcluster-8080=" + token, wrongPort = "jvmcluster-8081=" + token;
  const std::string longer = "jvmcluster-8080=" + token + "0", part = "jvmcluster-8080=" + token.substr(1);
  head.cookie = good;
  EXPECT_EQ(gate.judge(head).status, 200);
  for (const std::string& bad : {wrongPort, longer, part, std::string("jvmcluster-8080="), std::string(";;;=")}) {
    head.cookie = bad;
    EXPECT_EQ(gate.judge(head).status, 401) << bad;
  }
  head.cookie = {};
  const std::string bearer = "Bearer " + token, basic = "Basic " + token;
  head.authorization = bearer;
  EXPECT_EQ(gate.judge(head).status, 200);
  head.authorization = basic;
  EXPECT_EQ(gate.judge(head).status, 401);
}

TEST(HttpGate, TokensAreRandomAndPlain) {
  EXPECT_EQ(newToken().size(), 32U);
  EXPECT_NE(newToken(), newToken());
  EXPECT_TRUE(parseToken(newToken()).ok());
  EXPECT_FALSE(parseToken("0123456789abcde").ok());
  EXPECT_FALSE(parseToken("0123456789abcdef; Path=/").ok());
  EXPECT_FALSE(parseToken(std::string(129, 'a')).ok());
}

TEST(HttpGate, FindsQueryValues) {
  EXPECT_EQ(pathOf("/a?b=c"), "/a");
  EXPECT_EQ(queryValue("/a?b=c&since=12", "since"), "12");
  EXPECT_EQ(queryValue("/a?notsince=1&&since=", "since"), "");
  EXPECT_EQ(queryValue("/a", "since"), std::nullopt);
}

}  // namespace
}  // namespace jvmc::cluster
