// Gives a socket memory that stays as it is until the peer has read it: the pages themselves, where sending would copy
// them. The peer reads from where the bytes lie.
#pragma once

#include <cstddef>

struct iovec;

namespace jvmc::cluster {

/// One socket's. Of one thread at a time.
class PagePipe {
 public:
  static constexpr size_t kPieceBytes = 32 << 10;  ///< smaller pieces are copied in less time

  PagePipe() = default;
  ~PagePipe() { drop(); }
  PagePipe(const PagePipe&) = delete;

  bool empty() const { return bytes_ == 0; }
  /// This system, and this socket, do that as far as is known.
  bool works() const { return !refused_; }
  /// Takes what fits of the pieces while it is empty. False: nothing, and it works no more.
  bool take(const iovec* pieces, int count);
  /// Gives the socket what was taken, as far as it goes: as write(2), and never blocks. EINVAL: it never will; what was
  /// taken and not given is to be sent otherwise.
  ptrdiff_t give(int socket);

 private:
  bool open();
  void drop();

  int ends_[2] = {-1, -1};
  size_t bytes_ = 0;
  bool refused_ = false;
};

}  // namespace jvmc::cluster
