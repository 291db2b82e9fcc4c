// Two ends of a socket pair that show each other certificates: those of one cluster agree, all others are told why not.
#include "cluster/net/tls.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "cluster/net/certificates.h"

namespace jvmc::cluster {
namespace {

using Progress = TlsSession::Progress;
using State = TlsSession::State;

class TlsTest : public testing::Test {
 protected:
  TlsTest() {
    char name[] = "/tmp/jvmc-tls-XXXXXX";
    root_ = mkdtemp(name);
  }
  ~TlsTest() override { std::filesystem::remove_all(root_); }

  /// A folder with the authority of cluster `cluster`.
  std::string authority(const std::string& cluster = "one") {
    const std::string folder = root_ + "/" + cluster;
    auto made = ensureAuthority(folder);
    JVMC_CHECK(made.ok(), made.error().message);
    return folder;
  }
  std::shared_ptr<const TlsIdentity> identity(const std::string& name, const std::string& cluster = "one",
                                              bool isNode = true) {
    const std::string folder = root_ + "/" + cluster + "-" + name;
    auto issued = issueCertificate(authority(cluster), folder, {name, isNode, 30});
    JVMC_CHECK(issued.ok(), issued.error().message);
    auto read = TlsIdentity::read(folder);
    JVMC_CHECK(read.ok(), read.error().message);
    return *read;
  }

  /// Both ends until both are done or one has failed; what it says.
  struct Pair {
    Pair(const std::shared_ptr<const TlsIdentity>& caller, const std::shared_ptr<const TlsIdentity>& acceptor) {
      JVMC_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
      callers = std::make_unique<TlsSession>(*caller, fds[0], TlsSession::Side::Caller);
      acceptors = std::make_unique<TlsSession>(*acceptor, fds[1], TlsSession::Side::Acceptor);
    }
    ~Pair() {
      for (int fd : fds) close(fd);
    }
    void shakeHands() {
      for (int i = 0; i < 10; ++i) {
        if (caller.state != State::Failed) caller = callers->handshake();
        if (acceptor.state != State::Failed) acceptor = acceptors->handshake();
      }
    }
    int fds[2];
    std::unique_ptr<TlsSession> callers, acceptors;
    Progress caller, acceptor;
  };

  std::string root_;
};

TEST_F(TlsTest, MembersOfAClusterKnowEachOther) {
  Pair pair(identity("alpha"), identity("beta", "one", /*isNode=*/false));
  pair.shakeHands();
  ASSERT_EQ(pair.caller.state, State::Done) << pair.caller.why;
  ASSERT_EQ(pair.acceptor.state, State::Done) << pair.acceptor.why;
  EXPECT_EQ(pair.callers->peer().name, "beta");
  EXPECT_FALSE(pair.callers->peer().isNode);
  EXPECT_EQ(pair.acceptors->peer().name, "alpha");
  EXPECT_TRUE(pair.acceptors->peer().isNode);
}

TEST_F(TlsTest, BytesGoBothWaysAndNothingOfThemIsSeen) {
  Pair pair(identity("alpha"), identity("beta"));
  pair.shakeHands();
  const std::string secret(100'000, 's');
  std::string received;
  size_t sent = 0;
  bool seen = false;
  while (received.size() < secret.size()) {
    if (sent < secret.size()) {
      const Progress put =
          pair.callers->write({reinterpret_cast<const uint8_t*>(secret.data()) + sent, secret.size() - sent});
      ASSERT_NE(put.state, State::Failed) << put.why;
      sent += put.bytes;
    }
    char wire[4096];
    const ssize_t peeked = recv(pair.fds[1], wire, sizeof wire, MSG_PEEK | MSG_DONTWAIT);
    if (peeked > 0) seen = seen || std::string(wire, size_t(peeked)).find("ssss") != std::string::npos;
    uint8_t buffer[1000];
    const Progress got = pair.acceptors->read(buffer);
    ASSERT_NE(got.state, State::Failed) << got.why;
    received.append(reinterpret_cast<char*>(buffer), got.bytes);
    if (got.state == State::Done && received.size() < secret.size() && received.size() % 16384 != 0) {
      EXPECT_TRUE(pair.acceptors->holdsBytes() || sent < secret.size() || received.size() == secret.size());
    }
  }
  EXPECT_EQ(received, secret);
  EXPECT_FALSE(seen) << "the bytes went over the wire in the clear";
}

TEST_F(TlsTest, AStrangersCertificateIsRefusedOnBothSides) {
  Pair pair(identity("alpha"), identity("mallory", "two"));
  pair.shakeHands();
  EXPECT_EQ(pair.caller.state, State::Failed);
  EXPECT_NE(pair.caller.why.find("its certificate is not accepted"), std::string::npos) << pair.caller.why;
  EXPECT_NE(pair.acceptor.why.find("does not accept our certificate"), std::string::npos) << pair.acceptor.why;
}

TEST_F(TlsTest, WhatDoesNotEncryptIsRefused) {
  Pair pair(identity("alpha"), identity("beta"));
  ASSERT_EQ(write(pair.fds[0], "JVMC\x10\0\0\0 hello, is anybody there?", 32), 32);
  pair.acceptor = pair.acceptors->handshake();
  EXPECT_EQ(pair.acceptor.state, State::Failed);
  EXPECT_NE(pair.acceptor.why.find("does not encrypt"), std::string::npos) << pair.acceptor.why;
}

TEST_F(TlsTest, AnEndOfTheConnectionIsNoFailure) {
  Pair pair(identity("alpha"), identity("beta"));
  pair.shakeHands();
  shutdown(pair.fds[0], SHUT_RDWR);
  uint8_t buffer[10];
  EXPECT_EQ(pair.acceptors->read(buffer).state, State::Closed);
}

TEST_F(TlsTest, CertificatesThatCannotBeUsedAreRefusedWhenTheyAreRead) {
  EXPECT_EQ(TlsIdentity::read(root_).error().code, ErrorCode::kNotFound);
  identity("alpha");
  const std::string folder = root_ + "/one-alpha";
  const CertificateFiles files(folder);
  std::filesystem::permissions(files.key, std::filesystem::perms(0644));
  EXPECT_NE(TlsIdentity::read(folder).error().message.find("readable by you only"), std::string::npos);
  std::filesystem::permissions(files.key, std::filesystem::perms(0600));
  ASSERT_TRUE(TlsIdentity::read(folder).ok());
  // Of another cluster.
  std::filesystem::copy_file(authority("two") + "/ca.crt", files.authority,
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_NE(TlsIdentity::read(folder).error().message.find("cannot be used"), std::string::npos);
  // Expired before it began.
  ASSERT_TRUE(issueCertificate(authority(), folder, {"alpha", true, -1}).ok());
  EXPECT_NE(TlsIdentity::read(folder).error().message.find("expired"), std::string::npos);
  // Garbage.
  ASSERT_TRUE(issueCertificate(authority(), folder, {"alpha", true, 30}).ok());
  std::ofstream(files.certificate) << "nonsense";
  EXPECT_NE(TlsIdentity::read(folder).error().message.find("cannot use"), std::string::npos);
}

TEST_F(TlsTest, TheAuthorityIsMadeOnce) {
  const std::string folder = authority();
  EXPECT_FALSE(*ensureAuthority(folder));
  std::filesystem::remove(CertificateFiles(folder).authorityKey);
  EXPECT_EQ(ensureAuthority(folder).error().code, ErrorCode::kRefused);
}

}  // namespace
}  // namespace jvmc::cluster
