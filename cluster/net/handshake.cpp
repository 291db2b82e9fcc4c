#include "cluster/net/handshake.h"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <fmt/format.h>
#include <kj/debug.h>

#include <cstring>

#include "cluster/net/error_bridge.h"
#include "cluster/net/limits.h"
#include "schema/hello.capnp.h"

namespace jvmc::cluster {

namespace {

constexpr char kMagic[4] = {'J', 'V', 'M', 'C'};
constexpr std::string_view kHelloLabel = "jvmcluster hello 1";
constexpr std::string_view kWelcomeLabel = "jvmcluster welcome 1";
constexpr capnp::ReaderOptions kHelloLimits{kMaxHelloBytes / 8 * 4, 8};

using Words = kj::Array<capnp::word>;

[[noreturn]] void refuse(ErrorCode code, std::string why) {
  kj::throwFatalException(toException({code, std::move(why)}));
}

std::span<const uint8_t> bytesOf(capnp::Data::Reader data) {
  return {data.begin(), data.size()};
}
capnp::Data::Reader dataOf(std::span<const uint8_t> bytes) {
  return {bytes.data(), bytes.size()};
}

// ---------------------------------------------------------------- frames

kj::Promise<void> sendFrame(kj::AsyncIoStream& stream, capnp::MessageBuilder& message) {
  auto words = capnp::messageToFlatArray(message);
  auto body = words.asBytes();
  auto frame = kj::heapArray<kj::byte>(8 + body.size());
  std::memcpy(frame.begin(), kMagic, 4);
  for (int i = 0; i < 4; ++i) frame[4 + i] = kj::byte(body.size() >> (8 * i));
  std::memcpy(frame.begin() + 8, body.begin(), body.size());
  auto sent = stream.write(frame.begin(), frame.size());
  return sent.attach(kj::mv(frame));
}

kj::Promise<Words> receiveFrame(kj::AsyncIoStream& stream) {
  auto header = kj::heapArray<kj::byte>(8);
  auto read = stream.tryRead(header.begin(), 8, 8);
  return read.then([&stream, header = kj::mv(header)](size_t count) mutable -> kj::Promise<Words> {
    if (count < 8) refuse(ErrorCode::kUnavailable, "the peer closed the connection before it greeted");
    size_t length = 0;
    for (int i = 0; i < 4; ++i) length |= size_t(header[4 + i]) << (8 * i);
    if (std::memcmp(header.begin(), kMagic, 4) != 0)
      refuse(ErrorCode::kCorrupt, "the peer does not speak this protocol");
    if (length == 0 || length > kMaxHelloBytes || length % 8 != 0)
      refuse(ErrorCode::kCorrupt, fmt::format("a greeting of {} bytes", length));
    auto words = kj::heapArray<capnp::word>(length / 8);
    auto body = stream.tryRead(words.begin(), length, length);
    return body.then([words = kj::mv(words), length](size_t count) mutable {
      if (count < length)
        refuse(ErrorCode::kUnavailable, "the peer closed the connection in the middle of its greeting");
      return kj::mv(words);
    });
  });
}

void checkVersion(uint32_t version, std::string_view who) {
  if (version == kWireVersion) return;
  refuse(ErrorCode::kUnsupportedVersion,
         fmt::format("{} speaks wire version {}, this program version {}", who, version, kWireVersion));
}

void checkNonce(capnp::Data::Reader nonce) {
  if (nonce.size() != sizeof(Nonce)) refuse(ErrorCode::kCorrupt, "a greeting without a nonce");
}

// ---------------------------------------------------------------- messages

Words encodeBody(const HelloInfo& info, const Nonce& nonce) {
  capnp::MallocMessageBuilder message;
  auto body = message.initRoot<schema::HelloBody>();
  body.setNonce(dataOf(nonce));
  body.setRole(schema::Role(info.role));
  body.setProgram(info.program);
  body.setNode(info.node);
  body.setModuleHash(dataOf(info.moduleHash));
  auto plan = body.initPlan();
  plan.setBase(info.plan.base);
  plan.setRegionShift(info.plan.regionShift);
  plan.setRegionCount(info.plan.regionCount);
  body.setView(info.view);
  body.setLink(schema::LinkRole(info.link));
  return capnp::messageToFlatArray(message);
}

/// What a Hello says, and what the answer needs.
struct ReceivedHello {
  HelloInfo info;
  Nonce nonce;
};

ReceivedHello decodeHello(kj::ArrayPtr<const capnp::word> words, const ClusterKey& key, const Nonce& challenge) {
  capnp::FlatArrayMessageReader message(words, kHelloLimits);
  auto hello = message.getRoot<schema::Hello>();
  checkVersion(hello.getVersion(), "the caller");
  auto bodyBytes = hello.getBody();
  if (!sameProof(key.prove(kHelloLabel, {challenge, bytesOf(bodyBytes)}), bytesOf(hello.getProof())))
    refuse(ErrorCode::kRefused, "wrong cluster key");

  auto copy = kj::heapArray<capnp::word>(bodyBytes.size() / 8);  // Data need not be aligned for a reader
  std::memcpy(copy.begin(), bodyBytes.begin(), copy.size() * 8);
  capnp::FlatArrayMessageReader bodyMessage(copy, kHelloLimits);
  auto body = bodyMessage.getRoot<schema::HelloBody>();
  checkNonce(body.getNonce());

  ReceivedHello result;
  std::memcpy(result.nonce.data(), body.getNonce().begin(), sizeof(Nonce));
  if (body.getRole() > schema::Role::COMMAND) refuse(ErrorCode::kCorrupt, "an unknown role");
  result.info.role = Role(body.getRole());
  result.info.program = body.getProgram().cStr();
  result.info.node = body.getNode();
  auto hash = body.getModuleHash();
  result.info.moduleHash.assign(hash.begin(), hash.end());
  auto plan = body.getPlan();
  result.info.plan = {plan.getBase(), plan.getRegionShift(), plan.getRegionCount()};
  result.info.view = body.getView();
  if (body.getLink() > schema::LinkRole::BULK) refuse(ErrorCode::kCorrupt, "an unknown link");
  result.info.link = LinkRole(body.getLink());
  return result;
}

kj::Promise<void> sendWelcome(kj::AsyncIoStream& stream, const std::string& refusal, const Proof& proof) {
  auto message = kj::heap<capnp::MallocMessageBuilder>();
  auto welcome = message->initRoot<schema::Welcome>();
  welcome.setVersion(kWireVersion);
  welcome.setAccepted(refusal.empty());
  if (!refusal.empty()) welcome.setReason(refusal);
  if (refusal.empty()) welcome.setProof(dataOf(proof));
  auto sent = sendFrame(stream, *message);
  return sent.attach(kj::mv(message));
}

kj::Promise<HelloInfo> answerHello(kj::AsyncIoStream& stream, const ClusterKey& key, const AdmitCaller& admit,
                                   Words words, Nonce challenge) {
  ReceivedHello hello = decodeHello(words, key, challenge);
  auto admitted = admit(hello.info);
  return admitted.then([&stream, &key, hello = std::move(hello), challenge](std::string refusal) mutable {
    if (!refusal.empty()) refuse(ErrorCode::kRefused, refusal);
    auto sent = sendWelcome(stream, "", key.prove(kWelcomeLabel, {challenge, hello.nonce}));
    return sent.then([info = std::move(hello.info)]() mutable { return std::move(info); });
  });
}

}  // namespace

const char* roleName(Role role) {
  switch (role) {
    case Role::Launcher:
      return "launcher";
    case Role::Node:
      return "node";
    case Role::Agent:
      return "agent";
    case Role::Command:
      return "command";
  }
  return "unknown";
}

kj::Promise<void> greet(kj::AsyncIoStream& stream, const ClusterKey& key, HelloInfo self) {
  return receiveFrame(stream).then([&stream, key, self = std::move(self)](Words words) -> kj::Promise<void> {
    capnp::FlatArrayMessageReader message(words, kHelloLimits);
    auto challenge = message.getRoot<schema::Challenge>();
    checkVersion(challenge.getVersion(), "the other side");
    checkNonce(challenge.getNonce());
    Nonce theirs, ours = randomNonce();
    std::memcpy(theirs.data(), challenge.getNonce().begin(), sizeof theirs);

    auto body = encodeBody(self, ours);
    auto reply = kj::heap<capnp::MallocMessageBuilder>();
    auto hello = reply->initRoot<schema::Hello>();
    hello.setVersion(kWireVersion);
    hello.setBody(body.asBytes());
    hello.setProof(dataOf(key.prove(kHelloLabel, {theirs, bytesOf(body.asBytes())})));
    auto sent = sendFrame(stream, *reply);
    return sent.attach(kj::mv(reply))
        .then([&stream] { return receiveFrame(stream); })
        .then([key, theirs, ours](Words words) {
          capnp::FlatArrayMessageReader message(words, kHelloLimits);
          auto welcome = message.getRoot<schema::Welcome>();
          checkVersion(welcome.getVersion(), "the other side");
          if (!welcome.getAccepted())
            refuse(ErrorCode::kRefused, fmt::format("refused: {}", welcome.getReason().cStr()));
          if (!sameProof(key.prove(kWelcomeLabel, {theirs, ours}), bytesOf(welcome.getProof())))
            refuse(ErrorCode::kRefused, "the other side does not know the cluster key");
        });
  });
}

kj::Promise<HelloInfo> receiveGreeting(kj::AsyncIoStream& stream, const ClusterKey& key, const AdmitCaller& admit) {
  Nonce challenge = randomNonce();
  auto first = kj::heap<capnp::MallocMessageBuilder>();
  auto root = first->initRoot<schema::Challenge>();
  root.setVersion(kWireVersion);
  root.setNonce(dataOf(challenge));
  auto sent = sendFrame(stream, *first);
  return sent.attach(kj::mv(first))
      .then([&stream] { return receiveFrame(stream); })
      .then([&stream, &key, &admit, challenge](Words words) {
        return answerHello(stream, key, admit, kj::mv(words), challenge);
      })
      .catch_([&stream](kj::Exception&& exception) -> kj::Promise<HelloInfo> {
        if (exception.getType() == kj::Exception::Type::DISCONNECTED) return kj::mv(exception);
        auto told = sendWelcome(stream, plainText(exception), {});
        return told.catch_([](kj::Exception&&) {})
            .then([exception = kj::mv(exception)]() mutable -> kj::Promise<HelloInfo> { return kj::mv(exception); });
      });
}

}  // namespace jvmc::cluster
