#include "cluster/net/page_pipe.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace jvmc::cluster {

namespace {

constexpr int kPipeBytes = 1 << 20;  // what anybody may have

}  // namespace

bool PagePipe::open() {
  if (pipe2(ends_, O_CLOEXEC | O_NONBLOCK) != 0) {
    ends_[0] = ends_[1] = -1;
    return false;
  }
  signal(SIGPIPE, SIG_IGN);                   // there is no flag against it
  fcntl(ends_[1], F_SETPIPE_SZ, kPipeBytes);  // else more calls
  return true;
}

bool PagePipe::take(const iovec* pieces, int count) {
  if (refused_) return false;
  if (ends_[0] < 0 && !open()) {
    refused_ = true;
    return false;
  }
  ssize_t taken;
  do {
    taken = vmsplice(ends_[1], pieces, size_t(count), SPLICE_F_NONBLOCK);
  } while (taken < 0 && errno == EINTR);
  refused_ = taken <= 0;
  if (!refused_) bytes_ = size_t(taken);
  return !refused_;
}

ptrdiff_t PagePipe::give(int socket) {
  ssize_t given;
  do {
    given = splice(ends_[0], nullptr, socket, nullptr, bytes_, SPLICE_F_NONBLOCK);
  } while (given < 0 && errno == EINTR);
  if (given > 0) bytes_ -= size_t(given);
  if (given < 0 && errno == EINVAL) {
    drop();
    refused_ = true;
    errno = EINVAL;
  }
  return given;
}

void PagePipe::drop() {
  for (int& end : ends_)
    if (end >= 0) close(end), end = -1;
  bytes_ = 0;
}

}  // namespace jvmc::cluster
