// What is under way between this node and one peer: requests that it has not answered, requests of it that we have not
// handled, and the two links that carry them.
//
// Memory. Reading never stops, so two nodes can never wait for each other to read. What a node has asked of a peer is
// bounded by the window (limits.h): a request beyond it waits at the asker. Its answers are bounded by what it takes:
// while too many of our bytes wait for it, its requests are kept instead of handled. Notifications have no answer and
// so no bound; whoever sends them sends few.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <memory>
#include <mutex>

#include "cluster/net/message_link.h"

namespace jvmc::cluster {

/// All methods are called on the loop.
class ExchangeOwner {
 public:
  virtual ~ExchangeOwner() = default;
  virtual void onRequest(NodeId from, Frame frame) = 0;
  virtual void onNotify(NodeId from, Frame frame) = 0;
  /// A link broke or carried nonsense. The owner calls end().
  virtual void onBroken(NodeId peer, std::string why) = 0;
};

/// Payloads up to kSmallPayloadBytesMax go over the small link, larger ones over the bulk link.
enum class DataLink : uint8_t { Small, Bulk };
inline constexpr size_t kDataLinks = 2;

class PeerExchange final : private LinkOwner {
 public:
  using Done = std::function<void(Result<Bytes>)>;

  /// `owner` must outlive end().
  PeerExchange(MessageLoop& loop, NodeId peer, uint32_t view, ExchangeOwner& owner);
  ~PeerExchange() override;

  // -- any thread; never blocks
  /// `done` runs once on the loop, never within the call.
  /// The payload's tail must stay as it is until then.
  void ask(Channel channel, Payload payload, Done done);
  void notify(Channel channel, Bytes payload);
  /// Answers a request of the peer. Dropped if the peer is gone.
  void answer(Channel channel, uint64_t id, Result<Bytes> result);
  NetStats stats() const;
  /// Requests of ours so far.
  uint64_t asked() const;
  /// The first `count` of them have been answered.
  bool answered(uint64_t count) const;

  // -- on the loop
  /// Takes the connection. False (and the socket is closed) if there is such a link already or the exchange has ended.
  bool addLink(DataLink kind, Transport transport);
  /// Closes the links and fails what has no answer, now and in future, with `why`. Once; false if it has ended already.
  bool end(Error why);

 private:
  /// A request of ours.
  struct Question {
    Done done;  // empty: free
    uint32_t generation = 0;
    bool sent = false;
    size_t cost = 0;
    uint64_t number = 0;  ///< as asked() counts
  };
  struct Waiting {
    FrameHeader header;
    Payload payload;
  };
  struct Counters {
    std::atomic<uint64_t> messagesSent{0}, bytesSent{0}, messagesReceived{0}, bytesReceived{0};
  };

  void onFrame(Frame frame) override;
  void onBroken(std::string why) override;
  void onDrained() override;
  void onAnswer(Frame frame);
  void onRequest(Frame frame);
  void handleDeferred();
  bool congested() const;

  uint64_t addQuestionLocked(Done done, size_t cost);
  Question* findQuestionLocked(uint64_t id);
  std::vector<Waiting> takeSendableLocked();
  void post(FrameHeader header, Payload payload);
  MessageLink* link(size_t payloadBytes) const;

  MessageLoop& loop_;
  const NodeId peer_;
  const uint32_t view_;
  ExchangeOwner& owner_;
  std::array<std::unique_ptr<MessageLink>, kDataLinks> ownedLinks_;  // written on the loop
  std::array<std::atomic<MessageLink*>, kDataLinks> links_{};
  std::array<Counters, kChannels> counters_;

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::vector<Question> questions_;
  std::vector<uint32_t> freeQuestions_;
  uint64_t asked_ = 0;
  size_t windowUsed_ = 0;
  std::deque<Waiting> waiting_;  // requests beyond the window
  std::optional<Error> ended_;

  // On the loop only.
  std::deque<Frame> deferred_;  // requests of the peer
  size_t deferredBytes_ = 0;
};

}  // namespace jvmc::cluster
