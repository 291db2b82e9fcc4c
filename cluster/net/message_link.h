// One socket that carries frames both ways, encrypted if it leaves the machine.
//
// Sending. Whoever has a frame puts it into the queue. If nobody is writing, he writes: everything that is queued, with
// one system call, until the queue is empty; frames that others queue meanwhile go out in his next call. On the loop
// frames are collected, and written when the present round is done. If the socket is full, the loop goes on when there
// is room again:
//
//     Idle --send()--> Writing --queue empty--> Idle         (one writer at a time, whichever thread)
//                         \----socket full----> Blocked --EPOLLOUT, loop--> Writing
//
// Receiving. The loop reads ahead, at most kTurnBytes before it looks at other sockets, and gives each frame to the
// receiver at once.
#pragma once

#include <functional>
#include <mutex>
#include <optional>

#include "cluster/net/message_frame.h"
#include "cluster/net/message_loop.h"
#include "cluster/net/page_pipe.h"
#include "cluster/net/send_queue.h"
#include "cluster/net/tls.h"

namespace jvmc::cluster {

/// All methods are called on the loop.
class LinkOwner {
 public:
  virtual ~LinkOwner() = default;
  virtual void onFrame(Frame frame) = 0;
  /// The socket was closed or failed, or a frame was malformed: once, unless the link was closed before.
  virtual void onBroken(std::string why) = 0;
  /// The queue has sunk to the mark that was asked for.
  virtual void onDrained() = 0;
};

class MessageLink final : public Watched {
 public:
  static constexpr size_t kTurnBytes = 256 << 10;
  static constexpr size_t kCollectedBytes = 64 << 10;  ///< on the loop: so much is not held back

  /// Takes the connection, a non-blocking socket. `owner` must outlive close(). On the loop.
  MessageLink(MessageLoop& loop, Transport transport, size_t payloadBytesMax, LinkOwner& owner);
  /// After close().
  ~MessageLink() override;
  MessageLink(const MessageLink&) = delete;

  /// Any thread; never blocks. The frame gets its number here. After the end of the link frames are dropped: onBroken
  /// tells.
  void send(FrameHeader header, Payload payload);
  /// Bytes that the socket has not taken yet. Any thread.
  size_t queuedBytes() const { return queuedBytes_.load(std::memory_order_relaxed); }
  /// onDrained() will be called once no more than `bytes` are queued; soon, if it is so already. On the loop.
  void whenDrainedTo(size_t bytes);
  /// Nothing is read, sent or told from now on. On the loop.
  void close();

  // -- Watched
  void onReady(uint32_t events) override;
  void flush() override;

 private:
  enum class Progress { Done, Full, Failed };
  /// What one call has done: so many bytes, or nothing because the socket is not ready, or nothing ever again.
  struct Transfer {
    size_t bytes = 0;
    bool notReady = false;
    std::string problem{};  // empty: the other side has closed the connection
  };

  static Transfer transferOf(ssize_t count);
  static Transfer transferOf(TlsSession::Progress progress);
  Transfer put();
  size_t lentBytes() const;
  std::optional<Transfer> putPages();
  Transfer get(std::span<uint8_t> into);
  void write(std::unique_lock<std::mutex>& lock);
  Progress writeTurn();
  void read();
  void fail(std::string why);
  void failSoon(std::string why);
  void tellIfDrained();

  MessageLoop& loop_;
  const int fd_;
  const std::shared_ptr<TlsSession> tls_;  // null: in the clear
  LinkOwner& owner_;

  std::mutex mutex_;
  SendQueue queue_;              // guarded by mutex_
  uint32_t frames_ = 0;          // guarded by mutex_: so many have been put into the queue
  SendQueue sending_;            // of the writer
  PagePipe pages_;               // of the writer: the first bytes of `sending_`, or none
  std::string writeProblem_;     // of the writer
  bool writing_ = false;         // guarded by mutex_: somebody is the writer
  bool blocked_ = false;         // guarded by mutex_: the loop writes next, when the socket has room
  bool closed_ = false;          // guarded by mutex_; written on the loop
  bool watchesWriting_ = false;  // guarded by mutex_: the loop looks for EPOLLOUT
  std::atomic<size_t> queuedBytes_{0};
  std::atomic<size_t> drainMark_{SIZE_MAX};  // SIZE_MAX: nobody asks

  // On the loop only.
  FrameReader reader_;
  FrameOrder order_;
  bool collecting_ = false;  // flush() will come
  bool broken_ = false;
  std::shared_ptr<bool> alive_;  // false after close()
};

}  // namespace jvmc::cluster
